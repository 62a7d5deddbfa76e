"""The console for admins."""

from . import accounts as accounts
from . import keys as keys
from . import resources as resources
from . import tokens as tokens

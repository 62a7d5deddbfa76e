"""The operators' console."""

from . import credentials as credentials
from . import tokens as tokens

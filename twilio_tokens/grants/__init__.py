"""What a token can grant: one module per product, and the registry for a site's own products."""

from .base import Default, Grant, Note, products_in, register, registered
from .fields import Example, FieldKind, GrantField, PayloadField, fields_of
from .identity_rule import IdentityRule

# Products are shown in the order of their import.
# isort: off
from .video import Video
from .chat import Chat
from .voice import Voice
from .sync import Sync
from .taskrouter import TaskRouter, WorkerGrant

# isort: on

__all__ = [
    "Chat",
    "Default",
    "Example",
    "FieldKind",
    "Grant",
    "GrantField",
    "IdentityRule",
    "Note",
    "PayloadField",
    "Sync",
    "TaskRouter",
    "Video",
    "Voice",
    "WorkerGrant",
    "fields_of",
    "products_in",
    "register",
    "registered",
]

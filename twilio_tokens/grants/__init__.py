"""What a token may grant: a module for each product, and the door that sites register theirs at."""

from .base import (
    Default,
    FieldKind,
    Grant,
    GrantField,
    Note,
    PayloadField,
    fields_of,
    register,
    registered,
)
from .chat import Chat
from .identity_rule import IdentityRule
from .sync import Sync
from .taskrouter import TaskRouter, WorkerGrant

# isort: off - the products, in the order in which people are shown them.
from .video import Video
from .voice import Voice

__all__ = [
    "Chat",
    "Default",
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
    "register",
    "registered",
]

"""What admins keep: accounts, API keys, services, apps; and the record of issued tokens."""

from .accounts import NEWEST_FIRST, REGION_REFUSED, Account, APIKey, Region, validate_region
from .checked import Checked, Outcome
from .issued_tokens import IssuedToken
from .resources import (
    ChatService,
    PushCredential,
    Resource,
    RestrictedResource,
    SyncService,
    TwiMLApp,
    Workspace,
)

__all__ = [
    "NEWEST_FIRST",
    "REGION_REFUSED",
    "APIKey",
    "Account",
    "ChatService",
    "Checked",
    "IssuedToken",
    "Outcome",
    "PushCredential",
    "Region",
    "Resource",
    "RestrictedResource",
    "SyncService",
    "TwiMLApp",
    "Workspace",
    "validate_region",
]

"""What admins keep: accounts, API keys, services, apps; and the record of issued tokens."""

from .accounts import NEWEST_FIRST, REGION_REFUSED, Account, APIKey, Region, validate_region
from .checked import Checked, Outcome
from .issued_tokens import IssuedToken
from .resources import (
    ChatService,
    Collection,
    PushCredential,
    Resource,
    RestrictedResource,
    SIDVariable,
    SyncService,
    TwiMLApp,
    Workspace,
    resource_kinds,
)
from .restricted import Restricted, watch_groups

__all__ = [
    "NEWEST_FIRST",
    "REGION_REFUSED",
    "APIKey",
    "Account",
    "ChatService",
    "Checked",
    "Collection",
    "IssuedToken",
    "Outcome",
    "PushCredential",
    "Region",
    "Resource",
    "Restricted",
    "RestrictedResource",
    "SIDVariable",
    "SyncService",
    "TwiMLApp",
    "Workspace",
    "resource_kinds",
    "validate_region",
    "watch_groups",
]

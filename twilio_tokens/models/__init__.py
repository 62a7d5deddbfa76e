"""What admins manage: accounts, API keys, services, apps; the record of issued tokens; counts."""

from .accounts import NEWEST_FIRST, REGION_REFUSED, Account, APIKey, Region, validate_region
from .checked import Checked, Outcome
from .counts import BusiestOfDay, HourlyCount, Kind, RollUp, number_of
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
    "BusiestOfDay",
    "ChatService",
    "Checked",
    "Collection",
    "HourlyCount",
    "IssuedToken",
    "Kind",
    "Outcome",
    "PushCredential",
    "Region",
    "Resource",
    "Restricted",
    "RestrictedResource",
    "RollUp",
    "SIDVariable",
    "SyncService",
    "TwiMLApp",
    "Workspace",
    "number_of",
    "resource_kinds",
    "validate_region",
    "watch_groups",
]

"""The console for admins. A site may derive its own classes from these."""

from .accounts import AccountAdmin
from .keys import APIKeyAdmin
from .resources import (
    PushCredentialAdmin,
    ResourceAdmin,
    RestrictedResourceAdmin,
    ServiceAdmin,
    TwiMLAppAdmin,
)
from .tokens import IssuedTokenAdmin

__all__ = [
    "APIKeyAdmin",
    "AccountAdmin",
    "IssuedTokenAdmin",
    "PushCredentialAdmin",
    "ResourceAdmin",
    "RestrictedResourceAdmin",
    "ServiceAdmin",
    "TwiMLAppAdmin",
]

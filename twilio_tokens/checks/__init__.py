"""System checks for mistakes that would otherwise show up as a 503, or not at all."""

from . import (
    caches,
    databases,
    encryption_keys,
    error_reports,
    fixtures,
    identities,
    settings,
    views,
    web,
)

__all__ = [
    "caches",
    "databases",
    "encryption_keys",
    "error_reports",
    "fixtures",
    "identities",
    "settings",
    "views",
    "web",
]

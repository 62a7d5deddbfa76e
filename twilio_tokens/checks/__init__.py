"""System checks: what would otherwise show itself as a 503, or not at all."""

from . import caches, databases, error_reports, settings, web

__all__ = ["caches", "databases", "error_reports", "settings", "web"]

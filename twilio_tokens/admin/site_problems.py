"""Problems with the site that keep everyone from getting a token."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.cache import caches
from django.utils.translation import gettext as _

from twilio_tokens.conf import settings, unusable_settings
from twilio_tokens.crypto import load_key_ring
from twilio_tokens.exceptions import EncryptionKeyError
from twilio_tokens.models import IssuedToken
from twilio_tokens.throttles import TokenRateThrottle


def site_problems() -> Iterator[str]:
    """Why no token can be issued to anyone, for any product."""
    try:
        load_key_ring()
    except EncryptionKeyError as error:
        yield error.reason
    unusable = list(unusable_settings())
    yield from unusable
    if unusable:
        return
    if settings.audit:
        IssuedToken.objects.exists()  # the caller handles a missing table
    if settings.throttle_rate is not None:
        yield from _cache_problem()


def _cache_problem() -> Iterator[str]:
    try:
        caches[TokenRateThrottle.cache_alias].get("twilio_tokens_overview")
    except Exception as error:  # noqa: BLE001 - each cache raises its own errors
        yield _(
            "The site's cache does not answer (%(error)s). Requests for tokens cannot be counted, "
            "so no tokens are issued."
        ) % {"error": type(error).__name__}

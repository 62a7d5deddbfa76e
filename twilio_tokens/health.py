"""Whether this process could issue a token now: a check for django-health-check.

Nothing else imports this module, so that a site without that package does not need it::

    HealthCheckView.as_view(checks=["twilio_tokens.health.TokensCanBeIssued"])

The check issues nothing and records nothing. Whoever asks learns yes or no; the reason is for the
site's log.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import Error as DatabaseError
from django.db import router
from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable

from .conf import settings, unusable_settings
from .credential_cache import cache
from .credentials import Credentials
from .crypto import check_opens, load_key_ring
from .exceptions import NotConfigured, SecretUnavailable, Unavailable
from .issuing import not_configured
from .models import APIKey
from .throttles import TokenRateThrottle

logger = logging.getLogger(__name__)


@dataclass
class TokensCanBeIssued(HealthCheck):  # type: ignore[misc]  # it ships no types
    async def run(self) -> None:
        # In the request's own thread, whose connection to the database Django looks after.
        problem = await sync_to_async(problem_of_all)()
        if problem is not None:
            logger.warning("No access token can be issued: %s", problem.reason)
            raise ServiceUnavailable("No access token can be issued.")


def problem_of_all() -> Unavailable | None:
    """Why nobody would get a token now, or None."""
    try:
        _try()
    except DatabaseError as error:
        return not_configured(error)
    except Unavailable as error:
        if isinstance(error, SecretUnavailable):
            cache.clear()  # as after a token that could not be signed
        return error
    return None


def _try() -> None:
    for reason in unusable_settings():
        raise NotConfigured(reason)
    load_key_ring()
    APIKey.objects.using(router.db_for_write(APIKey)).exists()
    # Where each user has an account, that of one must not speak for the others.
    if settings.account is None:
        _open_signing_key()
    # Counts for nobody: no user has this key.
    TokenRateThrottle().allow_user(None)


def _open_signing_key() -> None:
    credentials = Credentials(get_user_model()())
    key = credentials.signing_key(credentials.default_account)
    check_opens(key.secret, row=key.id, sid=key.sid)

"""A check for django-health-check: can this process issue a token at the moment?

Nothing else imports this module, so a site without that package does not need it::

    HealthCheckView.as_view(checks=["twilio_tokens.health.TokensCanBeIssued"])

The check issues and records nothing. Callers learn only yes or no; the reason goes to the site's
log.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import Error as DatabaseError
from django.db import router
from django.utils.translation import override
from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable

from .conf import settings, unusable_settings
from .credential_cache import cache
from .credentials import Credentials
from .crypto import check_opens, load_key_ring
from .exceptions import NotConfigured, SecretUnavailable, Unavailable
from .models import APIKey
from .throttles import TokenRateThrottle

logger = logging.getLogger(__name__)


@dataclass
class TokensCanBeIssued(HealthCheck):  # type: ignore[misc]  # it ships no types
    async def run(self) -> None:
        # In the request's own thread, whose database connection Django manages.
        problem = await sync_to_async(problem_of_all)()
        if problem is not None:
            logger.warning("No access token can be issued: %s", problem.log_reason)
            raise ServiceUnavailable("No access token can be issued.")


def problem_of_all() -> Unavailable | None:
    """Why nobody could get a token at the moment, or None."""
    try:
        _try()
    except DatabaseError as error:
        return NotConfigured.due_to(error)
    except Unavailable as error:
        if isinstance(error, SecretUnavailable):
            cache.clear()  # as when signing a token fails
        return error
    return None


def _try() -> None:
    with override("en"):  # for the log
        for reason in unusable_settings():
            raise NotConfigured(reason)
    load_key_ring()
    APIKey.objects.using(router.db_for_write(APIKey)).exists()
    # If accounts depend on the user, one account must not stand for the others.
    if settings.account is None:
        _open_signing_key()
    # This counts for no one: no user has this key.
    TokenRateThrottle().allow_user(None)


def _open_signing_key() -> None:
    credentials = Credentials(get_user_model()())
    key = credentials.signing_key(credentials.default_account)
    check_opens(key.secret, row=key.id, sid=key.sid)

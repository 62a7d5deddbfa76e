"""What a user can request."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import Error as DatabaseError

from .credentials import Credentials
from .crypto import check_opens
from .exceptions import NotConfigured, PermissionDenied, TwilioTokensError, Unavailable
from .grants import Grant, registered
from .identity import identity_for
from .models import APIKey

#: Accounts; each takes a few queries.
MOST_TRIED = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """What one user can request of one product.

    ``resources`` has the available names for each field that names a resource. ``problem`` is why
    no request for this product would succeed, or None.
    """

    grant: type[Grant]
    resources: dict[str, list[str]]
    default: str | None
    problem: TwilioTokensError | None


def offers(user: AbstractBaseUser, products: Iterable[str] | None = None) -> dict[str, Offer]:
    """What ``user`` can request, by product; by default of all products. Issues nothing."""
    credentials = Credentials(user)
    grants = registered()
    return {
        product: _offer(credentials, grants[product])
        for product in (grants if products is None else products)
    }


def _offer(credentials: Credentials, grant: type[Grant]) -> Offer:
    named: dict[str, dict[str, Any]] = {field: {} for field in grant.resources}
    default = None
    problem: TwilioTokensError | None
    try:
        for field, model in grant.resources.items():
            named[field] = credentials.named(model)
        if grant.needed:
            default = _default_name(credentials, grant.resources[grant.needed])
        problem = _problem_of_all(credentials, _worth_a_try(grant, named, default))
    except DatabaseError as error:
        problem = NotConfigured.due_to(error)
    except TwilioTokensError as error:
        problem = error
    except DjangoPermissionDenied as error:
        problem = PermissionDenied(str(error) or None)
    except Exception as error:  # a bug of a site's own grant
        logger.exception("The grant %s failed.", grant.product)
        problem = NotConfigured.due_to(error)
    if isinstance(problem, Unavailable):
        # A site that does not use Chat has no Chat service, and this is called all day.
        level = logging.INFO if type(problem) is NotConfigured else logging.WARNING
        logger.log(level, "No access token can be issued: %s", problem.log_reason)
    return Offer(grant, {field: [*names] for field, names in named.items()}, default, problem)


def _worth_a_try(
    grant: type[Grant], named: dict[str, dict[str, Any]], default: str | None
) -> list[Grant]:
    """Requests of which one succeeds if any does, without trying thousands of accounts."""
    if not grant.needed or default is not None or not named[grant.needed]:
        return [grant()]
    first_of = {account: name for name, account in reversed(named[grant.needed].items())}
    signing = set(APIKey.objects.filter(is_active=True).values_list("account", flat=True))
    accounts = sorted(first_of, key=lambda account: account not in signing)
    return [grant(**{grant.needed: first_of[account]}) for account in accounts[:MOST_TRIED]]


def _problem_of_all(
    credentials: Credentials, requests: Iterable[Grant]
) -> TwilioTokensError | None:
    """Why all of them fail, or None if one would succeed."""
    problem = None
    for request in requests:
        problem = _problem(credentials, request)
        if problem is None:
            break
    return problem


def _default_name(credentials: Credentials, model: type[Any]) -> str | None:
    account = credentials.tenant
    if account is None:
        try:
            account = credentials.default_account
        except NotConfigured:
            return None
    resource, is_permitted = credentials.default(model, account)
    return resource.name if resource is not None and is_permitted else None


def _problem(credentials: Credentials, grant: Grant) -> TwilioTokensError | None:
    """Why this user cannot get this grant, whichever room it is for."""
    try:
        account, resources = credentials.resolve([grant])
        grant.to_twilio(credentials.user, resources[grant.product])
        identity_for(credentials.user, [grant])
        key = credentials.signing_key(account)
        check_opens(key.secret, row=key.id, sid=key.sid)
    except TwilioTokensError as error:
        return error
    return None

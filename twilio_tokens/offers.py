"""What a user may ask for."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from .credentials import Credentials
from .crypto import check_opens
from .exceptions import NotConfigured, TwilioTokensError, Unavailable
from .grants import Grant, registered
from .identity import identity_for
from .issuing import resolve

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """What one user may ask for of one product.

    ``resources`` has the names for each field that takes one; ``problem`` is why no request
    for this product would succeed, or None.
    """

    grant: type[Grant]
    resources: dict[str, list[str]]
    default: str | None
    problem: TwilioTokensError | None


def offers(user: Any, products: Iterable[str] | None = None) -> dict[str, Offer]:
    """What ``user`` may ask for, by product; of all products by default. Issues nothing."""
    credentials = Credentials(user)
    grants = registered()
    return {
        product: _offer(credentials, grants[product])
        for product in (grants if products is None else products)
    }


def _offer(credentials: Credentials, grant: type[Grant]) -> Offer:
    resources: dict[str, list[str]] = {name: [] for name in grant.resources}
    default = None
    requests: list[dict[str, str]] = [{}]
    try:
        for name, model in grant.resources.items():
            resources[name] = credentials.names(model)
        if grant.needed:
            default = _default_name(credentials, grant.resources[grant.needed])
            if default is None and resources[grant.needed]:
                requests = [{grant.needed: name} for name in resources[grant.needed]]
    except (ImproperlyConfigured, NotConfigured) as error:
        return Offer(grant, resources, None, _as_problem(error))
    problem = None
    for request in requests:
        problem = _problem(credentials, grant(**request))
        if problem is None:
            break
    return Offer(grant, resources, default, problem)


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
    """Why this user cannot get this grant, whatever the room."""
    try:
        account, _resources = resolve(credentials, [grant])
        identity_for(credentials.user, [grant.product])
        key = credentials.signing_key(account)
        check_opens(key.secret, row=key.id, sid=key.sid)
    except (ImproperlyConfigured, TwilioTokensError) as error:
        return _as_problem(error)
    return None


def _as_problem(error: ImproperlyConfigured | TwilioTokensError) -> TwilioTokensError:
    problem = NotConfigured(str(error)) if isinstance(error, ImproperlyConfigured) else error
    if isinstance(problem, Unavailable):
        # A site that needs no Chat has no Chat service, and is asked all day.
        level = logging.INFO if isinstance(problem, NotConfigured) else logging.WARNING
        logger.log(level, "No access token can be issued: %s", problem.reason)
    return problem

"""What Twilio's answers mean for credentials, stored or about to be stored.

The result is a ``Finding``. No answer from Twilio raises an error, and neither does a missing
answer, except for a list that Twilio did not deliver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import router
from django.db.models import Model
from django.template.defaultfilters import yesno
from django.utils.translation import gettext as _

from . import metrics
from .credentials import no_active_key
from .crypto import unseal
from .exceptions import ListingFailed, NotConfigured
from .models import Account, APIKey, Outcome, Resource
from .twilio_api import CONFIGURATION, OTHER_REGIONS, Answer, Requests, one_app, texts

#: Seconds that a check may take. A request to the site waits for it, and servers end requests after
#: 30 seconds.
CHECK_SECONDS = 10

#: Seconds for all lists of one page together.
LISTING_SECONDS = 24


@dataclass(frozen=True)
class Finding:
    """``code`` is Twilio's error code or an HTTP status; ``field`` the model field at fault."""

    outcome: Outcome
    message: str
    code: int | None = None
    field: str | None = None


@dataclass(frozen=True)
class Listed:
    """A service, an app or another resource, as Twilio lists it."""

    sid: str
    friendly_name: str
    #: Values for other fields of its model.
    values: Mapping[str, object] = field(default_factory=dict)


def verify_credentials(account_sid: str, key_sid: str, secret: str) -> Finding:
    """Whether Twilio accepts the key for the account.

    No request proves that it can sign. A Restricted key may be given access to whatever a Standard
    key may call, so only a token that Twilio accepts is proof.
    """
    requests = Requests(account_sid, key_sid, secret, seconds=CHECK_SECONDS)
    return _counted(APIKey, _verify_key(requests))


def verify_key(key: APIKey) -> Finding:
    """The same for a stored key. Raises ``SecretUnavailable``."""
    return _counted(APIKey, _verify_key(_requests_with(key, seconds=CHECK_SECONDS)))


def verify_resource(resource: Resource) -> Finding:
    """Whether the account has it. Raises ``NotConfigured`` or ``SecretUnavailable``."""
    return _counted(type(resource), _verify_resource(resource))


def verify_listed(resource: Resource, listed: Listed) -> Finding:
    """Whether its fields agree with what Twilio has under its SID."""
    for name, value in listed.values.items():
        if getattr(resource, name) != value:
            text = yesno(value) if isinstance(value, bool) else value
            message = _("At Twilio, “%(field)s” is “%(value)s”.")
            message %= {"field": _label(resource, name), "value": text}
            return Finding(Outcome.REFUSED, message, field=name)
    message = _("Twilio knows it as “%(name)s”.")
    return Finding(Outcome.VERIFIED, message % {"name": listed.friendly_name or listed.sid})


def list_resources(
    account: Account, kinds: Iterable[type[Resource]]
) -> tuple[dict[type[Resource], list[Listed]], dict[type[Resource], str]]:
    """What the account has of each kind; and for each list that Twilio did not deliver, why.

    Raises ``ListingFailed`` if Twilio delivered none, ``NotConfigured`` or ``SecretUnavailable``.
    """
    requests = _requests_of(account, seconds=LISTING_SECONDS)
    found, failed = {}, {}
    for kind in kinds:
        try:
            # By SID: one created in the meantime may push another to the next page.
            found[kind] = list({each.sid: each for each in _list(requests, kind)}.values())
        except ListingFailed as error:
            failed[kind] = error.message
    if failed and not found:
        raise ListingFailed(next(iter(failed.values())))
    return found, failed


# What the answers mean


def _counted(kind: type[Model], finding: Finding) -> Finding:
    metrics.checked(kind._meta.object_name, finding.outcome)
    return finding


def _verify_resource(resource: Resource) -> Finding:
    account, collection, kind = resource.account, resource.at_twilio, resource._meta.verbose_name
    if collection is None:
        message = _("This cannot be checked with Twilio: %(kind)s.")
        raise NotConfigured(message % {"kind": kind})
    requests = _requests_of(account, seconds=CHECK_SECONDS)
    answer = requests.get(collection.item(account.sid, resource.sid))
    if answer.says(401, 403):
        message = _("Twilio rejects the account's API key, so this was not checked. Check the key.")
        return _refused(answer, "account", message)
    if answer.says(404):
        message = _(
            "Account %(account)s has no %(kind)s with this SID in region US1. Was it deleted, or "
            "copied from another account or product?"
        ) % {"account": account.sid, "kind": kind}
        return _refused(answer, "sid", message)
    found = answer.texts
    if not answer.says(200) or found.get("sid") != resource.sid or not found.get("account_sid"):
        return _unreachable(answer)
    if found["account_sid"] != account.sid:
        message = _("This belongs to another account, %(account_sid)s.") % found
        return Finding(Outcome.REFUSED, message, field="account")
    return verify_listed(resource, _listed(type(resource), found))


def _verify_key(requests: Requests) -> Finding:
    answer = requests.get(one_app(requests.account_sid))
    if answer.says(200) and isinstance(answer.data.get("applications"), list):
        message = _(
            "Twilio accepts this key for its account in region US1. This does not prove that the "
            "key can sign Access Tokens: a Restricted key can pass the check, too."
        )
        return Finding(Outcome.VERIFIED, message)
    if answer.says(401):
        return _why_unauthorized(requests, answer)
    if answer.says(403):
        return _not_permitted(answer)
    if answer.says(404):
        message = _("Twilio has no account %(account)s.") % {"account": requests.account_sid}
        return _refused(answer, "account", message)
    return _unreachable(answer)


def _why_unauthorized(requests: Requests, answer: Answer) -> Finding:
    """Error 20003 does not give the reason, so find out where else the key is known."""
    for region, host in OTHER_REGIONS.items():
        if requests.get(one_app(requests.account_sid, host=host)).says(200):
            message = _(
                "This key is from region %(region)s. Access Tokens for Video need a key from "
                "region US1: create one in the Twilio Console."
            ) % {"region": region.upper()}
            return _refused(answer, "sid", message)
    configuration = requests.get(CONFIGURATION)
    owner = configuration.texts.get("account_sid") if configuration.says(200) else None
    if owner == requests.account_sid:
        return _not_permitted(answer)
    if owner:
        message = _("This key belongs to another account, %(owner)s.") % {"owner": owner}
        return _refused(answer, "account", message)
    message = _(
        "Twilio rejects this SID with this secret. The possible causes, most likely first: the "
        "secret is cut off or belongs to another key; the key was deleted at Twilio; it belongs to "
        "another account; it was created outside region US1; it is a Restricted key; the account "
        "is suspended."
    )
    return _refused(answer, "secret", message)


def _not_permitted(answer: Answer) -> Finding:
    message = _(
        "Twilio knows this key, but does not let it list the account's TwiML Apps. It is probably "
        "a Restricted key, which cannot sign Access Tokens: create a Standard key instead. "
        "Otherwise the account may be suspended."
    )
    return _refused(answer, "sid", message)


def _list(requests: Requests, kind: type[Resource]) -> Iterator[Listed]:
    collection = kind.at_twilio
    assert collection is not None
    for page in requests.pages(collection.first_page(requests.account_sid)):
        if page.says(401, 403):
            message = _("Twilio rejects the account's API key. Check the key.")
            raise ListingFailed(_refused(page, "account", message).message)
        if not page.says(200):
            raise ListingFailed(_unreachable(page).message)
        items = page.data.get(collection.items)
        for item in map(texts, items if isinstance(items, list) else [None]):
            if not item.get("sid") or not item.get("account_sid"):
                raise ListingFailed(_("Twilio's list has an unexpected format."))
            if item["account_sid"] != requests.account_sid:
                raise ListingFailed(
                    _("The account's API key belongs to another account, %(account_sid)s.") % item
                )
            yield _listed(kind, item)


def _listed(kind: type[Resource], item: Mapping[str, str]) -> Listed:
    return Listed(item["sid"], item.get("friendly_name", ""), kind.told_by_twilio(item))


def _label(resource: Resource, name: str) -> str:
    field: Any = resource._meta.get_field(name)
    return str(field.verbose_name)


def _refused(answer: Answer, field: str, message: str) -> Finding:
    message = _("%(message)s (Twilio error %(code)s)") % {"message": message, "code": answer.code}
    return Finding(Outcome.REFUSED, message, answer.code, field)


def _unreachable(answer: Answer) -> Finding:
    if answer.status == 0:
        message = _("Twilio could not be reached. %(reason)s")
    elif answer.status == 429:
        message = _("Twilio is limiting requests right now. Try again later.")
    elif answer.status >= 500:
        message = _("Twilio cannot answer right now (HTTP %(status)d). Try again later.")
    elif answer.data:
        message = _("Twilio's answer (HTTP %(status)d) has an unexpected format.")
    else:
        message = _(
            "The answer (HTTP %(status)d) did not come from Twilio's API. Is there a proxy or a "
            "firewall in between?"
        )
    message %= {"status": answer.status, "reason": answer.failure}
    return Finding(Outcome.UNREACHABLE, message, answer.code)


# Which key is used


def _requests_with(key: APIKey, *, seconds: float) -> Requests:
    account_sid = key.account.sid  # a query may fail, and must not do so next to the plaintext
    secret = unseal(key.secret, row=key.id, sid=key.sid)
    return Requests(account_sid, key.sid, secret, seconds=seconds)


def _requests_of(account: Account, *, seconds: float) -> Requests:
    # Neither from the cache nor from a replica: a check must see a key that was saved a moment ago.
    keys = APIKey.objects.using(router.db_for_write(APIKey)).select_related("account")
    key = keys.newest_active(account.pk)
    if key is None:
        raise no_active_key(account)
    return _requests_with(key, seconds=seconds)

"""Asks Twilio's REST API whether stored credentials are real, and what an account has.

What Twilio answers is told as a ``Finding``; nothing here raises because of an answer, or of none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.db import router
from django.utils.translation import gettext as _

from .crypto import unseal
from .exceptions import ListingFailed, NotConfigured
from .models import Account, APIKey, ChatService, Outcome, PushCredential, Region, TwiMLApp
from .twilio_api import API, CONVERSATIONS, Answer, Requests

#: Seconds that a check takes at most: a request of the site waits for it, and servers end requests
#: after 30.
CHECK_SECONDS = 10

#: The same for a listing, which may have many pages. A page of the admin waits for two.
LISTING_SECONDS = 12

#: Pages of a listing; more is a chain that does not end.
MOST_PAGES = 100

#: The hosts that answer for the keys of other regions.
OTHER_REGIONS = {
    Region.IE1: "https://api.dublin.ie1.twilio.com",
    Region.AU1: "https://api.sydney.au1.twilio.com",
    Region.JP1: "https://api.tokyo.jp1.twilio.com",
}


@dataclass(frozen=True)
class Finding:
    """``code`` is Twilio's error code or an HTTP status; ``field`` the model field at fault."""

    outcome: Outcome
    message: str
    code: int | None = None
    field: str | None = None


@dataclass(frozen=True)
class Listed:
    """A service or an app as Twilio lists it."""

    sid: str
    friendly_name: str


def verify_credentials(account_sid: str, key_sid: str, secret: str) -> Finding:
    """Whether the key can sign for the account."""
    return _verify_key(Requests(account_sid, key_sid, secret, seconds=CHECK_SECONDS))


def verify_key(key: APIKey) -> Finding:
    """The same for a stored key. Raises ``SecretUnavailable``."""
    return _verify_key(_requests_with(key, seconds=CHECK_SECONDS))


def verify_resource(resource: ChatService | TwiMLApp | PushCredential) -> Finding:
    """Whether its account has it. Raises ``NotConfigured`` or ``SecretUnavailable``."""
    account = resource.account
    answer = _requests_of(account, seconds=CHECK_SECONDS).get(_url_of(resource))
    if answer.says(401, 403):
        message = _("Twilio refuses the account's API key, so this was not looked up. Check it.")
        return _refused(answer, "account", message)
    if answer.says(404):
        message = _(
            "Account %(account)s has no %(kind)s with this SID in region US1. Was it deleted, or "
            "copied from another account or another product?"
        ) % {"account": account.sid, "kind": resource._meta.verbose_name}
        return _refused(answer, "sid", message)
    found = _texts(answer.data)
    if not answer.says(200) or found.get("sid") != resource.sid or not found.get("account_sid"):
        return _unreachable(answer)
    if found["account_sid"] != account.sid:
        message = _("This belongs to another account, %(account_sid)s.") % found
        return Finding(Outcome.REFUSED, message, field="account")
    platform = getattr(resource, "platform", None)
    if platform and found.get("type", platform) != platform:
        message = _("At Twilio this credential is for %(type)s.") % found
        return Finding(Outcome.REFUSED, message, field="platform")
    name = found.get("friendly_name") or resource.sid
    return Finding(Outcome.VERIFIED, _("Twilio knows it as “%(name)s”.") % {"name": name})


def list_chat_services(account: Account) -> list[Listed]:
    """All of them. Raises ``ListingFailed``, ``NotConfigured`` or ``SecretUnavailable``."""
    return _list(account, f"{CONVERSATIONS}/v1/Services?PageSize=100", "services")


def list_twiml_apps(account: Account) -> list[Listed]:
    """All of them. Raises ``ListingFailed``, ``NotConfigured`` or ``SecretUnavailable``."""
    return _list(account, _apps_url(API, account.sid, page_size=1000), "applications")


# What the answers mean


def _verify_key(requests: Requests) -> Finding:
    answer = requests.get(_apps_url(API, requests.account_sid))
    if answer.says(200) and isinstance(answer.data.get("applications"), list):
        message = _(
            "Twilio accepts this key for its account, in US1. It does not tell whether this is a "
            "Restricted key, which cannot sign Access Tokens."
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
    """Error 20003 says nothing of the reason: look where else the key is known."""
    for region, host in OTHER_REGIONS.items():
        if requests.get(_apps_url(host, requests.account_sid)).says(200):
            message = _(
                "This is a key of region %(region)s. Access Tokens for Video work only with a key "
                "of region US1: make one in the Twilio Console."
            ) % {"region": region.upper()}
            return _refused(answer, "sid", message)
    configuration = requests.get(f"{CONVERSATIONS}/v1/Configuration")
    owner = _texts(configuration.data).get("account_sid") if configuration.says(200) else None
    if owner == requests.account_sid:
        return _not_permitted(answer)
    if owner:
        message = _("This key belongs to another account, %(owner)s.") % {"owner": owner}
        return _refused(answer, "account", message)
    message = _(
        "Twilio refuses this SID with this secret. The likely causes, in order: the secret was "
        "cut off or is that of another key; the key was deleted at Twilio; it belongs to another "
        "account; it was made in another region than US1; it is a Restricted key; the account is "
        "suspended."
    )
    return _refused(answer, "secret", message)


def _not_permitted(answer: Answer) -> Finding:
    message = _(
        "Twilio knows this key, but does not let it see the account's TwiML apps. It is probably a "
        "Restricted key, which cannot sign Access Tokens: make a Standard key. Or the account is "
        "suspended."
    )
    return _refused(answer, "sid", message)


def _list(account: Account, url: str, name: str) -> list[Listed]:
    found: dict[str, Listed] = {}  # by SID: one made meanwhile moves another to the next page
    for page in _pages(_requests_of(account, seconds=LISTING_SECONDS), url):
        items = page.get(name)
        for item in items if isinstance(items, list) else [None]:
            each = _texts(item)
            if not each.get("sid") or not each.get("account_sid"):
                raise ListingFailed(_("Twilio's list could not be understood."))
            if each["account_sid"] != account.sid:
                raise ListingFailed(
                    _("The account's API key belongs to another account, %(account_sid)s.") % each
                )
            found[each["sid"]] = Listed(each["sid"], each.get("friendly_name", ""))
    return list(found.values())


def _pages(requests: Requests, url: str | None) -> Iterator[Mapping[str, Any]]:
    seen: set[str] = set()
    while url is not None:
        if url in seen or len(seen) == MOST_PAGES:
            raise ListingFailed(_("Twilio's list does not end; nothing was taken from it."))
        seen.add(url)
        answer = requests.get(url)
        if answer.says(401, 403):
            message = _("Twilio refuses the account's API key. Check it.")
            raise ListingFailed(_refused(answer, "account", message).message)
        if not answer.says(200):
            raise ListingFailed(_unreachable(answer).message)
        yield answer.data
        url = _next_page(url, answer.data)


def _next_page(url: str, page: Mapping[str, Any]) -> str | None:
    """The 2010 API has a path beside the items, the younger ones an address in ``meta``."""
    following = page.get("next_page_uri") or _texts(page.get("meta")).get("next_page_url")
    if not following:
        return None
    try:
        address = urljoin(url, str(following))
        is_same_host = urlsplit(address)[:2] == urlsplit(url)[:2]
    except ValueError:
        is_same_host = False
    if not is_same_host:
        raise ListingFailed(_("Twilio's list goes on at an unknown address; it was not asked."))
    return address


def _refused(answer: Answer, field: str, message: str) -> Finding:
    message += _(" (Twilio's error %(code)s)") % {"code": answer.code}
    return Finding(Outcome.REFUSED, message, answer.code, field)


def _unreachable(answer: Answer) -> Finding:
    if answer.status == 0:
        message = _("Twilio could not be reached: %(failure)s")
    elif answer.status == 429:
        message = _("Twilio is limiting requests at the moment. Try again later.")
    elif answer.status >= 500:
        message = _("Twilio cannot answer at the moment (HTTP %(status)d). Try again later.")
    elif answer.data:
        message = _("Twilio's answer (HTTP %(status)d) could not be understood.")
    else:
        message = _(
            "What answered (HTTP %(status)d) is not Twilio's API. Is there a proxy or a firewall "
            "in between?"
        )
    message %= {"status": answer.status, "failure": answer.failure}
    return Finding(Outcome.UNREACHABLE, message, answer.code)


# Whom to ask, and where


def _requests_with(key: APIKey, *, seconds: float) -> Requests:
    account_sid = key.account.sid  # a query may fail, and must not while the plaintext is here
    secret = unseal(key.secret, row=key.id, sid=key.sid)
    return Requests(account_sid, key.sid, secret, seconds=seconds)


def _requests_of(account: Account, *, seconds: float) -> Requests:
    # Neither the remembered one nor a replica's: a check must know the key that was saved a moment
    # ago.
    keys = APIKey.objects.using(router.db_for_write(APIKey)).select_related("account")
    key = keys.newest_active(account.pk)
    if key is None:
        raise NotConfigured(f"Account {account.sid} has no active API key.")
    return _requests_with(key, seconds=seconds)


def _apps_url(host: str, account_sid: str, *, page_size: int = 1) -> str:
    return f"{host}/2010-04-01/Accounts/{account_sid}/Applications.json?PageSize={page_size}"


def _url_of(resource: ChatService | TwiMLApp | PushCredential) -> str:
    if isinstance(resource, ChatService):
        return f"{CONVERSATIONS}/v1/Services/{resource.sid}"
    if isinstance(resource, PushCredential):
        return f"{CONVERSATIONS}/v1/Credentials/{resource.sid}"
    return f"{API}/2010-04-01/Accounts/{resource.account.sid}/Applications/{resource.sid}.json"


def _texts(value: Any) -> dict[str, str]:
    """The texts in a JSON object of Twilio's, without what no database and no page takes."""
    items = value.items() if isinstance(value, Mapping) else ()
    unfit = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]"
    return {name: re.sub(unfit, "", text) for name, text in items if isinstance(text, str)}

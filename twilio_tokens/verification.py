"""Asks Twilio's REST API whether stored credentials are real, and what an account has.

What Twilio answers is told as a ``Finding``; nothing here raises because of an answer, or of
none. The requests go to Twilio's US1 hosts whatever ``TWILIO_REGION`` and ``TWILIO_EDGE`` say.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from .conf import settings
from .crypto import unseal
from .exceptions import ListingFailed, NotConfigured
from .models import Account, APIKey, ChatService, Outcome, PushCredential, Region, TwiMLApp

#: Seconds, to connect and again to be answered, for an HTTP client without a timeout of its own.
TIMEOUT = 5

#: Seconds before the one repetition of a request. Told to wait longer, we give up.
LONGEST_WAIT = 5

#: Pages of a listing; more is a chain that does not end.
MOST_PAGES = 100

API = "https://api.twilio.com"
CONVERSATIONS = "https://conversations.twilio.com"

#: The hosts that answer for the keys of other regions.
OTHER_REGIONS = {
    Region.IE1: "https://api.dublin.ie1.twilio.com",
    Region.AU1: "https://api.sydney.au1.twilio.com",
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
    return _verify_key(_Requests(account_sid, key_sid, secret))


def verify_key(key: APIKey) -> Finding:
    """The same for a stored key. Raises ``SecretUnavailable``."""
    return _verify_key(_requests_with(key))


def verify_resource(resource: ChatService | TwiMLApp | PushCredential) -> Finding:
    """Whether its account has it. Raises ``NotConfigured`` or ``SecretUnavailable``."""
    account = resource.account
    answer = _requests_of(account).get(_url_of(resource))
    if answer.says(401, 403):
        message = _("Twilio refuses the account's API key, so this was not looked up. Check it.")
        return answer.refused("account", message)
    if answer.says(404):
        message = _(
            "Account %(account)s has no %(kind)s with this SID in region US1. Was it deleted, or "
            "copied from another account or another product?"
        ) % {"account": account.sid, "kind": resource._meta.verbose_name}
        return answer.refused("sid", message)
    found = _texts(answer.data)
    if not answer.says(200) or found.get("sid") != resource.sid or not found.get("account_sid"):
        return answer.unreachable()
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


def _verify_key(requests: _Requests) -> Finding:
    answer = requests.get(_apps_url(API, requests.account_sid))
    if answer.says(200) and isinstance(answer.data.get("applications"), list):
        return Finding(Outcome.VERIFIED, _("Twilio accepts this key for its account, in US1."))
    if answer.says(401):
        return _why_unauthorized(requests, answer)
    if answer.says(403):
        return _not_permitted(answer)
    if answer.says(404):
        message = _("Twilio has no account %(account)s.") % {"account": requests.account_sid}
        return answer.refused("account", message)
    return answer.unreachable()


def _why_unauthorized(requests: _Requests, answer: _Answer) -> Finding:
    """Error 20003 says nothing of the reason: look where else the key is known."""
    for region, host in OTHER_REGIONS.items():
        if requests.get(_apps_url(host, requests.account_sid)).says(200):
            message = _(
                "This is a key of region %(region)s. Access Tokens for Video work only with a key "
                "of region US1: make one in the Twilio Console."
            ) % {"region": region.upper()}
            return answer.refused("sid", message)
    configuration = requests.get(f"{CONVERSATIONS}/v1/Configuration")
    owner = _texts(configuration.data).get("account_sid") if configuration.says(200) else None
    if owner == requests.account_sid:
        return _not_permitted(answer)
    if owner:
        message = _("This key belongs to another account, %(owner)s.") % {"owner": owner}
        return answer.refused("account", message)
    message = _(
        "Twilio refuses this SID with this secret. The likely causes, in order: the secret was "
        "cut off or is that of another key; the key was deleted at Twilio; it belongs to another "
        "account; it was made in another region than US1; it is a Restricted key; the account is "
        "suspended."
    )
    return answer.refused("secret", message)


def _not_permitted(answer: _Answer) -> Finding:
    message = _(
        "Twilio knows this key, but does not let it see the account's TwiML apps. It is probably a "
        "Restricted key, which cannot sign Access Tokens: make a Standard key. Or the account is "
        "suspended."
    )
    return answer.refused("sid", message)


def _list(account: Account, url: str, name: str) -> list[Listed]:
    found: dict[str, Listed] = {}  # by SID: one made meanwhile moves another to the next page
    for page in _pages(_requests_of(account), url):
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


def _pages(requests: _Requests, url: str | None) -> Iterator[Mapping[str, Any]]:
    seen: set[str] = set()
    while url is not None:
        if url in seen or len(seen) == MOST_PAGES:
            raise ListingFailed(_("Twilio's list does not end; nothing was taken from it."))
        seen.add(url)
        answer = requests.get(url)
        if answer.says(401, 403):
            message = _("Twilio refuses the account's API key. Check it.")
            raise ListingFailed(answer.refused("account", message).message)
        if not answer.says(200):
            raise ListingFailed(answer.unreachable().message)
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


# Requests and answers


@dataclass(frozen=True)
class _Answer:
    """``data`` is empty for anything but JSON objects; ``status`` is 0 where nobody answered."""

    status: int
    data: Mapping[str, Any]
    retry_after: str = ""
    failure: str = ""

    def says(self, *statuses: int) -> bool:
        """Whether Twilio says so. What a proxy has to say is no JSON."""
        return self.status in statuses and bool(self.data)

    @property
    def code(self) -> int | None:
        code = self.data.get("code")
        is_code = type(code) is int and 0 < code < 1_000_000
        return code if is_code else self.status or None

    @property
    def wait(self) -> float | None:
        """Seconds until the request may be repeated; None if it should not be."""
        if self.status != 429 and self.status < 500:
            return None
        try:
            wait = max(0.0, float(self.retry_after))
        except ValueError:
            return 0  # it may be a date, but is not with Twilio
        return wait if wait <= LONGEST_WAIT else None

    def refused(self, field: str, message: str) -> Finding:
        message += _(" (Twilio's error %(code)s)") % {"code": self.code}
        return Finding(Outcome.REFUSED, message, self.code, field)

    def unreachable(self) -> Finding:
        if self.status == 0:
            message = _("Twilio could not be reached: %(failure)s")
        elif self.status == 429:
            message = _("Twilio is asked too much at the moment. Try again later.")
        elif self.status >= 500:
            message = _("Twilio cannot answer at the moment (HTTP %(status)d). Try again later.")
        elif self.data:
            message = _("Twilio's answer (HTTP %(status)d) could not be understood.")
        else:
            message = _(
                "What answered (HTTP %(status)d) is not Twilio's API. Is there a proxy or a "
                "firewall in between?"
            )
        message %= {"status": self.status, "failure": self.failure}
        return Finding(Outcome.UNREACHABLE, message, self.code)


class _Requests:
    """Requests with one key's credentials."""

    def __init__(self, account_sid: str, key_sid: str, secret: str) -> None:
        self.account_sid = account_sid
        self._credentials = (key_sid, secret)

    def get(self, url: str) -> _Answer:
        answer = self._get_once(url)
        if answer.wait is not None:
            time.sleep(answer.wait)
            answer = self._get_once(url)
        return answer

    def _get_once(self, url: str) -> _Answer:
        try:
            response = self._send(url)
            status, text = int(response.status_code), response.text or ""
            retry_after = str((response.headers or {}).get("Retry-After", ""))
        except ImproperlyConfigured as error:
            return _Answer(0, {}, failure=str(error))
        except Exception as error:  # noqa: BLE001 - whatever a client raises, its frames hold the secret
            return _Answer(0, {}, failure=f"{type(error).__name__}.")
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        return _Answer(status, data if isinstance(data, dict) else {}, retry_after)

    def _send(self, url: str) -> Any:
        http_client = self._client.http_client
        try:
            timeout = getattr(http_client, "timeout", None) or TIMEOUT
            return self._client.request("GET", url, timeout=timeout)
        finally:
            # Twilio's class keeps its last request, credentials included; a site may share it.
            http_client._test_only_last_request = None

    @cached_property
    def _client(self) -> Client:
        make_http_client = settings.http_client or TwilioHttpClient
        return Client(
            *self._credentials,
            self.account_sid,
            http_client=make_http_client(),
            # Instead of the process's, in which TWILIO_REGION and TWILIO_EDGE divert requests.
            environment={"TWILIO_REGION": "", "TWILIO_EDGE": ""},
        )


def _requests_with(key: APIKey) -> _Requests:
    account_sid = key.account.sid  # a query may fail, and must not while the plaintext is here
    return _Requests(account_sid, key.sid, unseal(key.secret, row=key.id, sid=key.sid))


def _requests_of(account: Account) -> _Requests:
    # Not the remembered one: a check must know the key that was saved a moment ago.
    key = APIKey.objects.select_related("account").newest_active(account.pk)
    if key is None:
        raise NotConfigured(f"Account {account.sid} has no active API key.")
    return _requests_with(key)


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

"""Asks Twilio's REST API whether stored credentials are real, and what an account has.

What Twilio answers is told as a ``Finding``; nothing here raises because of an answer, or of
none. The requests go to Twilio's US1 hosts whatever ``TWILIO_REGION`` and ``TWILIO_EDGE`` say.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
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
    if answer.is_refusal:
        message = _("Twilio refuses the account's API key, so this was not looked up. Check it.")
        return answer.refused("account", message)
    if answer.is_not_found:
        message = _(
            "Account %(account)s has no %(kind)s with this SID in region US1. Was it deleted, or "
            "copied from another account or another product?"
        ) % {"account": account.sid, "kind": resource._meta.verbose_name}
        return answer.refused("sid", message)
    owner = answer.text("account_sid")
    if not answer.is_good or answer.text("sid") != resource.sid or not owner:
        return answer.unreachable()
    if owner != account.sid:
        message = _("This belongs to another account, %(owner)s.") % {"owner": owner}
        return Finding(Outcome.REFUSED, message, field="account")
    platform = answer.text("type")
    if isinstance(resource, PushCredential) and platform not in ("", resource.platform):
        message = _("At Twilio this credential is for %(platform)s.") % {"platform": platform}
        return Finding(Outcome.REFUSED, message, field="platform")
    name = answer.text("friendly_name") or resource.sid
    return Finding(Outcome.VERIFIED, _("Twilio knows it as “%(name)s”.") % {"name": name})


def list_chat_services(account: Account) -> list[Listed]:
    """All of them. Raises ``ListingFailed``, ``NotConfigured`` or ``SecretUnavailable``."""
    return _list(account, f"{CONVERSATIONS}/v1/Services?PageSize=100", "services")


def list_twiml_apps(account: Account) -> list[Listed]:
    """All of them. Raises ``ListingFailed``, ``NotConfigured`` or ``SecretUnavailable``."""
    return _list(account, _applications_url(API, account.sid, page_size=1000), "applications")


# What the answers mean


def _verify_key(requests: _Requests) -> Finding:
    answer = requests.get(_applications_url(API, requests.account_sid))
    if answer.is_good and "applications" in answer.data:
        return Finding(Outcome.VERIFIED, _("Twilio accepts this key for its account, in US1."))
    if answer.is_refusal:
        return _why_unauthorized(requests, answer) if answer.status == 401 else _forbidden(answer)
    if answer.is_not_found:
        message = _("Twilio has no account %(account)s.") % {"account": requests.account_sid}
        return answer.refused("account", message)
    return answer.unreachable()


def _why_unauthorized(requests: _Requests, answer: _Answer) -> Finding:
    """Error 20003 says nothing of the reason: look where else the key is known."""
    for region, host in OTHER_REGIONS.items():
        if requests.get(_applications_url(host, requests.account_sid)).is_good:
            message = _(
                "This is a key of region %(region)s. Access Tokens for Video work only with a key "
                "of region US1: make one in the Twilio Console."
            ) % {"region": region.upper()}
            return answer.refused("sid", message)
    owner = requests.get(f"{CONVERSATIONS}/v1/Configuration").text("account_sid")
    if owner == requests.account_sid:
        return _forbidden(answer)
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


def _forbidden(answer: _Answer) -> Finding:
    message = _(
        "Twilio knows this key, but does not let it see the account's TwiML apps. It is probably a "
        "Restricted key, which cannot sign Access Tokens: make a Standard key. Or the account is "
        "suspended."
    )
    return answer.refused("sid", message)


def _list(account: Account, url: str, name: str) -> list[Listed]:
    found: dict[str, Listed] = {}  # by SID: one made meanwhile moves others to the next page
    for page in _pages(_requests_of(account), url):
        items = page.get(name)
        if not isinstance(items, list):
            raise ListingFailed(_("Twilio's list could not be understood."))
        for item in items:
            each = {key: _text(value) for key, value in item.items()} if _is_object(item) else {}
            if not each.get("sid"):
                raise ListingFailed(_("Twilio's list could not be understood."))
            if each.get("account_sid") != account.sid:
                raise ListingFailed(
                    _("Twilio lists what belongs to another account, %(owner)s. Check the API key.")
                    % {"owner": each.get("account_sid")}
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
        if answer.is_refusal:
            message = _("Twilio refuses the account's API key. Check it.")
            raise ListingFailed(answer.refused("account", message).message)
        if not answer.is_good:
            raise ListingFailed(answer.unreachable().message)
        yield answer.data
        url = _next_page(url, answer.data)


def _next_page(url: str, data: Mapping[str, Any]) -> str | None:
    """The one kind of API has an address in ``meta``, the other a path beside the items."""
    meta = data.get("meta")
    following = meta.get("next_page_url") if _is_object(meta) else data.get("next_page_uri")
    if not following:
        return None
    try:
        address = urljoin(url, _text(following))
        is_same_host = urlsplit(address)[:2] == urlsplit(url)[:2]
    except ValueError:
        is_same_host = False
    if not is_same_host:
        raise ListingFailed(_("Twilio's list goes on at an unknown address; it was not asked."))
    return address


# Requests and answers


@dataclass(frozen=True)
class _Answer:
    """``status`` 0 means that nobody answered; ``data`` is empty for anything but JSON objects."""

    status: int
    data: Mapping[str, Any] = field(default_factory=dict)
    retry_after: str = ""
    failure: str = ""

    @property
    def is_good(self) -> bool:
        return self.status == 200 and bool(self.data)

    # A proxy's page about its own refusals is HTML.

    @property
    def is_refusal(self) -> bool:
        return self.status in (401, 403) and bool(self.data)

    @property
    def is_not_found(self) -> bool:
        return self.status == 404 and bool(self.data)

    @property
    def code(self) -> int | None:
        code = self.data.get("code")
        is_code = type(code) is int and 0 < code < 1_000_000
        return code if is_code else self.status or None

    def text(self, name: str) -> str:
        return _text(self.data.get(name))

    def wait(self) -> float | None:
        """Seconds until the request may be repeated; None if it should not be."""
        if self.status != 429 and self.status < 500:
            return None
        wait = _seconds(self.retry_after)
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
        wait = answer.wait()
        if wait is not None:
            time.sleep(wait)
            answer = self._get_once(url)
        return answer

    def _get_once(self, url: str) -> _Answer:
        try:
            response = self._send(url)
            status, text = int(response.status_code), response.text
            retry_after = (response.headers or {}).get("Retry-After") or ""
        except ImproperlyConfigured as error:
            return _Answer(0, failure=str(error))
        except Exception as error:  # noqa: BLE001 - whatever a client raises, its frames hold the secret
            return _Answer(0, failure=f"{type(error).__name__}.")
        try:
            data = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            data = None
        return _Answer(status, data if _is_object(data) else {}, retry_after)

    def _send(self, url: str) -> Any:
        http_client = self._client.http_client
        try:
            timeout = getattr(http_client, "timeout", None) or TIMEOUT
            return self._client.request("GET", url, timeout=timeout)
        finally:
            # Twilio's client keeps its last request, and so the secret; a site may share it.
            http_client._test_only_last_request = None

    @cached_property
    def _client(self) -> Client:
        make_http_client = settings.http_client or TwilioHttpClient
        return Client(
            *self._credentials,
            self.account_sid,
            http_client=make_http_client(),
            # Instead of the process's: there TWILIO_REGION and TWILIO_EDGE divert the requests.
            environment={"TWILIO_REGION": "", "TWILIO_EDGE": ""},
        )


def _requests_with(key: APIKey) -> _Requests:
    account_sid = key.account.sid  # a query, which may fail, before the plaintext is there
    return _Requests(account_sid, key.sid, unseal(key.secret, row=key.id, sid=key.sid))


def _requests_of(account: Account) -> _Requests:
    # Not from the process's memory: a check must know the key that was saved a moment ago.
    key = APIKey.objects.select_related("account").newest_active(account.pk)
    if key is None:
        raise NotConfigured(f"Account {account.sid} has no active API key.")
    return _requests_with(key)


def _applications_url(host: str, account_sid: str, *, page_size: int = 1) -> str:
    return f"{host}/2010-04-01/Accounts/{account_sid}/Applications.json?PageSize={page_size}"


def _url_of(resource: ChatService | TwiMLApp | PushCredential) -> str:
    if isinstance(resource, ChatService):
        return f"{CONVERSATIONS}/v1/Services/{resource.sid}"
    if isinstance(resource, PushCredential):
        return f"{CONVERSATIONS}/v1/Credentials/{resource.sid}"
    return f"{API}/2010-04-01/Accounts/{resource.account.sid}/Applications/{resource.sid}.json"


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _text(value: Any) -> str:
    """Text of Twilio's, fit for any database and any page; empty for what is no text."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "", value) if _is_text(value) else ""


def _seconds(retry_after: str) -> float:
    """What a Retry-After header asks for, as a number or as a date; 0 where it cannot be read."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0

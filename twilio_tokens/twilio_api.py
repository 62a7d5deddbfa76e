"""Twilio's REST API over HTTP: where to ask, how long to wait, what counts as an answer.

What an answer means is decided elsewhere. No answer raises an error, and neither does a missing
answer, except for a list without an end. Requests go to Twilio's US1 hosts, whatever
``TWILIO_REGION`` and ``TWILIO_EDGE`` say.
"""

from __future__ import annotations

import contextvars
import io
import json
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from django.db import connections
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .characters import visible
from .conf import answer_of, settings
from .exceptions import ListingFailed, SettingError

if TYPE_CHECKING:
    from requests import Response as HTTPResponse
    from twilio.http.http_client import TwilioHttpClient
    from twilio.http.response import Response
    from twilio.rest import Client

#: Seconds to connect, and again for each part of an answer; for HTTP clients without a timeout of
#: their own.
TIMEOUT = 5

#: The longest wait, in seconds, before the one retry of a request. A longer wait means giving up.
LONGEST_WAIT = 5

#: Bytes. The longest page requested, of a thousand TwiML Apps, takes about one million.
LARGEST_ANSWER = 8_000_000

#: Characters. Names at Twilio have at most 256.
LONGEST_TEXT = 1_000

#: Pages of a list. A longer one is taken to be endless.
MOST_PAGES = 100

API = "https://api.twilio.com"

#: Where keys from other regions are valid.
OTHER_REGIONS = {
    "ie1": "https://api.dublin.ie1.twilio.com",
    "au1": "https://api.sydney.au1.twilio.com",
    "jp1": "https://api.tokyo.jp1.twilio.com",
}

#: Names the account that a key belongs to.
CONFIGURATION = "https://conversations.twilio.com/v1/Configuration"


def one_app(account_sid: str, *, host: str = API) -> str:
    """The address of a list that every key that can sign may read, even if it is empty."""
    return f"{host}/2010-04-01/Accounts/{account_sid}/Applications.json?PageSize=1"


@dataclass(frozen=True)
class Answer:
    """``data`` is empty for anything but a JSON object.

    ``status`` is 0 if nobody answered; ``failure`` then says why, in a sentence.
    """

    status: int
    data: Mapping[str, Any]
    retry_after: str = ""
    failure: str = ""

    def says(self, *statuses: int) -> bool:
        """Whether Twilio itself answered so. A proxy's answer is not JSON."""
        return self.status in statuses and bool(self.data)

    @property
    def code(self) -> int | None:
        code = self.data.get("code")
        is_code = type(code) is int and 0 < code < 1_000_000
        return code if is_code else self.status or None

    @property
    def texts(self) -> dict[str, str]:
        return texts(self.data)

    @property
    def wait(self) -> float | None:
        """Seconds until the request may be retried; None if it should not be."""
        if self.status != 429 and self.status < 500:
            return None
        try:
            wait = max(0.0, float(self.retry_after))
        except ValueError:
            return 0  # the header may hold a date, but Twilio sends none
        return wait if wait <= LONGEST_WAIT else None


def texts(value: object) -> dict[str, str]:
    """The strings in a JSON object from Twilio, made safe for any database and any page."""
    items = value.items() if isinstance(value, Mapping) else ()
    return {name: visible(text[:LONGEST_TEXT]) for name, text in items if isinstance(text, str)}


class Requests:
    """Requests with one key's credentials that take at most ``seconds`` in total."""

    def __init__(self, account_sid: str, key_sid: str, secret: str, *, seconds: float) -> None:
        self.account_sid = account_sid
        self._credentials = (key_sid, secret)
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def get(self, url: str) -> Answer:
        answer = self._get_once(url)
        if answer.wait is not None and answer.wait < self._left:
            time.sleep(answer.wait)
            answer = self._get_once(url)
        return answer

    def pages(self, url: str | None) -> Iterator[Answer]:
        """The pages of a list, starting at ``url``; the last one may be a failure."""
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) == MOST_PAGES:
                raise ListingFailed(_("Twilio's list does not end, so it was discarded."))
            seen.add(url)
            answer = self.get(url)
            yield answer
            url = _next_page(url, answer)

    @property
    def _left(self) -> float:
        return self._end - time.monotonic()

    def _get_once(self, url: str) -> Answer:
        """The answer, if it is complete in time.

        Socket timeouts do not catch a server that sends a byte now and then, or a slow name server,
        and the site's own HTTP client need not have a timeout. So a thread sends the request and
        is abandoned when the time is up.
        """
        if self._left > 0:
            answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
            ask = partial(contextvars.copy_context().run, self._ask, url, answers)
            threading.Thread(target=ask, daemon=True).start()
            with suppress(queue.Empty):
                return answers.get(timeout=max(0, self._left))
            self._forget_request()
        seconds = ceil(self._seconds)
        message = ngettext(
            "There was no complete answer within %(seconds)d second.",
            "There was no complete answer within %(seconds)d seconds.",
            seconds,
        )
        return Answer(0, {}, failure=message % {"seconds": seconds})

    def _ask(self, url: str, answers: queue.SimpleQueue[Answer]) -> None:
        try:
            answers.put(self._answer(url))
        finally:
            connections.close_all()  # those of this thread: the site's client may have opened some

    def _answer(self, url: str) -> Answer:
        try:
            response = self._send(url)
            status, text = int(response.status_code), response.text or ""
            retry_after = str((response.headers or {}).get("Retry-After", ""))
        except SettingError as error:
            return Answer(0, {}, failure=error.reason)
        except Exception as error:  # noqa: BLE001 - whatever a client raises, its frames hold the secret
            failure = _("The request failed: %(error)s.") % {"error": type(error).__name__}
            return Answer(0, {}, failure=failure)
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        return Answer(status, data if isinstance(data, dict) else {}, retry_after)

    def _send(self, url: str) -> Response:
        timeout = getattr(self._client.http_client, "timeout", None) or TIMEOUT
        try:
            return self._client.request("GET", url, timeout=min(timeout, max(self._left, 0.1)))
        finally:
            self._forget_request()

    def _forget_request(self) -> None:
        """Twilio's class keeps its last request with the credentials, and a site may share it."""
        client = vars(self).get("_client")
        if client is not None:
            client.http_client._test_only_last_request = None

    @cached_property
    def _client(self) -> Client:
        # Imported here, so that a worker that never calls Twilio starts faster and stays smaller.
        from twilio.rest import Client  # noqa: PLC0415

        make = settings.http_client
        return Client(
            *self._credentials,
            self.account_sid,
            http_client=default_http_client() if make is None else answer_of("HTTP_CLIENT", make),
            # Not the process's environment, where TWILIO_REGION and TWILIO_EDGE redirect requests.
            environment={"TWILIO_REGION": "", "TWILIO_EDGE": ""},
        )


def _next_page(url: str, page: Answer) -> str | None:
    """The 2010 API gives a path next to the items, newer APIs give an address in ``meta``."""
    following = page.data.get("next_page_uri") or texts(page.data.get("meta")).get("next_page_url")
    if not following:
        return None
    try:
        address = urljoin(url, str(following))
        is_same_host = urlsplit(address)[:2] == urlsplit(url)[:2]
    except ValueError:
        is_same_host = False
    if not is_same_host:
        raise ListingFailed(
            _("Twilio's list continues at an unknown address, so it was discarded.")
        )
    return address


def default_http_client() -> TwilioHttpClient:
    from twilio.http.http_client import TwilioHttpClient  # noqa: PLC0415 - for the same reason

    return TwilioHttpClient(request_hooks={"response": _read_body})


class AnswerTooLarge(Exception):
    pass


def _read_body(response: HTTPResponse, **kwargs: Any) -> None:
    """A hook for requests, which would otherwise read an endless body to its end."""
    body = io.BytesIO()
    for chunk in response.raw.stream(65_536, decode_content=True):
        body.write(chunk)
        if body.tell() > LARGEST_ANSWER:
            response.raw.close()
            raise AnswerTooLarge
    body.seek(0)
    response.raw = body

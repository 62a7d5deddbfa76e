"""What Sentry is told of errors at each step of a request, its variables included.

Sentry hides variables and fields by their names. Here it is made not to: nothing may be there to
be hidden.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
import sentry_sdk
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.test import Client, RequestFactory
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from tests.console import filled, url
from tests.rows import new_secret, sid
from tests.security.canaries import leaked
from tests.security.failures import (
    ISSUING,
    TYPING,
    Failing,
    Step,
    answer,
    before_saving,
    middleware,
)
from tests.sites.collected_errors import events, frames, start
from twilio_tokens.models import Account, APIKey

FORM = "application/x-www-form-urlencoded"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_sent() -> None:
    events.clear()


@pytest.fixture(params=[False, True], ids=["private", "pii"])
def unscrubbed(request: pytest.FixtureRequest) -> None:
    start(send_default_pii=request.param)


def sent() -> str:
    text = json.dumps(events)
    assert "RuntimeError" in text
    return text


@pytest.mark.parametrize("step", ISSUING)
def test_no_step_of_issuing_tells_of_the_secret_the_token_or_a_key(
    step: Step,
    unscrubbed: None,
    api: APIClient,
    api_key: APIKey,
    secret: str,
    settings: Any,
    failing: Failing,
) -> None:
    keys = settings.TWILIO_TOKENS_ENCRYPTION_KEYS
    failing(step)
    api.raise_request_exception = False
    api.post("/twilio/tokens/video/", {"room": "A"}, "json")
    assert leaked(sent(), secrets=[secret], tokens=failing.tokens, keys=keys) == set()


@pytest.mark.parametrize("step", TYPING)
def test_no_frame_of_the_console_tells_of_the_secret(
    step: Step,
    unscrubbed: None,
    account: Account,
    admin_client: Client,
    failing: Failing,
) -> None:
    failing(step)
    admin_client.raise_request_exception = False
    typed = filled(APIKey)
    admin_client.post(url(APIKey, "add"), typed)
    assert "Something failed." in sent()
    assert (
        leaked(json.dumps(list(frames())), secrets=[typed["secret"]], tokens=[], keys=[]) == set()
    )


def test_nor_does_the_command_that_imports_it(
    unscrubbed: None, account: Account, failing: Failing, tmp_path: Path
) -> None:
    secret, file = new_secret(), tmp_path / ".env"
    names = {"ACCOUNT_SID": account.sid, "API_KEY": sid("SK"), "API_SECRET": secret}
    file.write_text("".join(f"TWILIO_{name}={value}\n" for name, value in names.items()))
    failing(before_saving)
    try:
        call_command("twilio_import_env", f"--env-file={file}")
    except RuntimeError as error:
        sentry_sdk.capture_exception(error)
    tests = [frame.pop("vars") for frame in frames() if frame["module"] == __name__]
    assert tests
    assert leaked(sent(), secrets=[secret], tokens=[], keys=[]) == set()


# What Sentry takes beside the frames is the site's: docs/secrets.md says how to hide it.


@pytest.mark.parametrize("send_default_pii", [False, True])
def test_sentry_takes_the_form_and_hides_it_by_the_names_of_its_fields(
    send_default_pii: bool, account: Account, failing: Failing, admin_client: Client
) -> None:
    failing(before_saving)
    admin_client.raise_request_exception = False
    for hidden in ([], ["sid", "name"]):
        start(send_default_pii=send_default_pii, hidden=hidden)
        events.clear()
        typed = filled(APIKey)
        admin_client.post(url(APIKey, "add"), typed)
        [form] = forms()
        assert form["secret"] == "[Filtered]"
        assert form["sid"] == ("[Filtered]" if hidden else typed["sid"])
        assert form["region"] == "us1"


def forms() -> list[dict[str, Any]]:
    requests = [event.get("request", {}) for event in events if "exception" in event]
    return [request["data"] for request in requests if "data" in request]


# The recipe of docs/monitoring.md


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page gives to Sentry."""
    page = (Path(__file__).parent.parent.parent / "docs/monitoring.md").read_text()
    code = page.partition("## Sentry")[2].partition("```python\n")[2].partition("```")[0]
    given: dict[str, Any] = {}
    monkeypatch.setenv("SENTRY_DSN", "https://public@sentry.invalid/1")
    sdk = SimpleNamespace(init=given.update)
    exec(code, {"os": os, "sentry_sdk": sdk})  # noqa: S102 - the page's own
    del given["dsn"]
    return given


def without_server(client: Client, path: str, form: dict[str, Any]) -> None:
    """Sentry is not told the address."""
    client.raise_request_exception = False
    client.post(path, form)


def by_server(client: Client, path: str, form: dict[str, Any]) -> None:
    """Through the application as a server calls it, which Sentry wraps."""
    body = urlencode(form).encode()
    environ = RequestFactory(**client.defaults).post(path, body, FORM).environ
    environ["HTTP_COOKIE"] = client.cookies.output(header="", sep=";")
    application = WSGIHandler()
    b"".join(application(environ, lambda status, headers: None))


@pytest.mark.parametrize("field", ["secret", "sid", "name"])
@pytest.mark.parametrize("send", [without_server, by_server])
def test_the_recipe_keeps_the_form_and_the_session_of_our_pages_from_sentry(
    send: Callable[..., None],
    field: str,
    account: Account,
    failing: Failing,
    admin_client: Client,
    recipe: dict[str, Any],
) -> None:
    start(send_default_pii=True, **recipe)
    failing(middleware)
    secret, session = new_secret(), admin_client.cookies["sessionid"].value
    send(admin_client, url(APIKey, "add"), {**filled(APIKey), field: secret})
    requests = [event["request"] for event in events if "request" in event]
    assert requests
    assert leaked(json.dumps(requests), secrets=[secret, session], tokens=[], keys=[]) == set()
    assert not any({"data", "cookies", "query_string"} & each.keys() for each in requests)


def test_the_recipe_keeps_who_asks_for_a_token_from_sentry(
    user: User, api_key: APIKey, failing: Failing, recipe: dict[str, Any]
) -> None:
    start(send_default_pii=True, **recipe)
    failing(answer)
    token = Token.objects.create(user=user).key
    client = Client(headers={"Authorization": f"Token {token}", "User-Agent": "Phone"})
    by_server(client, "/twilio/tokens/video/", {"room": "A"})
    assert "Phone" in sent()
    assert leaked(sent(), secrets=[token], tokens=failing.tokens, keys=[]) == set()


def test_the_recipe_leaves_the_rest_of_the_site_alone(recipe: dict[str, Any]) -> None:
    event = {"request": {"url": "https://site.example/blog/", "data": {"text": "Hello"}}}
    assert recipe["before_send"](event, {}) == event
    assert recipe["before_send_transaction"](event, {}) == event
    assert recipe["before_send"]({"message": "no request"}, {}) == {"message": "no request"}

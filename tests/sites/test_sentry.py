"""What Sentry is told of errors at each step of a request, its variables included.

Sentry hides variables and fields by their names. Here it is made not to: nothing may be there to
be hidden.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from tests.console import filled, url
from tests.rows import new_secret, sid
from tests.security.canaries import leaked
from tests.security.failures import ISSUING, TYPING, Failing, Step, before_saving
from tests.sites.collected_errors import events, frames, start
from twilio_tokens.models import Account, APIKey

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

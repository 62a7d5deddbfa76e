"""Twilio's Sync SDK is supplied with tokens as those of the example's pages are."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page

from tests.rows import sid
from twilio_tokens.models import APIKey, SyncService

from .pages import wait_past_expiry
from .site_answers import without_schedule
from .twilio_sockets import Twilio

START = """async () => {
  const { TokenSource } = await import("/static/twilio_tokens/twilio-tokens.js");
  window.told = [];
  const onError = (error, retryIn) => told.push(error.code, retryIn);
  const tokens = new TokenSource("/twilio/tokens/sync/", {}, { onError });
  const client = new Twilio.Sync.Client((await tokens.get()).token);
  tokens.supply(client);
  Object.assign(window, { tokens, client });
}"""


@pytest.fixture
def _sync_service(api_key: APIKey) -> None:
    SyncService.objects.create(
        account=api_key.account, name="state", sid=sid("IS"), is_default=True
    )


def connected(page: Page) -> None:
    page.goto("/")
    page.add_script_tag(url="/static/twilio-sync/twilio-sync.min.js")
    page.evaluate(START)
    page.wait_for_function("() => client.connectionState === 'connected'")


@pytest.mark.usefixtures("_sync_service")
def test_the_event_of_the_sdk_alone_refreshes(page: Page, twilio: Twilio) -> None:
    """Sync has tokenAboutToExpire."""
    asked = without_schedule(page, "sync", ttl=8)
    connected(page)
    (first,) = twilio.of("data_sync")
    assert first.claims["grants"]["data_sync"] == {"service_sid": sid("IS")}
    wait_past_expiry(page, first)
    assert page.evaluate("client.connectionState") == "connected"
    assert [arrival.code for arrival in twilio.of("data_sync")] == [None] * len(asked)
    assert len({arrival.token for arrival in twilio.of("data_sync")}) > 1


@pytest.mark.usefixtures("_sync_service")
def test_another_users_token_is_not_handed_to_it(page: Page, twilio: Twilio) -> None:
    connected(page)
    bob = Client()
    bob.force_login(User.objects.create(username="bob"))
    session = {"name": "sessionid", "value": bob.cookies["sessionid"].value, "url": page.url}
    page.context.add_cookies([session])
    page.evaluate("tokens.get().catch(() => {})")
    assert page.evaluate("told") == ["identity_changed", None]
    assert [arrival.identity for arrival in twilio.of("data_sync")] == ["anna"]

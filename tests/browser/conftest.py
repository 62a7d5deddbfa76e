"""The example site, a browser, and a local Twilio that knows the site's account."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.rows import sid
from twilio_tokens.models import APIKey

from . import chromium, twilio_sockets
from .pages import PATIENCE, SignedIn
from .twilio_sockets import Sockets, Twilio

expect.set_options(timeout=PATIENCE)

OPTIONS = [
    "--no-sandbox",
    "--ignore-certificate-errors",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--allow-loopback-in-peer-connection",
]


def pytest_configure(config: pytest.Config) -> None:
    if config.option.ds != "tests.browser.settings":
        raise pytest.UsageError(
            "These tests run by: pytest --ds=tests.browser.settings tests/browser"
        )


@pytest.fixture(scope="session")
def sockets() -> Iterator[Sockets]:
    with twilio_sockets.running() as sockets:
        yield sockets


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright, sockets: Sockets) -> Iterator[Browser]:
    resolve = f"--host-resolver-rules=MAP * 127.0.0.1:{sockets.port}, EXCLUDE localhost"
    path = chromium.find()
    assert path, chromium.HOW
    browser = playwright.chromium.launch(executable_path=path, args=[*OPTIONS, resolve])
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def answered() -> Iterator[Callable[[], bool]]:
    """Whether the site is at rest: every request that it has begun is over."""
    begun, over = [], []

    def begin(**kwargs: Any) -> None:
        begun.append(True)

    def end(**kwargs: Any) -> None:
        over.append(True)

    request_started.connect(begin)
    request_finished.connect(end)
    yield lambda: len(begun) == len(over)
    request_started.disconnect(begin)
    request_finished.disconnect(end)


@pytest.fixture
def site(live_server: Any, settings: Any, answered: Callable[[], bool]) -> Iterator[str]:
    """The address of the example site."""
    settings.ALLOWED_HOSTS = ["localhost"]
    yield live_server.url
    # The pages are closed, but what they asked last would write to the next test's database.
    time.sleep(0.05)
    for _ in range(200):
        if answered():
            return
        time.sleep(0.05)
    raise AssertionError("The site did not come to rest.")


@pytest.fixture
def twilio(sockets: Sockets, site: str, api_key: APIKey, secret: str) -> Twilio:
    """A Twilio that knows the account and the key of the site, by what the test typed in."""
    twilio = Twilio(account=sid("AC"), key=sid("SK"), secret=secret)
    sockets.use(twilio)
    return twilio


@pytest.fixture
def signed_in(browser: Browser, site: str) -> Iterator[SignedIn]:
    """Makes a browser context in which a user is signed in."""
    contexts = []

    def make(username: str) -> BrowserContext:
        user, _ = User.objects.get_or_create(username=username)
        client = Client()
        client.force_login(user)
        context = browser.new_context(base_url=site, permissions=["camera", "microphone"])
        context.set_default_timeout(PATIENCE)
        context.add_cookies(
            [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site}]
        )
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(signed_in: SignedIn) -> Page:
    """A page of anna, who is signed in."""
    return signed_in("anna").new_page()

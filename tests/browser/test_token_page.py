"""The Token page, and what every page says of made-up credentials."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from playwright.sync_api import Page, Route, expect

from example_project import demo_credentials
from example_project.models import Meeting
from tests.issued import decoded
from tests.rows import sid
from twilio_tokens.grants import WorkerGrant
from twilio_tokens.models import Account, ChatService, IssuedToken, SyncService, Workspace

from .pages import SignedIn
from .twilio_sockets import Sockets, Twilio

ALL = pytest.mark.usefixtures("api_key", "chat_service", "twiml_app")


def open_page(page: Page) -> Page:
    page.goto("/token/")
    expect(page.locator("#status")).to_have_text("Tokens for anna")
    return page


def get(page: Page) -> str:
    """Ask as the form says; the token, when a new one is shown."""
    before = page.locator("#token-text").text_content()
    page.get_by_role("button", name="Get a token").click()
    expect(page.locator("#token-text")).not_to_have_text(before or "")
    return page.locator("#token-text").text_content() or ""


@ALL
@pytest.mark.parametrize(
    ("fill", "grants"),
    [
        ({"video": True}, {"video": {}}),
        ({"video": True, "video.room": "Stage"}, {"video": {"room": "Stage"}}),
        ({"video": False, "chat": True}, {"chat": {"service_sid": sid("IS")}}),
        (
            {"video": False, "voice": True, "voice.incoming": "No"},
            {"voice": {"outgoing": {"application_sid": sid("AP")}}},
        ),
        ({"video": False, "sync": True}, {"data_sync": {"service_sid": sid("IS", "5")}}),
        (
            {"video": False, "taskrouter": True},
            {
                "task_router": {
                    "workspace_sid": sid("WS"),
                    "worker_sid": sid("WK"),
                    "role": "worker",
                }
            },
        ),
        (
            {"video": True, "chat": True, "voice": True},
            {
                "video": {},
                "chat": {"service_sid": sid("IS")},
                "voice": {"incoming": {"allow": True}, "outgoing": {"application_sid": sid("AP")}},
            },
        ),
    ],
)
def test_any_combination_of_grants(
    page: Page,
    account: Account,
    secret: str,
    settings: Any,
    fill: dict[str, Any],
    grants: dict[str, Any],
) -> None:
    settings.TWILIO_TOKENS_WORKER = lambda user, workspace: WorkerGrant(sid("WK"))
    for model, row in ((SyncService, sid("IS", "5")), (Workspace, sid("WS"))):
        model.objects.create(account=account, name="documents", sid=row, is_default=True)
    open_page(page)
    for name, value in fill.items():
        field = page.locator(f"[name='{name}']")
        if isinstance(value, bool):
            field.set_checked(value)
        elif field.evaluate("(field) => field.localName") == "select":
            field.select_option(label=value)
        else:
            field.fill(value)
    claims = decoded(get(page), secret)
    assert claims["grants"] == {"identity": "anna", **grants}
    shown = page.locator("#token-claims").inner_text().partition("}\n")[2]
    assert json.loads(shown) == claims


@ALL
def test_the_lifetime_counts_down_and_the_token_is_refreshed_now(page: Page, secret: str) -> None:
    open_page(page)
    page.get_by_label("Lifetime in seconds").fill("90")
    first = get(page)
    assert decoded(first, secret)["exp"] - decoded(first, secret)["iat"] == 90
    expect(page.locator("#token-left")).to_have_text("expires in 1:28")
    page.get_by_role("button", name="Refresh now").click()
    expect(page.locator("#count")).to_have_text("2")
    expect(page.locator("#token-text")).not_to_have_text(first)


@ALL
def test_it_refreshes_by_itself_if_one_likes(page: Page) -> None:
    open_page(page)
    page.get_by_label("Lifetime in seconds").fill("4")
    page.get_by_label("Refresh automatically").check()
    page.get_by_role("button", name="Get a token").click()
    expect(page.locator("#count")).to_have_text("3")
    page.get_by_label("Refresh automatically").uncheck()
    expect(page.locator("#token-left")).to_have_text("expired")
    assert IssuedToken.objects.count() == int(page.locator("#count").inner_text())


@ALL
def test_a_wrong_field_is_told(page: Page) -> None:
    open_page(page)
    page.locator("[name=video]").uncheck()
    page.get_by_role("button", name="Get a token").click()
    expect(page.locator("#problem")).to_contain_text("No token (required).")
    expect(page.locator("#problem")).to_contain_text("Request at least one product")
    page.locator("[name=video]").check()
    get(page)
    expect(page.locator("#problem")).to_be_hidden()


@pytest.mark.usefixtures("api_key", "twiml_app")
def test_what_this_user_cannot_get_is_said_beside_it(page: Page, chat_service: ChatService) -> None:
    chat_service.groups.add(Group.objects.create(name="Agents"))
    open_page(page)
    chat = page.locator("[data-product=chat]")
    expect(chat.locator("option")).to_have_count(0)
    expect(chat.locator(".problem-text")).not_to_be_empty()
    expect(page.locator("[data-product=video] .problem-text")).to_be_empty()


# Made-up credentials, as make demo has them


@pytest.fixture
def made_up(sockets: Sockets, site: str) -> None:
    """A Twilio that has never heard of the site's account."""
    demo_credentials.store()
    Meeting.objects.create(room="A").users.add(User.objects.get_or_create(username="anna")[0])
    sockets.use(Twilio(account=sid("AC"), key=sid("SK"), secret="of somebody else's key"))


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize(
    ("path", "button"), [("/video/", "Join"), ("/chat/", None), ("/phone/", "Go online")]
)
def test_without_real_credentials_each_page_says_so_and_shows_the_refusal(
    page: Page, path: str, button: str | None
) -> None:
    page.goto(path)
    notice = page.locator(".notice")
    expect(notice).to_contain_text("This site runs with made-up credentials.")
    expect(notice).to_contain_text("Twilio refuses them")
    expect(notice).to_contain_text("TWILIO_API_SECRET")
    if button:
        page.get_by_role("button", name=button).click()
    problem = page.locator("#problem")
    expect(problem).to_contain_text("Twilio says 20103." if path != "/phone/" else "Twilio says")
    expect(problem).to_contain_text("Check the account and the API key in the admin")
    page.locator("#token-card summary").click()
    expect(page.locator("#token-text")).to_contain_text("eyJ")
    expect(page.locator("#token-claims")).to_contain_text('"identity": "anna"')


@pytest.mark.usefixtures("made_up")
def test_without_real_credentials_there_are_tokens_all_the_same(page: Page) -> None:
    open_page(page)
    expect(page.locator(".notice")).to_be_visible()
    assert get(page).startswith("eyJ")


@ALL
def test_with_real_credentials_there_is_no_notice(page: Page) -> None:
    open_page(page)
    expect(page.locator(".notice")).to_have_count(0)


@ALL
@pytest.mark.parametrize("path", ["video", "chat", "phone"])
def test_without_the_sdks_the_page_says_how_to_install_them(page: Page, path: str) -> None:
    page.route("**/*twilio*.min.js", lambda route: route.fulfill(status=404))
    page.goto(f"/{path}/")
    expect(page.locator("#problem")).to_contain_text("Run “make demo”")


@ALL
def test_a_site_without_an_account_is_told(page: Page) -> None:
    Account.objects.update(is_default=False)
    page.goto("/token/")
    expect(page.locator("[data-product=video] .problem-text")).not_to_be_empty()
    page.get_by_role("button", name="Get a token").click()
    expect(page.locator("#problem")).to_contain_text("No token (not_configured).")


@ALL
def test_a_session_that_has_ended_is_told(page: Page) -> None:
    """The page was open; it asks without a session."""

    def forget(route: Route) -> None:
        cookies = {"cookie": "", "accept": "application/json"}
        route.fulfill(response=route.fetch(headers=cookies))

    page.context.route("**/twilio/tokens/", forget)
    page.goto("/token/")
    expect(page.locator("#problem")).to_contain_text("No token (not_authenticated).")


@ALL
def test_a_required_room_is_told(page: Page, settings: Any) -> None:
    settings.TWILIO_TOKENS_ROOM_REQUIRED = True
    open_page(page)
    expect(page.get_by_placeholder("Required")).to_be_visible()
    page.get_by_role("button", name="Get a token").click()
    expect(page.locator("#problem")).to_contain_text("No token (required).")
    page.locator("[name=video]").uncheck()
    page.locator("[name=chat]").check()
    get(page)
    expect(page.locator("#problem")).to_be_hidden()


@ALL
def test_narrow_screens_need_no_sideways_scrolling(signed_in: SignedIn) -> None:
    page = signed_in("anna").new_page()
    page.set_viewport_size({"width": 360, "height": 740})
    for path in ("/", "/video/", "/chat/", "/phone/", "/token/"):
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide, path

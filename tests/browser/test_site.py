"""The site as people use it: signing in, the browsable API, the admin. All under its CSP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from example_project.models import Meeting
from tests import twilio_server
from tests.issued import decoded
from tests.rows import new_secret, sid
from tests.twilio_server import Key
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey, IssuedToken, Outcome

from .pages import SignedIn


@pytest.fixture(autouse=True)
def complaints() -> Iterator[list[str]]:
    """What the browser complains of: pages that break under the policy fail their test."""
    found: list[str] = []
    yield found
    assert found == []


def watch(page: Page, complaints: list[str]) -> Page:
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    return page


@pytest.fixture
def page(signed_in: SignedIn, complaints: list[str]) -> Page:
    return watch(signed_in("anna").new_page(), complaints)


@pytest.fixture
def staff(signed_in: SignedIn, complaints: list[str]) -> Page:
    User.objects.create_superuser("staff")
    return watch(signed_in("staff").new_page(), complaints)


def test_a_stranger_signs_in_and_is_where_he_wanted_to_be(
    browser: Browser, site: str, complaints: list[str]
) -> None:
    User.objects.create_user("anna", password="correct horse")
    context = browser.new_context(base_url=site)
    page = watch(context.new_page(), complaints)
    page.goto("/token/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Username").fill("anna")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".errorlist")).to_contain_text("correct username and password")
    page.get_by_label("Username").fill("anna")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{site}/token/")
    page.get_by_role("button", name="Sign out").click()
    page.goto("/video/")
    expect(page).to_have_url(re.compile("/accounts/login/"))
    context.close()


@pytest.mark.usefixtures("api_key", "chat_service")
def test_signing_in_and_out_needs_no_javascript(browser: Browser, site: str) -> None:
    User.objects.create_user("anna", password="correct horse")
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/chat/")
    page.get_by_role("button", name="Deutsch").click()
    expect(page).to_have_url(f"{site}/accounts/login/?next=/chat/")
    page.get_by_label("Benutzername").fill("anna")
    page.get_by_label("Passwort").fill("correct horse")
    page.get_by_role("button", name="Anmelden").click()
    expect(page).to_have_url(f"{site}/chat/")
    # Playwright switches JavaScript off, but does not show what the page has for that.
    assert "<noscript" in page.content()
    assert "Diese Seite benötigt JavaScript." in page.content()
    page.get_by_role("link", name="Twilio tokens").click()
    expect(page.locator(".card", has_text="Chat").first).to_contain_text("Steht Ihnen offen.")
    # The site has no TwiML App.
    expect(page.locator(".card", has_text="Telefon").locator(".refused")).not_to_be_empty()
    page.get_by_role("button", name="Abmelden").click()
    expect(page.get_by_role("heading", name="Sie sind abgemeldet")).to_be_visible()
    page.goto("/chat/")
    expect(page).to_have_url(f"{site}/accounts/login/?next=/chat/")
    context.close()


@pytest.mark.django_db
@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:"])
def test_neither_signing_in_nor_a_language_leads_to_another_site(
    elsewhere: str, client: Client, settings: Any
) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    User.objects.create_user("anna", password="correct horse")
    form = {"username": "anna", "password": "correct horse", "next": elsewhere}
    assert client.post("/accounts/login/", form)["Location"] == "/"
    assert client.post("/accounts/login/", form)["Location"] == "/"  # signed in already
    language = {"language": "de", "next": elsewhere}
    assert client.post("/i18n/setlang/", language)["Location"] == "/"


def test_staff_invite_to_a_meeting_in_the_admin(staff: Page) -> None:
    anna = User.objects.create(username="anna")
    staff.goto("/admin/example_project/meeting/add/")
    staff.get_by_label("Room:").fill("DailyStandup")
    staff.locator(".field-users .select2-selection").click()
    staff.locator(".select2-search__field").last.press_sequentially("ann")
    staff.get_by_role("option", name="anna").click()
    staff.locator("[name=ends_0]").fill("2020-01-01")
    staff.locator("[name=ends_1]").fill("12:00:00")
    staff.get_by_role("button", name="Save", exact=True).click()
    expect(staff.locator(".errorlist")).to_contain_text("A meeting ends after it starts.")
    staff.locator("[name=ends_0]").fill("")
    staff.locator("[name=ends_1]").fill("")
    staff.get_by_role("button", name="Save", exact=True).click()
    expect(staff.locator(".success")).to_be_visible()
    [meeting] = Meeting.objects.of(anna)
    assert meeting.is_open


@pytest.mark.usefixtures("chat_service", "twiml_app", "api_key")
@pytest.mark.parametrize(
    ("product", "fields", "grant"),
    [
        ("video", {"room": "Stage"}, {"room": "Stage"}),
        ("chat", {"service": "support"}, {"service_sid": sid("IS")}),
        (
            "voice",
            {"app": "phone"},
            {"incoming": {"allow": True}, "outgoing": {"application_sid": sid("AP")}},
        ),
    ],
)
def test_each_token_by_the_browsable_api(
    page: Page, secret: str, product: str, fields: dict[str, str], grant: dict[str, Any]
) -> None:
    page.goto(f"/twilio/tokens/{product}/")
    form = page.locator("#post-object-form")
    for name, value in fields.items():
        form.locator(f"input[name={name}]").or_(form.locator(f"select[name={name}]")).type(value)
    form.get_by_role("button", name="POST", exact=True).click()
    answer = page.locator(".response-info")
    expect(answer).to_contain_text("201 Created")
    token = re.search(r'"token": "([^"]+)"', answer.inner_text())
    assert token is not None
    assert decoded(token[1], secret)["grants"] == {"identity": "anna", product: grant}


def test_the_browsable_api_tells_a_wrong_field(page: Page, api_key: APIKey) -> None:
    page.goto("/twilio/tokens/video/")
    form = page.locator("#post-object-form")
    form.locator("[name=ttl]").fill("86401")
    form.get_by_role("button", name="POST", exact=True).click()
    expect(page.locator(".response-info")).to_contain_text("400 Bad Request")
    expect(page.locator(".response-info")).to_contain_text('"code": "max_value"')


@pytest.mark.usefixtures("api_key")
def test_one_signs_out_of_the_browsable_api(page: Page) -> None:
    page.goto("/twilio/tokens/")
    page.get_by_role("button", name="Log out").click()
    page.goto("/twilio/tokens/")
    expect(page.locator(".response-info")).to_contain_text("401 Unauthorized")


def test_staff_store_a_key_in_the_admin_and_it_signs(
    staff: Page, secret: str, settings: Any
) -> None:
    staff.goto("/admin/twilio_tokens/account/add/")
    staff.get_by_label("Name:").fill("Main")
    staff.get_by_label("SID:").fill(sid("AC"))
    staff.get_by_role("button", name="Save", exact=True).click()
    expect(staff.locator(".success")).to_be_visible()

    staff.goto("/admin/twilio_tokens/apikey/add/")
    staff.get_by_label("Account:").select_option(label=str(Account.objects.get()))
    staff.get_by_label("Name:").fill("Key")
    staff.get_by_label("SID:").fill(sid("SK"))
    staff.get_by_label("Region:").select_option("us1")
    with twilio_server.running(settings) as twilio:
        twilio.keys[sid("SK")] = Key(secret=secret, account=sid("AC"))
        staff.get_by_label("Secret:").fill(wrong := new_secret())
        staff.get_by_role("button", name="Save", exact=True).click()
        expect(staff.locator(".errorlist").first).to_contain_text("Twilio")
        assert not APIKey.objects.exists()
        assert wrong not in staff.content()
        staff.get_by_label("Secret:").fill(secret)
        staff.get_by_role("button", name="Save", exact=True).click()
        expect(staff.locator(".success").first).to_be_visible()
    assert secret not in staff.content()

    answer = staff.evaluate(
        """async () => {
          const { TokenSource } = await import("/static/twilio_tokens/twilio-tokens.js");
          return new TokenSource("/twilio/tokens/video/").get();
        }"""
    )
    assert decoded(answer["token"], secret)["grants"]["identity"] == "staff"


@pytest.mark.usefixtures("api_key")
def test_staff_issue_a_test_token_and_decode_it(staff: Page, user: User, secret: str) -> None:
    staff.goto("/admin/twilio_tokens/issuedtoken/")
    staff.get_by_role("link", name=re.compile("test token", re.IGNORECASE)).first.click()
    staff.get_by_label("Username:").fill("anna")
    staff.locator("[name=video]").check()
    staff.locator("main [type=submit]").click()
    token = staff.locator("#twilio-token").input_value()
    assert decoded(token, secret)["grants"] == {"identity": "anna", "video": {}}
    assert IssuedToken.objects.get().user == user


@pytest.mark.usefixtures("api_key", "chat_service", "twiml_app", "push_credential")
def test_every_page_works_under_the_policy(staff: Page) -> None:
    policy = staff.goto("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy
    key = APIKey.objects.get()
    for path in (
        "/admin/",
        "/admin/twilio_tokens/",
        "/admin/twilio_tokens/apikey/",
        f"/admin/twilio_tokens/apikey/{key.pk}/change/",
        f"/admin/twilio_tokens/apikey/{key.pk}/history/",
        "/admin/twilio_tokens/issuedtoken/",
        "/admin/twilio_tokens/issuedtoken/test/",
        "/admin/twilio_tokens/issuedtoken/decode/",
        "/admin/twilio_tokens/issuedtoken/dashboard/",
        "/twilio/tokens/",
        "/video/",
        "/chat/",
        "/phone/",
        "/token/",
    ):
        response = staff.goto(path, wait_until="networkidle" if "admin" in path else "load")
        assert response is not None
        assert response.status == 200
        assert response.headers["content-security-policy"] == policy


#: As long as Twilio's messages and identities get.
LONG = "The likely causes, in order: the secret was cut off or is that of another key. " * 4
WIDE = "w" * 128


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.usefixtures("chat_service", "twiml_app", "push_credential")
def test_the_console_fits_the_screen(staff: Page, api_key: APIKey, settings: Any) -> None:
    user = User.objects.create_user(WIDE)
    issue_access_token(user=user, grants=[Video(room="😀" * 32)])
    APIKey.objects.update(name="k" * 100)
    api_key.record_check(Outcome.REFUSED, LONG)
    record = IssuedToken.objects.get()
    account = f"account/{api_key.account_id}"
    too_wide = []
    with twilio_server.running(settings) as twilio:
        twilio.keys[api_key.sid] = Key(secret="", account=api_key.account.sid)
        for width in (390, 768, 1280, 1600):
            staff.set_viewport_size({"width": width, "height": 800})
            for path in (
                "",
                "account/",
                f"{account}/change/",
                f"{account}/import/",
                f"{account}/delete/",
                "apikey/",
                "apikey/add/",
                f"apikey/{api_key.pk}/change/",
                f"apikey/{api_key.pk}/replace/",
                f"apikey/{api_key.pk}/history/",
                "chatservice/add/",
                "issuedtoken/",
                f"issuedtoken/{record.pk}/change/",
                "issuedtoken/test/",
                "issuedtoken/decode/",
                "issuedtoken/dashboard/",
            ):
                staff.goto(f"/admin/twilio_tokens/{path}", wait_until="load")
                if overflow(staff) > 0:
                    too_wide.append((width, path))
    assert not too_wide


def test_the_list_of_keys_shows_without_scrolling_what_is_safe_to_delete(
    staff: Page, api_key: APIKey
) -> None:
    api_key.record_check(Outcome.REFUSED, LONG)
    staff.set_viewport_size({"width": 1280, "height": 800})
    staff.goto("/admin/twilio_tokens/apikey/")
    column = staff.locator("th.column-safe_to_delete").bounding_box()
    table = staff.locator("#changelist .results").bounding_box()
    assert column is not None
    assert table is not None
    assert column["x"] + column["width"] <= table["x"] + table["width"]


def test_the_browsable_api_covers_its_title_on_no_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/twilio/tokens/video/")
    title, bar = page.get_by_role("heading", level=1), page.locator(".navbar")
    assert title.bounding_box()["y"] >= bar.bounding_box()["height"]  # type: ignore[index]
    assert overflow(page) <= 0


def test_a_test_token_counts_down_where_numbers_have_separators(
    staff: Page, api_key: APIKey, user: User, settings: Any
) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    staff.goto("/admin/twilio_tokens/issuedtoken/test/")
    expect(staff.locator("[name=video-room]")).to_be_hidden()
    staff.get_by_label("Username:").fill("anna")
    staff.locator("[name=video]").check()
    expect(staff.locator("[name=video-room]")).to_be_visible()
    staff.locator("main [type=submit]").click()
    expect(staff.locator("#twilio-countdown")).to_contain_text(re.compile(r"00:59:\d\d"))

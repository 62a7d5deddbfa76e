"""The browsable API, used as a browser does: get a page, fill in its form, send it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.response import Response
from rest_framework.test import APIClient

from tests.issued import decoded
from tests.rows import sid
from tests.site.models import Stage
from twilio_tokens.grants import registered
from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken, TwiMLApp
from twilio_tokens.views import TokenViewSet


@dataclass
class Form:
    """What a form would send, its choices and boxes, and the notes beside its inputs."""

    attributes: dict[str, str]
    values: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    boxes: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def errors(self, fresh: Form) -> dict[str, str]:
        """The notes that a fresh form does not have."""
        return {
            name: note
            for name, notes in self.notes.items()
            for note in notes
            if note not in fresh.notes.get(name, [])
        }


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.text = ""
        self.name = ""
        self.read: list[str] = []
        self.feed(html)

    @property
    def form(self) -> Form:
        return self.forms[-1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given))
        elif self.forms and hasattr(self, f"start_{tag}"):
            self.name = given.get("name", self.name)
            getattr(self, f"start_{tag}")(given)
        self.read = []

    def start_input(self, given: dict[str, str]) -> None:
        if given["type"] == "checkbox":
            self.form.boxes[self.name] = given["value"]
        if given["type"] != "checkbox" or "checked" in given:
            self.form.values[self.name] = given.get("value", "")

    def start_select(self, given: dict[str, str]) -> None:
        self.form.choices[self.name] = []

    def start_option(self, given: dict[str, str]) -> None:
        choices = self.form.choices.setdefault(self.name, [])
        if not choices or "selected" in given:
            self.form.values[self.name] = given["value"]
        choices.append(given["value"])

    def start_textarea(self, given: dict[str, str]) -> None:
        self.form.values[self.name] = ""

    def start_span(self, given: dict[str, str]) -> None:
        self.is_note = given.get("class") == "help-block"

    def handle_data(self, data: str) -> None:
        self.text += data
        self.read.append(data)

    def handle_endtag(self, tag: str) -> None:
        if not self.forms:
            return
        text = "".join(self.read)
        if tag == "textarea":
            self.form.values[self.name] = text.removeprefix("\n")
        elif tag == "span" and self.is_note:
            self.form.notes.setdefault(self.name, []).append(text)


def page_of(response: Response) -> Page:
    assert response["Content-Type"] == "text/html; charset=utf-8"
    return Page(response.content.decode())


def forms_of(response: Response) -> list[Form]:
    """The form for filling in, and the one for raw data."""
    forms = [form for form in page_of(response).forms if form.attributes.get("method") == "POST"]
    assert len(forms) == 2
    return forms


class Browser:
    def __init__(self, user: User) -> None:
        self.client = APIClient(enforce_csrf_checks=True, headers={"accept": "text/html"})
        self.client.force_login(user)

    def form(self, path: str) -> Form:
        """The form of the page for filling in."""
        return self.forms(path)[0]

    def raw_form(self, path: str) -> Form:
        return self.forms(path)[1]

    def forms(self, path: str) -> list[Form]:
        response = self.client.get(path)
        assert response.status_code == 200
        return forms_of(response)

    def send(self, form: Form, **values: str) -> Response:
        action = form.attributes["action"]
        assert form.attributes["method"] == "POST"
        assert form.attributes["enctype"] == "multipart/form-data"
        return self.client.post(action, {**form.values, **values}, format="multipart")


@pytest.fixture
def browser(user: User) -> Browser:
    return Browser(user)


@pytest.fixture(autouse=True)
def _site(api_key: APIKey, chat_service: Any, twiml_app: Any, push_credential: Any) -> None:
    """Something of everything."""


def granted(response: Response, secret: str) -> dict[str, Any]:
    assert response.status_code == 201, response.data
    grants = decoded(response.data["token"], secret)["grants"]
    assert response.data["token"] in page_of(response).text
    del grants["identity"]
    return dict(grants)


CHAT = {"service_sid": sid("IS")}
OUTGOING = {"application_sid": sid("AP")}
VOICE = {"incoming": {"allow": True}, "outgoing": OUTGOING}
PUSH = {
    "push_credential": ["", "ios"],
    "platform": ["", "ios", "apn", "android", "fcm"],
    "sandbox": ["", "True", "False"],
}


# The page of one product


@pytest.mark.parametrize(
    ("product", "inputs", "choices"),
    [
        ("video", {"room", "ttl"}, {}),
        (
            "chat",
            {"service", *PUSH, "ttl"},
            {"service": ["", "support"], **PUSH},
        ),
        (
            "voice",
            {"app", "incoming", *PUSH, "params", "ttl"},
            {"app": ["", "phone"], "incoming": ["", "True", "False"], **PUSH},
        ),
    ],
)
def test_a_product_has_a_form_with_its_fields_all_blank(
    browser: Browser, product: str, inputs: set[str], choices: dict[str, list[str]]
) -> None:
    form = browser.form(f"/twilio/tokens/{product}/")
    assert form.values.pop("csrfmiddlewaretoken")
    assert form.values == dict.fromkeys(inputs, "")
    assert form.choices == choices


@pytest.mark.parametrize(("product", "grant"), [("video", {}), ("chat", CHAT), ("voice", VOICE)])
def test_both_forms_of_a_product_can_be_sent_as_they_are(
    browser: Browser, secret: str, product: str, grant: dict[str, Any]
) -> None:
    path = f"/twilio/tokens/{product}/"
    assert granted(browser.send(browser.form(path)), secret) == {product: grant}
    assert granted(send_raw(browser, path), secret) == {product: grant}


def send_raw(browser: Browser, path: str) -> Response:
    """As the script of the browsable API sends the raw form."""
    form = browser.raw_form(path)
    csrf = browser.form(path).values["csrfmiddlewaretoken"]
    return browser.client.generic(
        "POST",
        path,
        form.values["_content"],
        content_type="application/json",
        headers={"x-csrftoken": csrf},
    )


@pytest.mark.parametrize(
    ("product", "values", "grant"),
    [
        ("video", {"room": "Daily <Standup>", "ttl": "60"}, {"room": "Daily <Standup>"}),
        (
            "chat",
            {"service": "support", "push_credential": "ios"},
            {**CHAT, "push_credential_sid": sid("CR")},
        ),
        ("voice", {"incoming": "False"}, {"outgoing": OUTGOING}),
        ("voice", {"incoming": "True"}, VOICE),
        (
            "voice",
            {"app": "phone", "params": '{"queue": "sales"}'},
            {**VOICE, "outgoing": {**OUTGOING, "params": {"queue": "sales"}}},
        ),
    ],
)
def test_what_is_filled_in_is_granted(
    browser: Browser, secret: str, product: str, values: dict[str, str], grant: dict[str, Any]
) -> None:
    form = browser.form(f"/twilio/tokens/{product}/")
    assert values.keys() <= form.values.keys()
    assert granted(browser.send(form, **values), secret) == {product: grant}


@pytest.mark.parametrize(
    ("product", "values", "errors"),
    [
        ("video", {"room": " ", "ttl": "1h"}, {"ttl": "A valid integer is required."}),
        ("video", {"room": " ", "ttl": "60"}, {"room": "This field may not be blank."}),
        ("video", {"room": '"<b>"', "ttl": "0"}, {"ttl": "greater than or equal to 1"}),
        ("voice", {"params": '{"a": 1}', "incoming": "False"}, {"params": "values are strings"}),
        (
            "voice",
            {"params": '{"a":', "app": "phone", "push_credential": "ios"},
            {"params": "valid JSON"},
        ),
    ],
)
def test_what_is_refused_is_kept_with_the_error_beside_it(
    browser: Browser, product: str, values: dict[str, str], errors: dict[str, str]
) -> None:
    form = browser.form(f"/twilio/tokens/{product}/")
    response = browser.send(form, **values)
    assert response.status_code == 400
    refused = forms_of(response)[0]
    assert refused.values.items() >= values.items()
    told = refused.errors(form)
    assert told.keys() == errors.keys()
    for name, part in errors.items():
        assert part in told[name]
    assert not IssuedToken.objects.exists()


def test_what_only_issuing_can_refuse_is_told_beside_its_field_too(
    browser: Browser, chat_service: ChatService, settings: Any
) -> None:
    form = browser.form("/twilio/tokens/chat/")
    chat_service.groups.add(Group.objects.create(name="staff"))
    refused = forms_of(browser.send(form, push_credential="ios", ttl="60"))[0]
    assert refused.errors(form) == {
        "service": "You may not use the default Chat service. Name another one."
    }
    assert (refused.values["push_credential"], refused.values["ttl"]) == ("ios", "60")


def test_a_refused_form_can_be_fixed_and_sent_again(browser: Browser, secret: str) -> None:
    form = browser.form("/twilio/tokens/voice/")
    refused = forms_of(browser.send(form, params='{"a": 1}', incoming="False"))[0]
    response = browser.send(refused, params='{"a": "1"}')
    assert granted(response, secret) == {"voice": {"outgoing": {**OUTGOING, "params": {"a": "1"}}}}


# Whom the page is for


@pytest.fixture
def _not_for_anna(account: Account) -> None:
    """Restricted things, under names that say so."""
    staff = Group.objects.create(name="staff")
    for model, prefix in ((ChatService, "IS"), (TwiMLApp, "AP")):
        hidden = model.objects.create(account=account, name="backstage", sid=sid(prefix, "1"))
        hidden.groups.add(staff)


@pytest.mark.usefixtures("_not_for_anna")
@pytest.mark.parametrize("page", ["", "chat/", "voice/"])
def test_a_page_names_nothing_that_is_not_for_its_user(
    browser: Browser, user: User, page: str
) -> None:
    path = f"/twilio/tokens/{page}"
    assert "backstage" not in browser.client.get(path).content.decode()
    assert "backstage" not in browser.client.options(path).content.decode()
    user.groups.add(Group.objects.get())
    assert "backstage" in browser.client.get(path).content.decode()


@pytest.mark.parametrize("page", ["", "video/"])
def test_who_is_not_signed_in_sees_no_form_and_no_name(page: str) -> None:
    response = APIClient().get(f"/twilio/tokens/{page}", headers={"accept": "text/html"})
    assert response.status_code == 401
    assert not [form for form in page_of(response).forms if "room" in str(form.values)]
    assert "support" not in response.content.decode()


def test_a_form_without_the_csrf_token_is_refused(browser: Browser) -> None:
    form = browser.form("/twilio/tokens/video/")
    response = browser.send(form, csrfmiddlewaretoken="")
    assert (response.status_code, response.data["code"]) == (403, "permission_denied")
    assert not IssuedToken.objects.exists()


@pytest.mark.parametrize(
    ("error", "is_logged"),
    [(ConnectionError(), True), (DjangoPermissionDenied(), False), (Http404(), False)],
)
def test_a_form_that_the_sites_permissions_do_not_allow_is_left_out(
    browser: Browser,
    error: Exception,
    is_logged: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class ForReading(BasePermission):
        def has_permission(self, request: Any, view: Any) -> bool:
            if request.method == "POST":
                raise error
            return True

    monkeypatch.setattr(TokenViewSet, "permission_classes", [IsAuthenticated, ForReading])
    response = browser.client.get("/twilio/tokens/video/")
    assert response.status_code == 200
    assert not [form for form in page_of(response).forms if "room" in str(form.values)]
    assert ("its permissions could not be checked" in caplog.text) == is_logged


# The page of all products


def test_the_page_of_all_products_has_a_box_for_each(browser: Browser) -> None:
    form = browser.form("/twilio/tokens/")
    assert form.boxes == dict.fromkeys(registered(), "1")
    assert form.values.pop("csrfmiddlewaretoken")
    assert not any(form.values.values())
    assert {"video.room", "chat.service", "voice.params", "ttl"} <= form.values.keys()
    assert form.choices["voice.app"] == ["", "phone"]


def test_the_raw_form_of_all_products_can_be_sent_as_it_is(browser: Browser, secret: str) -> None:
    path = "/twilio/tokens/"
    assert json.loads(browser.raw_form(path).values["_content"]) == {"video": {}}
    assert granted(send_raw(browser, path), secret) == {"video": {}}


def test_what_is_ticked_or_filled_in_is_granted_and_nothing_else(
    browser: Browser, secret: str
) -> None:
    form = browser.form("/twilio/tokens/")
    response = browser.send(form, chat="1", **{"video.room": "a", "ttl": "60"})
    assert granted(response, secret) == {"video": {"room": "a"}, "chat": CHAT}
    assert granted(browser.send(form, video="1"), secret) == {"video": {}}
    response = browser.send(form, **{"voice.params": '{"queue": "sales"}'})
    assert granted(response, secret) == {
        "voice": {**VOICE, "outgoing": {**OUTGOING, "params": {"queue": "sales"}}}
    }


def test_what_is_refused_of_several_products_is_kept_with_the_errors_beside_it(
    browser: Browser,
) -> None:
    form = browser.form("/twilio/tokens/")
    values = {
        "chat": "1",
        "video.room": " ",
        "voice.incoming": "False",
        "voice.params": '{"a": "b"}',
    }
    response = browser.send(form, ttl="60", **values)
    refused = forms_of(response)[0]
    assert refused.errors(form) == {"video.room": "This field may not be blank."}
    assert refused.values.items() >= {"ttl": "60", **values}.items()
    assert {*refused.boxes} & {*refused.values} == {"video", "chat", "voice"}


def test_nothing_ticked_is_told_and_stays_unticked(browser: Browser) -> None:
    form = browser.form("/twilio/tokens/")
    response = browser.send(form, ttl="60")
    assert response.data["code"] == "required"
    refused = forms_of(response)[0]
    assert "Request at least one product." in page_of(response).text
    assert not {*refused.boxes} & {*refused.values}
    assert refused.values["ttl"] == "60"


def test_the_pages_have_names_and_lead_to_each_other(browser: Browser) -> None:
    html = browser.client.get("/twilio/tokens/").content.decode()
    assert "<h1>Access Tokens</h1>" in html
    for product, grant in registered().items():
        assert f'href="http://testserver/twilio/tokens/{product}/"' in html
        page = browser.client.get(f"/twilio/tokens/{product}/").content.decode()
        assert f"<h1>{grant.label} Access Token</h1>" in page
        assert re.search(r'href="/twilio/tokens/"\s*>Access Tokens', page)


# A product of the site's own: tests/site


@pytest.fixture
def stage(account: Account) -> Stage:
    return Stage.objects.create(account=account, name="main", sid=sid("VL"), is_default=True)


LIVE = {"player": {"stage": sid("VL")}}


@pytest.mark.usefixtures("stage")
def test_a_sites_own_product_has_a_page_like_the_others(
    browser: Browser, api: APIClient, secret: str
) -> None:
    path = "/twilio/tokens/live/"
    form = browser.form(path)
    assert form.choices == {"stage": ["", "main"]}
    assert granted(browser.send(form, stage="main", ttl="60"), secret) == LIVE
    assert granted(send_raw(browser, path), secret) == LIVE
    assert IssuedToken.objects.first().grants == {"live": {"stage": sid("VL")}}
    answer = api.get(path).json()
    assert (answer["stages"], answer["default"]) == (["main"], "main")
    assert answer["ttl"]["default"] == {"live": 3_600}
    told = api.options(path).json()["actions"]["POST"]
    assert [each["value"] for each in told["stage"]["choices"]] == ["main"]
    response = api.post(path, {"stage": "mian"}, format="json")
    assert response.json()["code"] == "does_not_exist"


def test_a_sites_own_product_is_on_the_page_of_all(
    browser: Browser, secret: str, stage: Stage
) -> None:
    form = browser.form("/twilio/tokens/")
    assert granted(browser.send(form, live="1"), secret) == LIVE
    stage.groups.add(Group.objects.create(name="staff"))
    response = browser.send(form, live="1")
    assert (response.status_code, response.data["code"]) == (400, "does_not_exist")
    assert forms_of(response)[0].errors(form).keys() == {"live.stage"}


def test_a_report_of_what_a_page_is_made_of_does_not_show_the_token(
    client: APIClient, user: User, api_key: APIKey
) -> None:
    client.force_login(user)
    answer = client.post("/twilio/tokens/video/", headers={"accept": "text/html"})
    [token] = set(re.findall(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", answer.content.decode()))
    made_of = repr([each.flatten() for each in answer.context if hasattr(each, "flatten")])
    assert "breadcrumblist" in made_of
    assert token not in made_of

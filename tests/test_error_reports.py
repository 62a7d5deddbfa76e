"""A typed secret is in no error page and in no mail to ADMINS, whatever fails."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.contrib.auth.backends import ModelBackend
from django.db import OperationalError, connection, connections
from django.db.models.signals import post_save, pre_save
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path, resolve, reverse
from django.utils.log import AdminEmailHandler
from django.views.debug import (
    ExceptionReporter,
    SafeExceptionReporterFilter,
    get_default_exception_reporter_filter,
)

from twilio_tokens.admin import forms
from twilio_tokens.admin.forms import APIKeyForm
from twilio_tokens.admin.keys import APIKeyAdmin
from twilio_tokens.error_reports import (
    LONGEST_TEXT,
    MOST_SECRETS,
    SecretsReporter,
    SecretsReporterFilter,
    outside_transactions,
)
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey

from .rows import new_secret, sid

#: All signs that a secret may have, among them those that repr() and HTML escape.
SIGNS = "".join(map(chr, range(ord("!"), ord("~") + 1)))

NAME = "Recognisable"

CHECKED = {"check_with_twilio": "on"}


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no text")


def fail(*args: Any, **kwargs: Any) -> None:
    unprintable = Unprintable()  # noqa: F841 - an error page shows it
    raise RuntimeError("Something failed.")


# A site's own code, with the secret in its variables in one way or another.


def hold(typed: Any) -> None:
    nested = [{"value": typed}]
    said = f'it\'s "{nested}"'
    body = f"{'x' * 50}{typed}".encode()
    fail(said, body)


def receiver(instance: APIKey, **kwargs: Any) -> None:
    hold(instance.secret)


def clean(form: APIKeyForm) -> None:
    hold(form.data["sid"] if form.has_error("sid") else form.data["secret"])


@pytest.fixture
def failing_before_save() -> Iterator[None]:
    pre_save.connect(receiver, sender=APIKey)
    yield
    pre_save.disconnect(receiver, sender=APIKey)


@pytest.fixture
def failing_after_save() -> Iterator[None]:
    post_save.connect(receiver, sender=APIKey)
    yield
    post_save.disconnect(receiver, sender=APIKey)


@pytest.fixture
def failing_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(APIKeyForm, "clean", clean)


@pytest.fixture
def failing_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the database goes away: before the admin's view is reached."""
    monkeypatch.setattr(ModelBackend, "get_user", fail)


@pytest.fixture
def failing_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "verify_credentials", lambda account, sid, secret: hold(secret))


FAILURES = pytest.mark.parametrize(
    "failure",
    [
        "failing_before_save",
        "failing_after_save",
        "failing_clean",
        "failing_check",
        "failing_session",
    ],
)
SECRETS = pytest.mark.parametrize("secret", [new_secret(), SIGNS], ids=["usual", "signs"])


@pytest.fixture
def mails() -> Iterator[list[str]]:
    """The texts and the HTML of the mails to ADMINS."""
    texts: list[str] = []

    class Handler(AdminEmailHandler):
        def send_mail(self, subject: str, message: str, *args: Any, **kwargs: Any) -> None:
            texts.extend([f"{subject}\n{message}", kwargs["html_message"]])

    handler = Handler(include_html=True)
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    yield texts
    logger.removeHandler(handler)


def typed(**values: Any) -> dict[str, Any]:
    return {
        "account": Account.objects.get().pk,
        "name": NAME,
        "sid": sid("SK", "1"),
        "region": "us1",
        **values,
    }


def error_page(
    client: Client,
    data: dict[str, Any],
    accept: str = "text/html",
    model: Any = APIKey,
    query: dict[str, Any] | None = None,
) -> str:
    client.raise_request_exception = False
    address = reverse(f"admin:twilio_tokens_{model._meta.model_name}_add")
    response = client.post(address, data, headers={"accept": accept}, query_params=query)
    assert response.status_code == 500
    return response.content.decode()


def is_in(secret: str, text: str) -> bool:
    """Also as repr() and HTML escape it, and in pieces."""
    for escaped in ("\\", "&#x27;", "&quot;", "&lt;", "&gt;", "&amp;", "'", '"', "<", ">", "&"):
        secret, text = secret.replace(escaped, ""), text.replace(escaped, "")
    return any(secret[start : start + 12] in text for start in range(len(secret) - 11))


@FAILURES
@SECRETS
@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_the_error_page_of_debug_hides_the_secret(
    failure: str,
    secret: str,
    accept: str,
    account: Account,
    admin_client: Client,
    settings: Any,
    request: pytest.FixtureRequest,
) -> None:
    settings.DEBUG = True
    request.getfixturevalue(failure)
    data = typed(secret=secret, **CHECKED if failure == "failing_check" else {})
    page = error_page(admin_client, data, accept)
    assert "Something failed." in page
    assert NAME in page
    assert "REQUEST_METHOD" in page
    assert not is_in(secret, page)


@FAILURES
@SECRETS
def test_without_debug_the_page_says_nothing_and_the_mail_to_admins_hides_the_secret(
    failure: str,
    secret: str,
    account: Account,
    admin_client: Client,
    mails: list[str],
    request: pytest.FixtureRequest,
) -> None:
    request.getfixturevalue(failure)
    data = typed(secret=secret, **CHECKED if failure == "failing_check" else {})
    assert NAME not in error_page(admin_client, data)
    assert len(mails) == 2
    for text in mails:
        assert "Something failed." in text
        assert NAME in text
        assert not is_in(secret, text)


@pytest.mark.parametrize("debug", [True, False])
@SECRETS
def test_a_secret_typed_into_the_sid_field_is_hidden_too(
    debug: bool,
    secret: str,
    account: Account,
    admin_client: Client,
    failing_clean: None,
    mails: list[str],
    settings: Any,
) -> None:
    settings.DEBUG = debug
    page = error_page(admin_client, typed(sid=f" {secret} ", secret=sid("SK")))
    assert mails
    assert all(NAME in text for text in mails)
    assert not any(is_in(secret, text) for text in (page, *mails))


@pytest.mark.parametrize("name", ["Account", "ChatService", "TwiMLApp", "PushCredential"])
def test_so_it_is_in_the_forms_that_have_no_secret(
    name: str,
    account: Account,
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    model: Any = apps.get_model("twilio_tokens", name)
    monkeypatch.setattr(model, "clean", fail)
    settings.DEBUG = True
    secret = new_secret()
    page = error_page(admin_client, typed(sid=secret), model=model)
    assert NAME in page
    assert not is_in(secret, page)


def test_variables_without_a_secret_are_shown_and_those_without_a_text_are_not(
    account: Account, admin_client: Client, failing_after_save: None, settings: Any
) -> None:
    settings.DEBUG = True
    page = error_page(admin_client, typed(secret=new_secret()))
    shown = dict(re.findall(r'<td>(\w+)</td>\s*<td class="code"><pre>(.*?)</pre>', page, re.DOTALL))
    assert shown["form_validated"] == "True"
    assert SecretsReporterFilter.cleansed_substitute in shown["unprintable"]


def test_without_a_request_there_is_nothing_to_show() -> None:
    assert SecretsReporterFilter().get_post_parameters(None) == {}


# Before, around and after the view


class Middleware:
    """Fails before the view, around it or after it, as ``at`` says."""

    at = ""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        if self.at == "request":
            self.fail(request)
        response = self.get_response(request)
        if self.at == "response":
            self.fail(request)
        return response

    def process_view(self, request: Any, *args: Any) -> None:
        if self.at == "view":
            self.fail(request)

    def process_template_response(self, request: Any, response: Any) -> Any:
        if self.at == "template response":
            self.fail(request)
        return response

    def fail(self, request: Any) -> None:
        # Once the form is read from it, the body is gone.
        body = request.body if self.at in ("request", "view") else b""
        hold([body, dict(request.POST)])


@pytest.fixture
def failing_at(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.Middleware"]
    return lambda at: monkeypatch.setattr(Middleware, "at", at)


@pytest.fixture
def protected(settings: Any) -> Iterator[None]:
    """A site that names the classes in its settings."""
    settings.DEFAULT_EXCEPTION_REPORTER = "twilio_tokens.error_reports.SecretsReporter"
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "twilio_tokens.error_reports.SecretsReporterFilter"
    get_default_exception_reporter_filter.cache_clear()
    yield
    get_default_exception_reporter_filter.cache_clear()


def reports(client: Client, settings: Any, mails: list[str], request: Any) -> list[str]:
    """The error pages of DEBUG, as HTML and as text, and the mails to ADMINS, likewise."""
    client.raise_request_exception = False
    pages = []
    for settings.DEBUG in (True, False):
        for accept in ("text/html", "text/plain"):
            response = request(headers={"accept": accept})
            assert response.status_code in (400, 500)
            if settings.DEBUG:
                pages.append(response.content.decode())
    return [*pages, *mails]


@pytest.mark.parametrize("at", ["request", "view", "template response", "response"])
@SECRETS
def test_a_middleware_that_fails_gives_no_secret_away(
    at: str,
    secret: str,
    account: Account,
    admin_client: Client,
    failing_at: Any,
    settings: Any,
    mails: list[str],
) -> None:
    failing_at(at)
    data = typed(secret=secret, sid="")

    def request(**kwargs: Any) -> Any:
        return admin_client.post("/admin/twilio_tokens/apikey/add/", data, **kwargs)

    shown = reports(admin_client, settings, mails, request)
    assert len(shown) == 10
    for text in shown:
        assert "Something failed." in text
        assert NAME in text
        assert not is_in(secret, text)


@pytest.mark.parametrize("page", ["decode", "test"])
@pytest.mark.parametrize("at", ["request", "view", "response"])
def test_nor_a_token(
    page: str,
    at: str,
    admin_client: Client,
    failing_at: Any,
    settings: Any,
    mails: list[str],
) -> None:
    failing_at(at)
    token = ".".join(new_secret() for _ in range(3))

    def request(**kwargs: Any) -> Any:
        address = f"/admin/twilio_tokens/issuedtoken/{page}/"
        return admin_client.post(address, {"token": token, "more": token}, **kwargs)

    for text in reports(admin_client, settings, mails, request):
        assert not any(is_in(part, text) for part in token.split("."))


def test_a_database_that_is_lost_between_login_and_save_is_met_by_the_view(
    account: Account,
    client: Client,
    admin_user: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    settings.DEBUG = True
    client.force_login(admin_user)
    monkeypatch.setitem(connections.databases["default"], "ATOMIC_REQUESTS", True)
    data = typed(secret=new_secret())
    with monkeypatch.context() as context:
        context.setattr(connections["default"], "ensure_connection", lose_database)
        page = error_page(client, data)
    assert "the server closed the connection" in page
    assert NAME in page
    assert not is_in(data["secret"], page)


def lose_database() -> None:
    raise OperationalError("the server closed the connection")


def test_no_middleware_need_ask_who_is_signed_in(
    account: Account, admin_client: Client, client: Client, failing_session: None, settings: Any
) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    settings.DEBUG = True
    secret = new_secret()
    assert not is_in(secret, error_page(admin_client, typed(secret=secret)))
    response = client.get("/admin/twilio_tokens/apikey/add/")
    assert response.url == "/admin/login/?next=/admin/twilio_tokens/apikey/add/"


# Bodies that no form can be read from

MULTIPART = "multipart/form-data; boundary=x"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content_type", "body", "limits"),
    [
        ("application/json", '{{"secret": "{secret}"}}', {}),
        (MULTIPART, '--x\r\nContent-Disposition: form-data; name="secret"\r\n\r\n{secret}', {}),
        (MULTIPART, "--y\r\n{secret}", {}),
        (FORM, "secret={secret}&a=1&b=1", {"DATA_UPLOAD_MAX_NUMBER_FIELDS": 2}),
        (FORM, "secret={secret}", {"DATA_UPLOAD_MAX_MEMORY_SIZE": 9}),
        ("text/plain", "{secret}", {}),
    ],
    ids=["JSON", "cut off", "malformed", "too many fields", "too large", "text"],
)
@pytest.mark.parametrize("at", ["request", "view", "save"])
def test_a_body_that_is_no_form_is_not_shown_either(
    content_type: str,
    body: str,
    limits: dict[str, int],
    at: str,
    account: Account,
    failing_at: Any,
    protected: None,
    settings: Any,
    mails: list[str],
    admin_user: Any,
) -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(admin_user)
    failing_at(at)
    for name, value in limits.items():
        setattr(settings, name, value)
    secret = new_secret()
    settings.DEBUG = True
    response = client.post(
        "/admin/twilio_tokens/apikey/add/",
        body.format(secret=secret),
        content_type=content_type,
    )
    assert response.status_code in (400, 403, 500)
    assert not is_in(secret, response.content.decode())
    settings.DEBUG = False
    client.post(
        "/admin/twilio_tokens/apikey/add/", body.format(secret=secret), content_type=content_type
    )
    assert not any(is_in(secret, text) for text in mails)


# What exceptions say, and other places


def say(secret: str) -> None:
    """A chain of exceptions that say the secret, with a note that does."""
    try:
        raise KeyError(secret)
    except KeyError as error:
        final = ValueError(f"no good: {secret}")
        if hasattr(final, "add_note"):  # since Python 3.11
            final.add_note(f"It was {secret}")
        raise final from error


@SECRETS
def test_a_secret_that_exceptions_say_is_hidden_and_so_is_one_in_the_address(
    secret: str,
    account: Account,
    admin_client: Client,
    protected: None,
    settings: Any,
    mails: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def request(**kwargs: Any) -> Any:
        address = "/admin/twilio_tokens/apikey/add/?" + urlencode({"secret": secret})
        admin_client.cookies["other"] = secret
        data = typed(secret=secret)
        return admin_client.post(address, data, headers={"referer": address, **kwargs["headers"]})

    monkeypatch.setattr(APIKeyForm, "clean", lambda form: say(form.data["secret"]))
    shown = reports(admin_client, settings, mails, request)
    assert len(shown) == 10
    for text in shown:
        assert "ValueError" in text
        assert not is_in(secret, text)


def test_on_the_sites_own_pages_a_token_is_hidden_and_the_rest_is_shown(
    admin_client: Client, protected: None, settings: Any, api_key: APIKey, user: Any
) -> None:
    token = issue_access_token(user=user, grants=[Video()]).token
    long_word = "a-long-word-that-is-no-secret"

    def view(request: Any) -> None:
        held = token  # noqa: F841 - an error page shows it
        shown = long_word  # noqa: F841
        raise RuntimeError(f"Something failed: {token}")

    urls = ModuleType("urls_that_fail")
    urls.urlpatterns = [path("fails/", view)]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = urls
    settings.DEBUG = True
    admin_client.raise_request_exception = False
    page = admin_client.post("/fails/", {"word": long_word, "secret": "typed"}).content.decode()
    assert long_word in page
    assert token not in page
    assert ">&#x27;typed&#x27;<" not in page


def test_without_the_settings_django_reports_the_sites_own_pages_as_ever(
    admin_client: Client, settings: Any
) -> None:
    urls = ModuleType("urls_that_fail")
    urls.urlpatterns = [path("fails/", fail)]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = urls
    settings.DEBUG = True
    admin_client.raise_request_exception = False
    page = admin_client.post("/fails/", {"sid": "of the site's own"}).content.decode()
    assert "of the site&#x27;s own" in page


def test_what_a_console_view_logs_itself_hides_the_secret(
    account: Account, admin_client: Client, mails: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def log(admin: Any, request: Any, row: Any, message: Any) -> None:
        try:
            hold(request.POST["secret"])
        except RuntimeError:
            logger = logging.getLogger("django.request")
            logger.exception("Not in the history.", extra={"request": request})

    monkeypatch.setattr(APIKeyAdmin, "log_addition", log)
    data = typed(secret=new_secret())
    add = reverse("admin:twilio_tokens_apikey_add")
    assert admin_client.post(add, data).status_code == 302
    assert len(mails) == 2
    for text in mails:
        assert "RuntimeError" in text
        assert NAME in text
        assert not is_in(data["secret"], text)


def test_a_guarded_view_keeps_its_name() -> None:
    assert resolve("/admin/twilio_tokens/apikey/add/").func.__name__ == "add_view"


class SitesFilter(SafeExceptionReporterFilter):
    def get_safe_settings(self) -> dict[str, Any]:
        return {"SHOWN": "by the site's filter"}


class SitesReporter(ExceptionReporter):
    def get_traceback_data(self) -> dict[str, Any]:
        return {**super().get_traceback_data(), "exception_value": "The site's own words."}


def test_the_sites_own_filter_and_reporter_go_on_working(
    account: Account, admin_client: Client, failing_before_save: None, settings: Any
) -> None:
    settings.DEFAULT_EXCEPTION_REPORTER = f"{__name__}.SitesReporter"
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = f"{__name__}.SitesFilter"
    get_default_exception_reporter_filter.cache_clear()
    settings.DEBUG = True
    try:
        page = error_page(admin_client, typed(secret=new_secret()))
    finally:
        get_default_exception_reporter_filter.cache_clear()
    assert "SHOWN" in page
    assert "The site&#x27;s own words." in page


def test_an_error_with_very_many_values_is_hidden_unread(
    account: Account, admin_client: Client, failing_session: None, settings: Any
) -> None:
    settings.DEBUG = True
    sids = [f"{number} {new_secret()}" for number in range(MOST_SECRETS + 1)]
    page = error_page(admin_client, typed(sid=sids), query={"sid": sids})
    assert not any(is_in(each, page) for each in sids)
    assert page.count(SecretsReporterFilter.cleansed_substitute) > 20


def test_as_many_values_as_can_be_read_are_read(rf: Any) -> None:
    secrets = [new_secret() for _ in range(MOST_SECRETS)]
    request = rf.post("/admin/twilio_tokens/apikey/add/", {"secret": secrets})
    assert sorted(SecretsReporterFilter().secrets_in(request) or ()) == sorted(secrets)


def is_shown(text: str, *secrets: str) -> bool:
    return SecretsReporterFilter().cleansed(text, secrets, as_text=str) == text


@pytest.mark.parametrize(
    ("secret", "hidden", "shown"),
    [
        (
            "abcdefghijklmnop",
            ["abcdefghijkl", "efghijklmnop", "x=abcdefghijklmnop"],
            ["abcdefghijk", "fghijklmnop"],
        ),
        # As repr() writes it.
        (
            "ab\u200bcdefghijk",
            ["ab\\u200bcdefg", "00bcdefghijk"],
            ["'ab\\u200bcdef", "0bcdefghijk"],
        ),
        ("abcde", ["(abcde)"], ["abcd", "bcde"]),
    ],
)
def test_twelve_characters_in_a_row_give_a_secret_away_or_all_of_a_short_one(
    secret: str, hidden: list[str], shown: list[str]
) -> None:
    assert [text for text in hidden if is_shown(text, secret)] == []
    assert [text for text in shown if not is_shown(text, secret)] == []


def test_a_text_that_is_too_long_to_read_is_hidden() -> None:
    assert is_shown("x" * LONGEST_TEXT)
    assert not is_shown("x" * (LONGEST_TEXT + 1))


def test_urls_that_cannot_be_read_count_as_ours(settings: Any, rf: Any) -> None:
    settings.ROOT_URLCONF = "no.such.module"
    request = rf.post("/", {"name": "s" * 32})
    assert SecretsReporterFilter().get_post_parameters(request) == {
        "name": SecretsReporterFilter.cleansed_substitute
    }


def test_a_body_that_cannot_be_read_hides_all_that_was_sent_with_it(rf: Any) -> None:
    address = "/admin/twilio_tokens/apikey/add/"
    request = rf.post(address, "secret=x", content_type=f"{FORM}; charset=utf-7")
    assert SecretsReporterFilter().get_post_parameters(request) == {}
    assert SecretsReporterFilter().secrets_in(request) is None


@pytest.mark.parametrize("name", ["secret", "sid", "token", "form-0-sid"])
def test_who_asks_the_filter_about_a_field_by_its_name_is_told_to_hide_it(name: str) -> None:
    """As django-debug-toolbar does."""
    hidden = SecretsReporterFilter.cleansed_substitute
    assert SecretsReporterFilter().cleanse_setting(name, "typed") == hidden
    assert SecretsReporterFilter().cleanse_setting("inside", "shown") == "shown"


def raise_with(text: str) -> None:
    raise RuntimeError(text)


def test_a_report_without_a_request_hides_tokens(api_key: APIKey, user: Any) -> None:
    token = issue_access_token(user=user, grants=[Video()]).token
    try:
        raise_with(token)
    except RuntimeError as error:
        reporter = SecretsReporter(None, type(error), error, error.__traceback__)
    for reporter.filter in (SafeExceptionReporterFilter(), SecretsReporterFilter()):
        for text in (reporter.get_traceback_html(), reporter.get_traceback_text()):
            assert "RuntimeError" in text
            assert token not in text


def test_it_shows_the_rest() -> None:
    harmless = " ".join(["harmless"] * 3)
    try:
        raise_with(harmless)
    except RuntimeError as error:
        reporter = SecretsReporter(None, type(error), error, error.__traceback__)
    reporter.filter = SecretsReporterFilter()
    for text in (reporter.get_traceback_html(), reporter.get_traceback_text()):
        assert harmless in text


@pytest.mark.django_db(transaction=True)
def test_a_view_outside_of_transactions_is_in_none_of_the_site(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    found = []

    def looks() -> Callable[[HttpRequest], HttpResponse]:
        def view(request: HttpRequest) -> HttpResponse:
            found.append(connection.in_atomic_block)
            return HttpResponse()

        return view

    class Site:
        urlpatterns = (path("in/", looks()), path("out/", outside_transactions(looks())))

    settings.ROOT_URLCONF = Site
    for address in ("/in/", "/out/"):
        assert Client().get(address).status_code == 200
    assert found == [True, False]

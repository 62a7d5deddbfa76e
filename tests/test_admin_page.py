"""The console's pages on other admin sites than Django's own, and with less than all of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import clear_url_caches, include, path

from twilio_tokens.admin.accounts import AccountAdmin
from twilio_tokens.admin.keys import APIKeyAdmin
from twilio_tokens.admin.overview import overview
from twilio_tokens.admin.resources import PushCredentialAdmin, ServiceAdmin, TwiMLAppAdmin
from twilio_tokens.admin.tokens import IssuedTokenAdmin
from twilio_tokens.grants import Chat, Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    IssuedToken,
    Outcome,
    PushCredential,
    SyncService,
    TwiMLApp,
    Workspace,
)

from .rows import sid
from .site.models import Stage
from .twilio_server import Key, running

ADMINS: dict[Any, Any] = {
    Account: AccountAdmin,
    APIKey: APIKeyAdmin,
    ChatService: ServiceAdmin,
    TwiMLApp: TwiMLAppAdmin,
    PushCredential: PushCredentialAdmin,
    SyncService: ServiceAdmin,
    Workspace: ServiceAdmin,
    IssuedToken: IssuedTokenAdmin,
}


@pytest.fixture
def rows(
    api_key: APIKey,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
    push_credential: PushCredential,
    make: Callable[..., Any],
    user: User,
) -> dict[Any, Any]:
    """One of each model, all with something to tell in the overview."""
    issue_access_token(user=user, grants=[Video(), Chat()])
    others = (make(SyncService, "0"), make(Workspace, "0"))
    for row in (api_key, chat_service, twiml_app, push_credential, *others):
        row.record_check(Outcome.REFUSED, "Gone.")
    return {model: model.objects.get() for model in ADMINS}


@pytest.fixture
def twilio(settings: Any, api_key: APIKey, secret: str) -> Iterator[None]:
    with running(settings) as server:
        server.keys[api_key.sid] = Key(secret, api_key.account.sid)
        server.services[sid("IS", "2")] = (api_key.account.sid, "Sales")
        yield


@pytest.fixture
def serve(settings: Any) -> Iterator[Any]:
    """Mounts admin sites at the paths of their names."""

    def serve(*sites: admin.AdminSite) -> None:
        urls: Any = ModuleType("urls")
        urls.urlpatterns = [path(f"{site.name}/", site.urls) for site in sites]
        urls.urlpatterns += [path("twilio/", include("twilio_tokens.urls"))]
        settings.ROOT_URLCONF = urls
        clear_url_caches()

    yield serve
    clear_url_caches()


def back_office(admins: dict[Any, Any]) -> admin.AdminSite:
    site = admin.AdminSite("back-office")
    for model, model_admin in admins.items():
        site.register(model, model_admin)
    return site


def visit(client: Client, site: str, rows: dict[Any, Any], models: Any) -> dict[str, str]:
    """Every page of the console on that site; each opens. The pages by their addresses."""
    root = f"/{site}/twilio_tokens/"
    addresses = [f"/{site}/", root]
    for model in models:
        of_model = f"{root}{model._meta.model_name}/"
        row = f"{of_model}{rows[model].pk}/"
        addresses += [of_model, f"{row}change/"]
        if model is not IssuedToken:
            addresses += [f"{of_model}add/", f"{row}history/", f"{row}delete/"]
        addresses += {
            Account: [f"{row}import/"],
            APIKey: [f"{row}replace/"],
            IssuedToken: [f"{of_model}{page}/" for page in ("test", "decode", "dashboard")],
        }.get(model, [])
    pages = {}
    for address in addresses:
        response = client.get(address)
        assert response.status_code == 200, address
        pages[address] = response.content.decode()
    return pages


def links(page: str) -> set[str]:
    return set(re.findall(r'href="(/[^"?]*)', page)) - {"/", "/static/"}


@pytest.mark.parametrize("beside", [True, False])
def test_every_page_stays_on_its_own_admin_site(
    beside: bool, serve: Any, rows: dict[Any, Any], twilio: None, admin_client: Client
) -> None:
    serve(back_office(ADMINS), *([admin.site] if beside else []))
    pages = visit(admin_client, "back-office", rows, ADMINS)
    for address, page in pages.items():
        away = {link for link in links(page) if not link.startswith(("/back-office/", "/static/"))}
        assert not away, address
    root = "/back-office/twilio_tokens/"
    assert f"{root}apikey/{rows[APIKey].pk}/change/" in links(pages[root])
    assert f"{root}issuedtoken/test/" in links(pages[f"{root}issuedtoken/"])


def test_the_forms_of_another_admin_site_lead_back_to_it(
    serve: Any, rows: dict[Any, Any], twilio: None, admin_client: Client, user: User
) -> None:
    serve(back_office(ADMINS), admin.site)
    root = "/back-office/twilio_tokens/"
    page = admin_client.post(f"{root}issuedtoken/test/", {"username": "anna", "video": "on"})
    record = IssuedToken.objects.latest("pk")
    assert f"{root}issuedtoken/{record.pk}/change/" in links(page.content.decode())

    rows[APIKey].__class__.objects.update(is_active=False)
    refused = admin_client.get(f"{root}account/{rows[Account].pk}/import/")
    assert refused.url == f"{root}account/{rows[Account].pk}/change/"


@pytest.mark.parametrize("missing", ADMINS)
def test_no_link_leads_to_a_model_that_the_site_does_not_have(
    missing: Any, serve: Any, rows: dict[Any, Any], twilio: None, admin_client: Client
) -> None:
    present = {model: each for model, each in ADMINS.items() if model is not missing}
    serve(back_office(present), admin.site)
    pages = visit(admin_client, "back-office", rows, present)
    for page in pages.values():
        for link in links(page):
            assert f"/{missing._meta.model_name}/" not in link
            assert not link.startswith("/admin/")


def test_a_resource_of_the_sites_own_has_the_pages_of_ours(
    serve: Any, api_key: APIKey, admin_client: Client
) -> None:
    serve(back_office({Account: AccountAdmin, Stage: ServiceAdmin}), admin.site)
    pages = "/back-office/site/stage/"
    proposed = admin_client.get(f"{pages}add/").context["adminform"].form
    assert (proposed["account"].value(), proposed["is_default"].value()) == (
        api_key.account_id,
        True,
    )
    data = {"account": api_key.account_id, "name": "main", "sid": sid("VL"), "_save": "Save"}
    assert admin_client.post(f"{pages}add/", data).status_code == 302
    stage = Stage.objects.get()
    for page in ("", f"{stage.pk}/change/", f"{stage.pk}/history/", f"{stage.pk}/delete/"):
        assert admin_client.get(pages + page).status_code == 200
    # How to check it with Twilio is not known.
    assert "check_with_twilio" not in admin_client.get(pages).content.decode()


def test_the_overview_needs_no_context_processor_of_the_site(
    admin_client: Client, rows: dict[Any, Any], settings: Any
) -> None:
    [engine] = settings.TEMPLATES
    needed = [
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]
    settings.TEMPLATES = [{**engine, "OPTIONS": {"context_processors": needed}}]
    page = admin_client.get("/admin/twilio_tokens/")
    assert f"/admin/twilio_tokens/apikey/{rows[APIKey].pk}/change/" in links(page.content.decode())


def test_the_overview_tells_without_a_link_what_the_site_has_no_page_for(
    serve: Any, rows: dict[Any, Any], admin_user: User
) -> None:
    serve(back_office({IssuedToken: IssuedTokenAdmin}))
    lines = overview(admin_user, "back-office")
    assert [line for line in lines if line.level == "failed"]
    assert not [line for line in lines if line.url]


def test_the_import_offers_only_what_the_site_has(
    serve: Any, rows: dict[Any, Any], twilio: None, admin_client: Client
) -> None:
    serve(back_office({Account: AccountAdmin, TwiMLApp: TwiMLAppAdmin}))
    page = f"/back-office/twilio_tokens/account/{rows[Account].pk}/import/"
    response = admin_client.get(page)
    assert [section.title for section in response.context["sections"]] == ["TwiML Apps"]
    serve(back_office({Account: AccountAdmin}))
    assert admin_client.get(page).status_code == 403
    change = f"/back-office/twilio_tokens/account/{rows[Account].pk}/change/"
    assert "import/" not in admin_client.get(change).content.decode()


def test_classes_of_the_sites_own_are_registered_in_place_of_ours(
    serve: Any, rows: dict[Any, Any], twilio: None, admin_client: Client
) -> None:
    """As the docs of django-unfold tell, say, for a class of its own beside ours."""

    class Themed(admin.ModelAdmin):  # type: ignore[type-arg]
        save_on_top = True

    own = {model: type(f"Own{each.__name__}", (each, Themed), {}) for model, each in ADMINS.items()}
    serve(back_office(own))
    visit(admin_client, "back-office", rows, own)


@pytest.mark.parametrize("model", [Account, IssuedToken, APIKey])
def test_a_plain_admin_class_shows_none_of_our_pages(
    model: Any, serve: Any, rows: dict[Any, Any], admin_client: Client
) -> None:
    serve(back_office({model: admin.ModelAdmin}))
    root = f"/back-office/twilio_tokens/{model._meta.model_name}/"
    for address in (root, f"{root}{rows[model].pk}/change/"):
        page = admin_client.get(address)
        assert page.status_code == 200
        for name in ("test", "decode", "dashboard", "import", "replace"):
            assert f"/{name}/" not in page.content.decode()


def test_a_class_that_lets_nobody_add_takes_the_import_with_it(
    serve: Any, rows: dict[Any, Any], admin_client: Client
) -> None:
    class NothingNew(ServiceAdmin):
        def has_add_permission(self, request: Any) -> bool:
            return False

    serve(back_office({Account: AccountAdmin, ChatService: NothingNew}))
    page = f"/back-office/twilio_tokens/account/{rows[Account].pk}/import/"
    assert admin_client.get(page).status_code == 403

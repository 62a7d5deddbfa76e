from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.cache.backends.base import BaseCache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.site.models import Stage
from twilio_tokens.admin.overview import MOST_LINES, Page, overview
from twilio_tokens.crypto import generate_key
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

from .rows import add_key, sid
from .unavailable import (
    damaged_secret,
    malformed_key_ring,
    newest_key_not_us1,
    no_default_account,
    no_key_ring,
    only_inactive_keys,
    other_key_ring,
    secret_of_another_row,
    unusable_setting,
)


def told(user: User) -> list[tuple[str, str]]:
    return [(line.level, line.text) for line in overview(user)]


def page(model: Any, name: str, *args: Any) -> str:
    return reverse(f"admin:twilio_tokens_{model._meta.model_name}_{name}", args=args)


def link(user: User, text: str) -> str:
    return next(line.url for line in overview(user) if text in line.text)


def test_an_empty_site_is_led_from_step_to_step(admin_user: User, settings: Any) -> None:
    keys, settings.TWILIO_TOKENS_ENCRYPTION_KEYS = settings.TWILIO_TOKENS_ENCRYPTION_KEYS, []
    assert "twilio_generate_key" in told(admin_user)[0][1]
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = keys
    assert told(admin_user) == [("missing", "Add your Twilio account.")]
    assert link(admin_user, "account") == page(Account, "add")

    account = Account.objects.create(name="Main", sid=sid("AC"))
    assert told(admin_user) == [("missing", "Account Main: add an API key.")]
    assert link(admin_user, "API key") == page(APIKey, "add") + f"?account={account.pk}"

    add_key(account)
    assert told(admin_user)[:3] == [
        ("ok", "Video: ready. Not yet checked with Twilio."),
        ("missing", "Chat: add a default Chat service."),
        ("missing", "Voice: add a default TwiML App."),
    ]
    assert link(admin_user, "Voice") == page(TwiMLApp, "add") + f"?account={account.pk}"

    ChatService.objects.create(account=account, name="a", sid=sid("IS"), is_default=True)
    TwiMLApp.objects.create(account=account, name="a", sid=sid("AP"), is_default=True)
    assert [level for level, _ in told(admin_user)][:3] == ["ok", "ok", "ok"]


def test_no_default_account_is_told(admin_user: User, api_key: APIKey) -> None:
    Account.objects.update(is_default=False)
    assert told(admin_user) == [("missing", "Choose a default account.")]
    assert link(admin_user, "default") == page(Account, "changelist")


def test_a_service_of_another_account_makes_no_product_ready(
    admin_user: User, api_key: APIKey, other: Account
) -> None:
    ChatService.objects.filter(account=other).update(is_default=True)
    assert ("missing", "Chat: add a default Chat service.") in told(admin_user)


def test_ready_says_what_twilio_has_confirmed_and_for_whom(
    admin_user: User, api_key: APIKey, chat_service: ChatService
) -> None:
    def chat() -> str:
        return next(text for _level, text in told(admin_user) if text.startswith("Chat"))

    assert chat() == "Chat: ready. Not yet checked with Twilio."
    chat_service.record_check(Outcome.VERIFIED, "Fine.")
    assert chat() == "Chat: ready. Not yet checked with Twilio."
    api_key.record_check(Outcome.VERIFIED, "Fine.")
    assert chat() == "Chat: ready."
    chat_service.groups.add(Group.objects.create(name="agents"))
    assert chat() == "Chat: ready, only for members of agents."
    api_key.record_check(Outcome.UNREACHABLE, "Nobody answers.")
    assert chat() == "Chat: ready, only for members of agents. Not yet checked with Twilio."
    chat_service.record_check(Outcome.REFUSED, "Deleted.")
    assert chat() == "Chat: not ready. Twilio rejects the default Chat service."


@pytest.mark.parametrize(
    ("product", "model", "prefix"),
    [("Sync", SyncService, "IS"), ("TaskRouter", Workspace, "WS"), ("Live", Stage, "VL")],
)
def test_every_registered_product_is_led_to_ready(
    product: str, model: Any, prefix: str, admin_user: User, api_key: APIKey, settings: Any
) -> None:
    settings.TWILIO_TOKENS_WORKER = lambda user, workspace: None
    name = model._meta.verbose_name
    assert ("missing", f"{product}: add a default {name}.") in told(admin_user)
    row = model.objects.create(account=api_key.account, name="one", sid=sid(prefix))
    assert ("missing", f"{product}: choose a default {name}.") in told(admin_user)
    model.objects.update(is_default=True)
    assert ("ok", f"{product}: ready. Not yet checked with Twilio.") in told(admin_user)
    row.record_check(Outcome.REFUSED, "Deleted.")
    refused = f"{product}: not ready. Twilio rejects the default {name}."
    assert ("missing", refused) in told(admin_user)


def test_taskrouter_is_not_ready_before_the_site_tells_who_works(
    admin_user: User, api_key: APIKey
) -> None:
    Workspace.objects.create(account=api_key.account, name="a", sid=sid("WS"), is_default=True)
    unset = (
        "TaskRouter: TWILIO_TOKENS_WORKER is not set. Set it to a function that returns the "
        "user's worker."
    )
    assert ("missing", unset) in told(admin_user)


def test_a_service_that_is_no_default_can_be_made_one(
    admin_user: User, api_key: APIKey, chat_service: ChatService
) -> None:
    ChatService.objects.update(is_default=False)
    assert ("missing", "Chat: choose a default Chat service.") in told(admin_user)
    assert link(admin_user, "Chat:") == page(ChatService, "changelist")


def refused_key(settings: Any) -> None:
    APIKey.objects.get().record_check(Outcome.REFUSED, "Deleted at Twilio.")


def unusable_function(settings: Any) -> None:
    settings.TWILIO_TOKENS_ROOM_POLICY = "no.such.function"


def silent_cache(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "tests.test_admin_overview.SilentCache"}}


class SilentCache(BaseCache):
    def __init__(self, *args: Any) -> None:
        super().__init__({})

    def get(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("refused")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (no_key_ring, "TWILIO_TOKENS_ENCRYPTION_KEYS is not set"),
        (malformed_key_ring, "Key 1 of TWILIO_TOKENS_ENCRYPTION_KEYS"),
        (other_key_ring, "the secret cannot be read"),
        (damaged_secret, "the secret cannot be read"),
        (secret_of_another_row, "the secret cannot be read"),
        (newest_key_not_us1, "is not from region US1, so it cannot sign"),
        (only_inactive_keys, "add an API key"),
        (no_default_account, "Choose a default account"),
        (unusable_setting, "TWILIO_TOKENS_MAX_TTL should be"),
        (unusable_function, "TWILIO_TOKENS_ROOM_POLICY should be"),
        (refused_key, "Deleted at Twilio."),
        (silent_cache, "cache does not answer (ConnectionError)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_nothing_is_called_ready_while_no_token_can_be_issued(
    make: Any, reason: str, admin_user: User, api_key: APIKey, settings: Any
) -> None:
    assert any("ready" in text for _level, text in told(admin_user))
    make(settings)
    assert not any("ready" in text for _level, text in told(admin_user))
    assert any(reason in text for _level, text in told(admin_user))
    assert all(level != "ok" for level, _text in told(admin_user))


def test_where_each_user_has_an_account_those_without_a_key_are_named(
    admin_user: User, api_key: APIKey, other: Account, settings: Any
) -> None:
    settings.TWILIO_TOKENS_ACCOUNT = lambda user: None
    assert told(admin_user) == [
        ("ok", "TWILIO_TOKENS_ACCOUNT chooses each user's account."),
        ("missing", "Account Other: add an API key."),
    ]
    for number in range(MOST_LINES):
        Account.objects.create(name=f"Z{number}", sid=sid("AC", f"{number + 2}"))
    assert told(admin_user)[-1] == ("missing", "and 1 more")


def test_without_a_rate_no_cache_is_needed(
    admin_user: User, api_key: APIKey, settings: Any
) -> None:
    silent_cache(settings)
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    settings.TWILIO_TOKENS_AUDIT = False
    assert told(admin_user)[0] == ("ok", "Video: ready. Not yet checked with Twilio.")


@pytest.mark.parametrize("model", [Account, IssuedToken])
def test_the_page_opens_before_the_tables_are_there(
    model: Any, admin_client: Client, admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model._meta, "db_table", "no_such_table")
    [(level, text)] = told(admin_user)
    assert level == "failed"
    assert "manage.py migrate" in text
    for name, args in (("app_list", ["twilio_tokens"]), ("index", [])):
        assert admin_client.get(reverse(f"admin:{name}", args=args)).status_code == 200


def test_pages_that_an_admin_site_does_not_have_are_no_links() -> None:
    assert Page("no_such_page").url("admin") == ""


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNREACHABLE])
def test_what_failed_its_last_check_is_told_with_the_reason(
    outcome: Outcome,
    admin_user: User,
    api_key: APIKey,
    chat_service: ChatService,
    push_credential: PushCredential,
) -> None:
    for row in (api_key, chat_service):
        row.record_check(outcome, "Because.")
    push_credential.record_check(Outcome.VERIFIED, "Fine.")
    failed = [line for line in overview(admin_user) if line.level == "failed"]
    assert [line.text for line in failed] == [
        f"API key {api_key}: Because.",
        "Chat service support: Because.",
    ]
    assert [line.url for line in failed] == [
        page(APIKey, "change", api_key.pk),
        page(ChatService, "change", chat_service.pk),
    ]


@pytest.mark.parametrize("model", [SyncService, Workspace, Stage])
def test_a_check_that_failed_is_told_whatever_the_product(
    model: Any, admin_user: User, account: Account
) -> None:
    row = model.objects.create(account=account, name="main", sid=sid("XX"))
    row.record_check(Outcome.REFUSED, "Gone.")
    assert ("failed", f"{model._meta.verbose_name} main: Gone.") in told(admin_user)


def test_a_retired_key_that_failed_its_check_is_no_news(
    admin_user: User, api_key: APIKey, user: User
) -> None:
    old = add_key(api_key.account, is_active=False)
    old.record_check(Outcome.REFUSED, "Deleted.")
    assert not [text for level, text in told(admin_user) if level == "failed"]


def test_unreadable_secrets_are_told_of_active_keys_only(
    admin_user: User, api_key: APIKey, settings: Any
) -> None:
    add_key(api_key.account, is_active=False)
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]
    failed = [text for level, text in told(admin_user) if level == "failed"]
    assert failed == [f"API key {api_key}: the secret cannot be read."]


def test_keys_that_can_be_deleted_at_twilio_are_told(admin_user: User, api_key: APIKey) -> None:
    old, recent = (add_key(api_key.account, is_active=False) for _ in range(2))
    long_ago = timezone.now() - timedelta(days=2)
    APIKey.objects.filter(pk=old.pk).update(retired_at=long_ago)
    done = [line for line in overview(admin_user) if line.level == "done"]
    assert [line.url for line in done] == [page(APIKey, "change", old.pk)]
    assert recent.sid not in done[0].text
    assert "can now delete it at Twilio" in done[0].text


def test_many_lines_of_a_kind_are_counted(admin_user: User, account: Account) -> None:
    for number in range(MOST_LINES + 2):
        service = ChatService.objects.create(account=account, name=f"s{number}", sid=sid("IS"))
        service.record_check(Outcome.REFUSED, "Gone.")
    failed = [line for line in overview(admin_user) if line.level == "failed"]
    assert len(failed) == MOST_LINES + 1
    assert failed[-1].text == "and 2 more"
    assert failed[-1].url == page(ChatService, "changelist")


def test_who_may_see_nothing_is_told_nothing(
    user: User, api_key: APIKey, chat_service: ChatService
) -> None:
    chat_service.record_check(Outcome.REFUSED, "Gone.")
    assert overview(user) == []


def test_who_may_only_view_gets_no_link_to_a_form_that_would_fail(
    user: User, api_key: APIKey
) -> None:
    names = [f"view_{model}" for model in ("account", "apikey", "chatservice")]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    user = User.objects.get(pk=user.pk)
    assert [(line.text, line.url) for line in overview(user)] == [
        ("Video: ready. Not yet checked with Twilio.", ""),
        ("Chat: add a default Chat service.", ""),
    ]


def test_the_apps_page_shows_it(admin_client: Client, admin_user: User, api_key: APIKey) -> None:
    content = admin_client.get(reverse("admin:app_list", args=["twilio_tokens"])).content.decode()
    for line in overview(admin_user):
        assert line.text in content
        assert line.url in content
    assert not IssuedToken.objects.exists()


def test_the_apps_page_of_who_may_see_only_the_audit_says_that_nothing_is_wrong(
    client: Client, user: User
) -> None:
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename="view_issuedtoken"))
    client.force_login(user)
    content = client.get(reverse("admin:app_list", args=["twilio_tokens"])).content.decode()
    assert "Nothing that you may see needs your attention." in content

"""System checks: what would otherwise show itself as a 503, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.utils.module_loading import import_string

from .conf import NAMES, settings
from .crypto import load_key_ring
from .error_reports import SecretsReporter, SecretsReporterFilter
from .exceptions import EncryptionKeyError, SettingError
from .grants import registered
from .models import APIKey, IssuedToken
from .saving import SavesChanges


@register(Tags.security)
def check_key_ring(**kwargs: Any) -> list[CheckMessage]:
    try:
        load_key_ring()
    except EncryptionKeyError as error:
        if error.is_missing:
            return [
                checks.Warning(
                    "TWILIO_TOKENS_ENCRYPTION_KEYS is not set: no API key's secret can be stored "
                    "and no Access Token issued.",
                    hint="Make a key with “manage.py twilio_generate_key” and set it as "
                    'TWILIO_TOKENS_ENCRYPTION_KEYS = ["…"], read from the environment.',
                    id="twilio_tokens.W001",
                )
            ]
        return [
            checks.Error(
                problem,
                hint="List the newest key first, and keep every key that a stored secret needs.",
                id="twilio_tokens.E001",
            )
            for problem in error.problems.values()
        ]
    return []


def _unusable(check_id: str, hint: str, *reads: Callable[[], Any]) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    for read in reads:
        try:
            read()
        except SettingError as error:
            messages.append(checks.Error(str(error), hint=hint, id=f"twilio_tokens.{check_id}"))
    return messages


@register(Tags.security)
def check_ttls(**kwargs: Any) -> list[CheckMessage]:
    messages = _unusable(
        "E002",
        'For example {"voice": 600}. Products that are left out keep their defaults.',
        lambda: settings.ttls,
        lambda: settings.max_ttl,
    )
    if not messages:
        messages = [
            checks.Warning(
                f"TWILIO_TOKENS_TTL names {product!r}, which is no registered product.",
                hint=f"The products are {', '.join(registered())}.",
                id="twilio_tokens.W002",
            )
            for product in settings.ttls.keys() - registered().keys()
        ]
    return messages


@register(Tags.security)
def check_callables(**kwargs: Any) -> list[CheckMessage]:
    return _unusable(
        "E003",
        "Give a function, or its dotted path as text.",
        lambda: settings.identity,
        lambda: settings.account,
        lambda: settings.worker,
        lambda: settings.room_policy,
        lambda: settings.params,
        lambda: settings.http_client,
    )


@register(Tags.security)
def check_other_settings(**kwargs: Any) -> list[CheckMessage]:
    return _unusable(
        "E004",
        "See “Settings” in the README.",
        lambda: settings.room_required,
        lambda: settings.audit,
        lambda: settings.throttle_rate,
        lambda: settings.credential_cache_seconds,
    )


@register(Tags.security)
def check_setting_names(**kwargs: Any) -> list[CheckMessage]:
    """A misspelt ``TWILIO_TOKENS_ROOM_POLICY`` would open every room."""
    return [
        checks.Warning(
            f"{name} is not a setting of django-twilio-tokens; it has no effect.",
            hint=f"The settings are {', '.join(NAMES)}.",
            id="twilio_tokens.W003",
        )
        for name in dir(django_settings)
        if name.startswith("TWILIO_TOKENS_") and name not in NAMES
    ]


@register(Tags.security)
def check_cors(**kwargs: Any) -> list[CheckMessage]:
    if getattr(django_settings, "CORS_ALLOW_ALL_ORIGINS", False):
        return [
            checks.Warning(
                "CORS_ALLOW_ALL_ORIGINS lets the pages of any site ask for Access Tokens in the "
                "name of your users.",
                hint="List your own front ends in CORS_ALLOWED_ORIGINS instead.",
                id="twilio_tokens.W004",
            )
        ]
    return []


@register(Tags.caches)
def check_cache_counts(**kwargs: Any) -> list[CheckMessage]:
    if _is_throttled() and _default_cache().get("BACKEND", "").endswith(".DummyCache"):
        return [
            checks.Warning(
                "The default cache keeps nothing, so token requests cannot be counted: every one "
                "is answered with 503 (throttle_unavailable).",
                hint="Use another cache, or set TWILIO_TOKENS_THROTTLE_RATE = None.",
                id="twilio_tokens.W030",
            )
        ]
    return []


#: The option that bounds how long a cache may keep a request waiting.
CACHE_TIMEOUTS = {".RedisCache": "socket_timeout", ".PyMemcacheCache": "timeout"}


@register(Tags.caches, deploy=True)
def check_cache_timeout(**kwargs: Any) -> list[CheckMessage]:
    cache = _default_cache()
    return [
        checks.Warning(
            "The default cache has no timeout: if its server stops answering, token requests hang.",
            hint=f'Set CACHES["default"]["OPTIONS"] = {{"{option}": 1}}.',
            id="twilio_tokens.W031",
        )
        for backend, option in CACHE_TIMEOUTS.items()
        if _is_throttled()
        and cache.get("BACKEND", "").endswith(backend)
        and option not in cache.get("OPTIONS", {})
    ]


def _default_cache() -> dict[str, Any]:
    cache: dict[str, Any] = django_settings.CACHES.get("default", {})
    return cache


def _is_throttled() -> bool:
    try:
        return settings.throttle_rate is not None
    except SettingError:
        return False  # another check says so


@register(Tags.compatibility)
def check_rest_framework(**kwargs: Any) -> list[CheckMessage]:
    if "rest_framework" not in django_settings.INSTALLED_APPS:
        return [
            checks.Warning(
                "The browsable API needs the templates of Django REST framework.",
                hint='Add "rest_framework" to INSTALLED_APPS.',
                id="twilio_tokens.W005",
            )
        ]
    return []


REPORTERS = {
    "DEFAULT_EXCEPTION_REPORTER": SecretsReporter,
    "DEFAULT_EXCEPTION_REPORTER_FILTER": SecretsReporterFilter,
}


@register(Tags.security, deploy=True)
def check_error_reports(**kwargs: Any) -> list[CheckMessage]:
    """The console's own views are covered without the settings."""
    if not apps.is_installed("django.contrib.admin"):
        return []
    return [
        checks.Warning(
            f"{name} is not {ours.__name__}: a mail to ADMINS about a request that fails before "
            "the console's views may show the API key's secret that was typed in.",
            hint=f'{name} = "{ours.__module__}.{ours.__name__}", or a subclass of it.',
            id="twilio_tokens.W020",
        )
        for name, ours in REPORTERS.items()
        if not issubclass(import_string(getattr(django_settings, name)), ours)
    ]


@register(Tags.compatibility)
def check_routers(**kwargs: Any) -> list[CheckMessage]:
    """Django joins, and protects, rows of one database only. Nothing is asked of a database."""
    return [
        checks.Error(
            f"A database router keeps {model.__name__} and its “{field.name}” "
            f"({field.related_model.__name__}) apart, and Django has no relations between "
            "databases.",
            hint="Let the router send twilio_tokens, django.contrib.auth and the user model to "
            "the same database, and allow relations between them.",
            obj=model,
            id="twilio_tokens.E010",
        )
        for model in apps.get_models()
        if issubclass(model, SavesChanges)
        for field in _relations(model)
        if not _are_together(model, field.related_model)
    ]


def _relations(model: type[Model]) -> list[Any]:
    fields = [*model._meta.fields, *model._meta.many_to_many]
    return [field for field in fields if field.is_relation]


def _are_together(model: type[Model], other: type[Model]) -> bool:
    database = router.db_for_write(model)
    rows = model(), other()
    for row in rows:
        row._state.db = database
    return bool(
        router.db_for_write(other) == database
        and router.allow_migrate_model(database, other)
        and router.allow_relation(*rows)
    )


@register(Tags.database)
def check_character_sets(
    databases: Collection[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Of MariaDB and MySQL, of which old databases know no emoji."""
    return [
        checks.Warning(
            f"The database “{alias}” stores or sends text in a character set other than utf8mb4.",
            hint="Users whose identity has an emoji or another character outside of the set get "
            "no Access Token (audit_unavailable). Convert the tables to utf8mb4, and leave "
            "“charset” out of the database's OPTIONS.",
            id="twilio_tokens.W006",
        )
        for alias in {router.db_for_write(IssuedToken)}.intersection(databases or ())
        if connections[alias].vendor == "mysql" and not _is_utf8mb4(connections[alias])
    ]


def _is_utf8mb4(connection: BaseDatabaseWrapper) -> bool:
    if connection.settings_dict["OPTIONS"].get("charset", "utf8mb4") != "utf8mb4":
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() "
            "AND table_name LIKE %s AND character_set_name <> 'utf8mb4'",
            [r"twilio\_tokens\_%"],
        )
        (others,) = cursor.fetchone()
    return bool(others == 0)


@register(Tags.database, deploy=True)
def check_sqlite(**kwargs: Any) -> list[CheckMessage]:
    connection = connections[router.db_for_write(APIKey)]
    options = connection.settings_dict.get("OPTIONS", {})
    if connection.vendor != "sqlite" or options.get("transaction_mode") == "IMMEDIATE":
        return []
    return [
        checks.Warning(
            "SQLite fails a transaction that reads before it writes when another one has written "
            "in between: “database is locked”.",
            hint='Set "transaction_mode": "IMMEDIATE" in the OPTIONS of the database. See '
            "“Databases” in the README.",
            id="twilio_tokens.W007",
        )
    ]

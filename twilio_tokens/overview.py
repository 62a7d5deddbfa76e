"""What is configured, what is missing, and where it is mended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .crypto import load_key_ring
from .exceptions import EncryptionKeyError
from .key_status import is_safe_to_delete, secret_problem, with_last_expiry
from .models import Account, APIKey, ChatService, Outcome, PushCredential, TwiMLApp

#: Lines of one kind; the rest is only counted.
MOST_LINES = 5

PRODUCTS: tuple[tuple[str, type[Any] | None], ...] = (
    ("Video", None),
    ("Chat", ChatService),
    ("Voice", TwiMLApp),
)


@dataclass(frozen=True)
class Page:
    """A page of the admin, on whichever admin site it is."""

    name: str
    args: tuple[Any, ...] = ()
    query: str = ""

    def url(self, site: str) -> str:
        """Empty where that site does not have the page."""
        try:
            return reverse(f"admin:{self.name}", args=self.args, current_app=site) + self.query
        except NoReverseMatch:
            return ""


@dataclass(frozen=True)
class Line:
    """``level`` is ``ok``, ``missing``, ``failed`` or ``done``; ``page`` is where to act on it."""

    level: str
    text: str
    page: Page | None = None
    url: str = ""


def overview(user: Any, site: str = "admin") -> list[Line]:
    """For the eyes of ``user``: of models whose rows they may not see, nothing is told.

    ``site`` is the name of the admin site that the links stay in.
    """
    lines = [*_key_ring(), *_products(user), *_keys(user), *_failed_checks(user)]
    return [replace(each, url=each.page.url(site) if each.page else "") for each in lines]


def _key_ring() -> Iterator[Line]:
    try:
        load_key_ring()
    except EncryptionKeyError as error:
        yield Line("failed", error.reason)


def _products(user: Any) -> Iterator[Line]:
    if not (_may(user, "view", Account) and _may(user, "view", APIKey)):
        return
    account = Account.objects.filter(is_default=True).first()
    if account is None:
        if Account.objects.exists():
            yield Line("missing", _("No account is the default."), _list(Account))
        else:
            yield Line("missing", _("Add your Twilio account."), _add(user, Account))
        return
    if APIKey.objects.newest_active(account.pk) is None:
        yield Line(
            "missing",
            _("Account %(account)s: add an API key.") % {"account": account},
            _add(user, APIKey, account=account),
        )
        return
    for product, model in PRODUCTS:
        if model is None or (
            _may(user, "view", model)
            and model.objects.filter(account=account, is_default=True).exists()
        ):
            yield Line("ok", _("%(product)s: ready.") % {"product": product})
        elif _may(user, "view", model):
            yield Line(
                "missing",
                _("%(product)s: add a default %(model)s.")
                % {"product": product, "model": model._meta.verbose_name},
                _add(user, model, account=account),
            )


def _keys(user: Any) -> Iterator[Line]:
    if not _may(user, "view", APIKey):
        return
    keys = APIKey.objects.select_related("account")
    unreadable = [key for key in keys.filter(is_active=True) if secret_problem(key) is not None]
    yield from _lines("failed", _("%(row)s: its secret is unreadable."), unreadable)
    retired = with_last_expiry(keys.filter(is_active=False))
    deletable = [key for key in retired if is_safe_to_delete(key)]
    yield from _lines(
        "done", _("%(row)s: retired, and may now be deleted at Twilio and here."), deletable
    )


def _failed_checks(user: Any) -> Iterator[Line]:
    for model in (APIKey, ChatService, TwiMLApp, PushCredential):
        if _may(user, "view", model):
            rows: Any = model._default_manager.exclude(check_outcome__in=["", Outcome.VERIFIED])
            if model is APIKey:
                rows = rows.filter(is_active=True)
            yield from _lines("failed", "%(row)s: %(message)s", rows.order_by("-checked_at"))


def _lines(level: str, text: str, rows: Iterable[Any]) -> Iterator[Line]:
    rows = list(rows)
    for row in rows[:MOST_LINES]:
        values = {"row": f"{row._meta.verbose_name} {row}", "message": row.check_message}
        yield Line(level, text % values, _change(row))
    more = len(rows) - MOST_LINES
    if more > 0:
        yield Line(
            level,
            ngettext("and %(count)d more", "and %(count)d more", more) % {"count": more},
            _list(type(rows[0])),
        )


def _may(user: Any, action: str, model: type[Model]) -> bool:
    names = {"view": ("view", "change")}.get(action, (action,))
    return any(user.has_perm(f"twilio_tokens.{name}_{model._meta.model_name}") for name in names)


def _list(model: type[Model]) -> Page:
    return Page(_name(model, "changelist"))


def _add(user: Any, model: type[Model], account: Account | None = None) -> Page | None:
    if not _may(user, "add", model):
        return None
    query = "" if account is None else f"?account={account.pk}"
    return Page(_name(model, "add"), query=query)


def _change(row: Model) -> Page:
    return Page(_name(type(row), "change"), args=(row.pk,))


def _name(model: type[Model], page: str) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}_{page}"

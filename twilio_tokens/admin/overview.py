"""The overview: what is configured, what is missing, and where to fix it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.db import DatabaseError, router
from django.db.models import Model, QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from twilio_tokens.admin.badges import mark
from twilio_tokens.admin.key_status import is_safe_to_delete, opens, with_last_expiry
from twilio_tokens.admin.page import about
from twilio_tokens.admin.site_problems import site_problems
from twilio_tokens.characters import visible
from twilio_tokens.conf import settings, unusable_settings
from twilio_tokens.grants import Grant, registered
from twilio_tokens.models import (
    Account,
    APIKey,
    Checked,
    IssuedToken,
    Outcome,
    Region,
    RestrictedResource,
    resource_kinds,
)
from twilio_tokens.saving import savepoint

logger = logging.getLogger(__name__)

#: Lines of one kind. The rest is only counted.
MOST_LINES = 5


class User(Protocol):
    def has_perm(self, perm: str) -> bool: ...


@dataclass(frozen=True)
class Page:
    """A page of the admin, on whichever admin site it is."""

    name: str
    args: tuple[Any, ...] = ()
    query: str = ""

    def url(self, site: str) -> str:
        """Empty if that site does not have the page."""
        try:
            return reverse(f"admin:{self.name}", args=self.args, current_app=site) + self.query
        except NoReverseMatch:
            return ""


@dataclass(frozen=True)
class Line:
    """``level`` is ``ok``, ``missing``, ``failed`` or ``done``; ``page`` is where to act."""

    level: str
    text: str
    page: Page | None = None
    url: str = ""

    @property
    def mark(self) -> SafeString:
        return mark(self.level)


def overview(user: User, site: str = "admin") -> list[Line]:
    """The lines that ``user`` may see, without models whose rows they may not view.

    ``site`` is the name of the admin site that the links stay in.
    """
    try:
        # PostgreSQL aborts a transaction at the first missing table.
        with savepoint(router.db_for_read(Account)):
            lines = [*_site(), *_accounts(user), *_keys(user), *_checks(user)]
            lines += _closed(user)
    except DatabaseError:
        logger.warning("The overview could not be read.", exc_info=True)
        text = _("The database could not be read. If migrations are missing, run “%(command)s”.")
        lines = [Line("failed", text % {"command": "manage.py migrate"})]
    return _shown(lines, site)


def failed_checks(user: User, site: str) -> list[Line]:
    """The lines about checks with Twilio."""
    return _shown(_checks(user), site)


def dashboard(user: User, site: str) -> str:
    """The page's address; empty if the user may not see it."""
    return (
        Page(_name(IssuedToken, "dashboard")).url(site) if _may(user, "view", IssuedToken) else ""
    )


def _shown(lines: Iterable[Line], site: str) -> list[Line]:
    return [
        replace(each, text=visible(each.text), url=each.page.url(site) if each.page else "")
        for each in lines
    ]


# Problems that affect every token


def _site() -> Iterator[Line]:
    for problem in site_problems():
        yield Line("failed", problem)


# Accounts, and what each product needs from one


def _accounts(user: User) -> Iterator[Line]:
    if not (_may(user, "view", Account) and _may(user, "view", APIKey)):
        return
    if not Account.objects.exists():
        yield Line("missing", _("Add your Twilio account."), _add(user, Account))
    elif any(unusable_settings()):
        return
    elif settings.account is not None:
        yield Line("ok", _("TWILIO_TOKENS_ACCOUNT chooses each user's account."))
        yield from _accounts_without_key(user)
    else:
        account = Account.objects.default()
        if account is None:
            yield Line("missing", _("Choose a default account."), _list(Account))
        else:
            yield from _default_account(user, account)


def _accounts_without_key(user: User) -> Iterator[Line]:
    with_key = APIKey.objects.filter(is_active=True).values("account")
    accounts = Account.objects.exclude(pk__in=with_key)
    for account in accounts[:MOST_LINES]:
        yield _missing_key(user, account)
    yield from _more("missing", accounts)


def _missing_key(user: User, account: Account) -> Line:
    text = _("Account %(account)s: add an API key.") % {"account": account}
    return Line("missing", text, _add(user, APIKey, account=account))


def _default_account(user: User, account: Account) -> Iterator[Line]:
    key = APIKey.objects.newest_active(account.pk)
    if key is None:
        yield _missing_key(user, account)
    elif key.region != Region.US1:
        text = _("API key %(key)s is not from region US1, so it cannot sign.") % {"key": key}
        yield Line("failed", text, _change(key))
    # The lines about keys say why another key cannot sign.
    elif opens(key) and key.check_outcome != Outcome.REFUSED and not any(site_problems()):
        for grant in registered().values():
            yield from _product(user, grant, key)


def _product(user: User, grant: type[Grant], key: APIKey) -> Iterator[Line]:
    if grant.needed is None:
        yield _ready(grant, [key])
        return
    model: Any = grant.resources[grant.needed]
    if not _may(user, "view", model):
        return
    values = {"product": grant.label, "model": model._meta.verbose_name}
    of_account = model.objects.filter(account=key.account_id)
    default = of_account.default()
    if default is not None and default.check_outcome == Outcome.REFUSED:
        text = _("%(product)s: not ready. Twilio rejects the default %(model)s.") % values
        yield Line("missing", text, _change(default))
    elif default is not None and default.is_closed:
        text = _("%(product)s: not ready. Nobody may use the default %(model)s.") % values
        yield Line("missing", text, _change(default))
    elif default is not None:
        yield _ready(grant, [key, default])
    elif of_account.exists():
        text = _("%(product)s: choose a default %(model)s.") % values
        yield Line("missing", text, _list(model))
    else:
        text = _("%(product)s: add a default %(model)s.") % values
        yield Line("missing", text, _add(user, model, account=key.account))


def _ready(grant: type[Grant], needed: list[Any]) -> Line:
    """Tokens may be issued before Twilio confirms what they need, but Twilio may reject them."""
    missing = grant.missing()
    if missing is not None:
        return Line("missing", about(grant.label, missing))
    is_confirmed = all(row.check_outcome == Outcome.VERIFIED for row in needed)
    groups = [
        str(group)
        for row in needed
        if isinstance(row, RestrictedResource)
        for group in row.groups.all()
    ]
    if groups and is_confirmed:
        text = _("%(product)s: ready, only for members of %(groups)s.")
    elif groups:
        text = _("%(product)s: ready, only for members of %(groups)s. Not yet checked with Twilio.")
    elif is_confirmed:
        text = _("%(product)s: ready.")
    else:
        text = _("%(product)s: ready. Not yet checked with Twilio.")
    return Line("ok", text % {"product": grant.label, "groups": ", ".join(groups)})


# Keys and checks


def _keys(user: User) -> Iterator[Line]:
    if not _may(user, "view", APIKey):
        return
    keys = APIKey.objects.select_related("account")
    unreadable = [key for key in keys.filter(is_active=True) if not opens(key)]
    yield from _lines("failed", _("%(row)s: the secret cannot be read."), unreadable)
    retired = with_last_expiry(keys.filter(is_active=False))
    deletable = [key for key in retired if is_safe_to_delete(key)]
    yield from _lines(
        "done", _("%(row)s: retired. You can now delete it at Twilio and here."), deletable
    )


def _checks(user: User) -> Iterator[Line]:
    models: list[type[Checked]] = [APIKey, *resource_kinds()]
    for model in models:
        if _may(user, "view", model):
            rows: QuerySet[Any] = model._default_manager.order_by("-checked_at")
            rows = rows.exclude(check_outcome__in=["", Outcome.VERIFIED])
            if model is APIKey:
                rows = rows.filter(is_active=True)
            yield from _lines("failed", about("%(row)s", "%(message)s"), rows)


def _closed(user: User) -> Iterator[Line]:
    text = _(
        "%(row)s: nobody may use it, because its last group was deleted. Choose groups or open it."
    )
    for model in resource_kinds():
        if issubclass(model, RestrictedResource) and _may(user, "view", model):
            closed = model._default_manager.filter(is_restricted=True, groups=None)
            yield from _lines("failed", text, closed)


def _lines(level: str, text: str, rows: list[Any] | QuerySet[Any]) -> Iterator[Line]:
    first = list(rows[:MOST_LINES])
    for row in first:
        values = {"row": f"{row._meta.verbose_name} {row}", "message": row.check_message}
        yield Line(level, text % values, _change(row))
    if len(first) == MOST_LINES:
        yield from _more(level, rows)


def _more(level: str, rows: list[Any] | QuerySet[Any]) -> Iterator[Line]:
    more = (len(rows) if isinstance(rows, list) else rows.count()) - MOST_LINES
    if more > 0:
        text = ngettext("and %(count)d more", "and %(count)d more", more) % {"count": more}
        yield Line(level, text, _list(type(rows[0])))


# Pages, and who may open them


def _may(user: User, action: str, model: type[Model]) -> bool:
    """As in Django's admin: whoever may change may view."""
    label, name = model._meta.app_label, model._meta.model_name
    actions = {"view": ("view", "change")}.get(action, (action,))
    return any(user.has_perm(f"{label}.{each}_{name}") for each in actions)


def _list(model: type[Model]) -> Page:
    return Page(_name(model, "changelist"))


def _add(user: User, model: type[Model], account: Account | None = None) -> Page | None:
    if not _may(user, "add", model):
        return None
    query = "" if account is None else f"?account={account.pk}"
    return Page(_name(model, "add"), query=query)


def _change(row: Model) -> Page:
    return Page(_name(type(row), "change"), args=(row.pk,))


def _name(model: type[Model], page: str) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}_{page}"

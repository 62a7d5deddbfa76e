"""The page that imports an account's services and apps from Twilio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db import DataError, IntegrityError, transaction
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString
from django.utils.text import capfirst, slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from twilio_tokens.admin.badges import badge
from twilio_tokens.admin.forms import ImportForm
from twilio_tokens.admin.page import about, change_page, page_response
from twilio_tokens.characters import visible
from twilio_tokens.exceptions import ListingFailed, Unavailable
from twilio_tokens.models import Account, Resource, resource_kinds
from twilio_tokens.verification import Listed, list_resources, verify_listed

#: Django refuses forms of more than 1,000 fields; each entry has two.
PER_PAGE = 100

#: In the order of the list: what needs a decision comes first.
STATES = ("new", "changed", "stored", "gone")


@dataclass
class Entry:
    """One service or app: what Twilio has, what is stored, and the form to import it."""

    model: type[Resource]
    sid: str
    friendly_name: str
    listed: Listed | None
    stored: Resource | None
    form: ImportForm | None = None
    #: The page of the stored entry, if the user may see it.
    url: str = ""

    @property
    def state(self) -> str:
        if self.listed is None:
            return "gone"
        if self.stored is None:
            return "new"
        is_same = visible(self.stored.friendly_name) in ("", ImportForm.stored_name(self.listed))
        return "stored" if is_same else "changed"

    @property
    def badge(self) -> SafeString:
        if self.state == "changed":
            assert self.stored is not None
            was = _("was %(name)s") % {"name": self.stored.friendly_name or "–"}
            return badge("warning", _("changed at Twilio"), was)
        return {
            "new": badge("warning", _("new")),
            "stored": badge("good", _("stored")),
            "gone": badge("bad", _("gone at Twilio")),
        }[self.state]

    def matches(self, query: str) -> bool:
        texts = (self.sid, self.friendly_name, self.stored.name if self.stored else "")
        return any(query.casefold() in text.casefold() for text in texts)


@dataclass(frozen=True)
class Section:
    title: str
    entries: list[Entry]


def importable(
    model_admin: admin.ModelAdmin[Account], request: HttpRequest
) -> list[type[Resource]]:
    """Models that Twilio can list, that this admin site has, and that this user may add."""
    site = model_admin.admin_site
    return [
        model
        for model in resource_kinds()
        if model.at_twilio is not None
        and site.is_registered(model)
        and site.get_model_admin(model).has_add_permission(request)
    ]


def import_view(
    model_admin: admin.ModelAdmin[Account], request: HttpRequest, object_id: str
) -> HttpResponse:
    account = model_admin.get_object(request, object_id)
    models = importable(model_admin, request)
    if not (models and model_admin.has_view_permission(request, account)):
        raise PermissionDenied
    if account is None:
        raise Http404
    try:
        found, failed = list_resources(account, models)
    except (ListingFailed, Unavailable) as error:
        message = error.reason if isinstance(error, Unavailable) else error.message
        model_admin.message_user(request, message, messages.ERROR)
        return HttpResponseRedirect(change_page(model_admin, account))
    for model, reason in failed.items():
        text = about(capfirst(model._meta.verbose_name_plural), reason)
        model_admin.message_user(request, text, messages.WARNING)
    if request.method == "POST":
        return _store_ticked(model_admin, request, account, found)
    query = request.GET.get("q", "").strip()
    entries = [entry for entry in _entries(account, found) if entry.matches(query)]
    page = Paginator(entries, PER_PAGE).get_page(request.GET.get("p"))
    _add_forms(model_admin.admin_site, request, page.object_list, account)
    return _page(model_admin, request, account, page.object_list, query=query, page=page)


def _store_ticked(
    model_admin: admin.ModelAdmin[Account],
    request: HttpRequest,
    account: Account,
    found: Mapping[type[Resource], list[Listed]],
) -> HttpResponse:
    """By the posted SIDs: what a page lists may have changed since it was shown."""
    shown = {name.partition("-")[0] for name in request.POST}
    ticked = {name.removesuffix("-store") for name in request.POST if name.endswith("-store")}
    try:
        with transaction.atomic():
            _wait_for_others(account)
            entries = [entry for entry in _entries(account, found) if entry.sid in shown]
            forms = _add_forms(model_admin.admin_site, request, entries, account)
            if not _are_valid(forms):
                return _page(model_admin, request, account, entries, query="", page=None)
            chosen = [form for form in forms if form.cleaned_data["store"]]
            for form in chosen:
                _store(model_admin, request, form)
    except IntegrityError:
        message = _("Nothing was imported: someone has just taken one of these names. Try again.")
        model_admin.message_user(request, message, messages.ERROR)
    except DataError:
        message = _("Nothing was imported: the database cannot store one of the names at Twilio.")
        model_admin.message_user(request, message, messages.ERROR)
    else:
        gone = ticked - {each.sid for each in entries if each.listed}
        counts = (len(chosen), len(ticked) - len(chosen) - len(gone), len(gone))
        for level, message in _outcome(*counts):
            model_admin.message_user(request, message, level)
    return HttpResponseRedirect(request.get_full_path())


def _outcome(stored: int, before: int, gone: int) -> Iterator[tuple[int, str]]:
    """What happened to everything that was selected."""
    if not (stored or before or gone):
        yield messages.WARNING, _("Nothing was selected, so nothing was imported.")
    if stored:
        text = ngettext("%(count)d entry was imported.", "%(count)d entries were imported.", stored)
        yield messages.SUCCESS, text % {"count": stored}
    if before:
        text = ngettext(
            "%(count)d entry was already stored.", "%(count)d entries were already stored.", before
        )
        yield messages.INFO, text % {"count": before}
    if gone:
        text = ngettext(
            "%(count)d entry was not imported: Twilio no longer lists it.",
            "%(count)d entries were not imported: Twilio no longer lists them.",
            gone,
        )
        yield messages.WARNING, text % {"count": gone}


def _page(
    model_admin: admin.ModelAdmin[Account],
    request: HttpRequest,
    account: Account,
    entries: Iterable[Entry],
    *,
    query: str,
    page: Page[Entry] | None,
) -> HttpResponse:
    """``page`` is None for a posted form with errors."""
    entries = list(entries)
    site = model_admin.admin_site
    for entry in entries:
        of_model = site.get_model_admin(entry.model)
        if entry.stored is not None and of_model.has_view_permission(request, entry.stored):
            entry.url = change_page(of_model, entry.stored)
    sections = [
        Section(capfirst(str(model._meta.verbose_name_plural)), list(mine))
        for model, mine in groupby(entries, attrgetter("model"))
    ]
    context = {
        "title": _("Import from Twilio into %(account)s") % {"account": account},
        "account": account,
        "account_page": change_page(model_admin, account),
        "sections": sections,
        "has_forms": any(entry.form for entry in entries),
        "query": query,
        "page": page,
        "links": {} if page is None else _links(page, query),
    }
    return page_response(model_admin, request, "account/import", context)


def _links(page: Page[Entry], query: str) -> dict[str, str]:
    def link(number: int) -> str:
        return "?" + urlencode({"q": query, "p": number} if query else {"p": number})

    links = {"previous": link(page.previous_page_number())} if page.has_previous() else {}
    if page.has_next():
        links["next"] = link(page.next_page_number())
    return links


def _entries(account: Account, found: Mapping[type[Resource], list[Listed]]) -> list[Entry]:
    entries = []
    for model, listing in found.items():
        rows = model._default_manager.filter(account=account)
        stored = {str(row.sid): row for row in rows}
        mine = [
            Entry(model, each.sid, each.friendly_name, each, stored.pop(each.sid, None))
            for each in listing
        ]
        gone = ((sid, visible(row.friendly_name), row) for sid, row in stored.items())
        mine += [Entry(model, sid, name, None, row) for sid, name, row in gone]
        entries += sorted(mine, key=lambda entry: STATES.index(entry.state))
    return entries


def _add_forms(
    site: admin.AdminSite, request: HttpRequest, entries: Iterable[Entry], account: Account
) -> list[ImportForm]:
    """To new entries, and to changed entries that the user may change."""
    data = request.POST if request.method == "POST" else None
    taken = {
        model: set(model._default_manager.values_list("name", flat=True))
        for model in {entry.model for entry in entries}
    }
    forms = []
    for entry in entries:
        if entry.listed is None or entry.state == "stored":
            continue
        of_model = site.get_model_admin(entry.model)
        if entry.stored and not of_model.has_change_permission(request, entry.stored):
            continue
        values = {"account": account, "sid": entry.sid, **entry.listed.values}
        row = entry.stored or entry.model(**values)
        name = row.name or _proposed(entry.listed, entry.model, taken[entry.model])
        taken[entry.model].add(name)
        entry.form = ImportForm(
            data, instance=row, listed=entry.listed, initial={"name": name}, prefix=entry.sid
        )
        forms.append(entry.form)
    return forms


def _proposed(listed: Listed, model: type[Resource], taken: set[str]) -> str:
    """An unused name, derived from the friendly name."""
    base = slugify(listed.friendly_name)[:44] or str(model._meta.model_name)
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name


def _wait_for_others(account: Account) -> None:
    """Concurrent imports into this account, and double clicks, wait here."""
    # An update that changes nothing: SQLite has no other lock.
    Account.objects.filter(pk=account.pk).update(is_default=F("is_default"))


def _are_valid(forms: list[ImportForm]) -> bool:
    """Whether all are valid, and no two of them want the same name."""
    results = [form.is_valid() for form in forms]
    if not all(results):
        return False
    seen: set[tuple[type[Resource], str]] = set()
    for form in forms:
        # To MariaDB, names that differ only in case are equal.
        key = (type(form.instance), form.cleaned_data.get("name", "").casefold())
        if form.cleaned_data["store"] and key in seen:
            form.add_error("name", _("You have chosen this name twice."))
        elif form.cleaned_data["store"]:
            seen.add(key)
    return not any(form.errors for form in forms)


def _store(model_admin: admin.ModelAdmin[Account], request: HttpRequest, form: ImportForm) -> None:
    is_new = form.instance._state.adding
    row = form.save()
    finding = verify_listed(row, form.listed)
    row.record_check(finding.outcome, finding.message)
    of_model = model_admin.admin_site.get_model_admin(type(row))
    log = of_model.log_addition if is_new else of_model.log_change
    log(request, row, [{"added": {}}] if is_new else [{"changed": {"fields": ["name at Twilio"]}}])

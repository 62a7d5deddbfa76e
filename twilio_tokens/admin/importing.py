"""The page of an account that takes over its services and apps from Twilio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst, slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from twilio_tokens.exceptions import ListingFailed, Unavailable
from twilio_tokens.forms import ImportForm
from twilio_tokens.models import Account, ChatService, Outcome, TwiMLApp
from twilio_tokens.verification import Listed, list_chat_services, list_twiml_apps

LISTINGS: dict[Any, Callable[[Account], list[Listed]]] = {
    ChatService: list_chat_services,
    TwiMLApp: list_twiml_apps,
}


@dataclass(frozen=True)
class Row:
    """One service or app: what Twilio has of it, what is stored, and the form to store it."""

    state: str
    listed: Listed | None
    stored: Any | None
    form: ImportForm | None

    @property
    def stored_page(self) -> str:
        stored: Any = self.stored
        return f"admin:twilio_tokens_{stored._meta.model_name}_change"


@dataclass(frozen=True)
class Section:
    model: Any
    rows: list[Row]

    @property
    def title(self) -> str:
        return capfirst(str(self.model._meta.verbose_name_plural))


def importable(request: HttpRequest) -> list[Any]:
    """The models whose rows this user may add."""
    return [
        model
        for model in LISTINGS
        if request.user.has_perm(f"twilio_tokens.add_{model._meta.model_name}")
    ]


def import_view(
    model_admin: admin.ModelAdmin[Account], request: HttpRequest, object_id: str
) -> HttpResponse:
    account = model_admin.get_object(request, object_id)
    if account is None:
        raise Http404
    allowed = importable(request)
    if not (allowed and model_admin.has_view_permission(request, account)):
        raise PermissionDenied
    page = reverse("admin:twilio_tokens_account_change", args=[account.pk])
    try:
        found = {model: LISTINGS[model](account) for model in allowed}
    except (ListingFailed, Unavailable) as error:
        message = error.reason if isinstance(error, Unavailable) else error.message
        model_admin.message_user(request, message, messages.ERROR)
        return HttpResponseRedirect(page)
    data = request.POST if request.method == "POST" else None
    sections = [Section(model, _rows(model, account, found[model], data)) for model in allowed]
    forms = [row.form for section in sections for row in section.rows if row.form is not None]
    if data is not None and _are_valid(forms):
        chosen = [form for form in forms if form.cleaned_data["store"]]
        with transaction.atomic():
            for form in chosen:
                _store(model_admin, request, form)
        model_admin.message_user(
            request,
            ngettext("%(count)d was stored.", "%(count)d were stored.", len(chosen))
            % {"count": len(chosen)},
            messages.SUCCESS if chosen else messages.WARNING,
        )
        return HttpResponseRedirect(request.path)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Import from Twilio into %(account)s") % {"account": account},
        "opts": model_admin.opts,
        "account": account,
        "sections": sections,
        "has_new": bool(forms),
        "media": model_admin.media,
    }
    return TemplateResponse(request, "admin/twilio_tokens/account/import.html", context)


def _rows(model: Any, account: Account, found: list[Listed], data: Any) -> list[Row]:
    stored = {row.sid: row for row in model.objects.filter(account=account)}
    taken = set(model.objects.values_list("name", flat=True))
    rows = []
    for listed in found:
        row = stored.pop(listed.sid, None)
        if row is not None and row.friendly_name in ("", listed.friendly_name):
            rows.append(Row("stored", listed, row, None))
            continue
        instance = row or model(account=account, sid=listed.sid)
        initial = row.name if row else _proposed(listed, model, taken)
        taken.add(initial)
        form = ImportForm(
            data, instance=instance, listed=listed, initial={"name": initial}, prefix=listed.sid
        )
        rows.append(Row("changed" if row else "new", listed, row, form))
    gone = [Row("gone", None, row, None) for row in stored.values()]
    return sorted(rows, key=lambda row: row.state == "stored") + gone


def _proposed(listed: Listed, model: Any, taken: set[str]) -> str:
    """A name from the friendly name that nothing else has."""
    base = slugify(listed.friendly_name)[:46] or model._meta.model_name
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name


def _are_valid(forms: list[ImportForm]) -> bool:
    """Whether all are, and no two of them want one name."""
    results = [form.is_valid() for form in forms]
    if not all(results):
        return False
    seen: set[tuple[Any, str]] = set()
    for form in forms:
        key = (type(form.instance), form.cleaned_data.get("name", ""))
        if form.cleaned_data["store"] and key in seen:
            form.add_error("name", _("This name is chosen twice."))
        elif form.cleaned_data["store"]:
            seen.add(key)
    return not any(form.errors for form in forms)


def _store(model_admin: admin.ModelAdmin[Account], request: HttpRequest, form: ImportForm) -> None:
    is_new = form.instance._state.adding
    row = form.save()
    row.record_check(
        Outcome.VERIFIED, _("Twilio knows it as “%(name)s”.") % {"name": row.friendly_name}
    )
    log = model_admin.log_addition if is_new else model_admin.log_change
    log(request, row, [{"added": {}}] if is_new else [{"changed": {"fields": ["friendly name"]}}])

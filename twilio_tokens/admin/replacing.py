"""The page that replaces an API key with a new one."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import router
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from twilio_tokens.admin.credential_admin import CredentialAdmin
from twilio_tokens.admin.forms import ReplaceForm
from twilio_tokens.admin.saving_keys import form_page, is_stored, store
from twilio_tokens.characters import visible
from twilio_tokens.models import APIKey


def may_replace(model_admin: CredentialAdmin, request: HttpRequest, key: APIKey | None) -> bool:
    may_change = model_admin.has_change_permission(request, key)
    return may_change and model_admin.has_add_permission(request)


def replace_view(
    model_admin: CredentialAdmin, request: HttpRequest, object_id: str
) -> HttpResponse:
    """The form for a new key; saving it retires the key that it replaces."""
    key: APIKey | None = model_admin.get_object(request, unquote(object_id))
    if not may_replace(model_admin, request, key):
        raise PermissionDenied
    if key is None:
        raise Http404
    if not key.is_active:
        return _replaced_before(model_admin, request, key)
    form_class = model_admin.get_form(request, form=ReplaceForm, fields=ReplaceForm.Meta.fields)
    make_form = cast(type[ReplaceForm], form_class)
    form = make_form(request.POST if request.method == "POST" else None, replaced=key)
    if form.is_valid() and is_stored(form, lambda: _take_over(model_admin, request, form)):
        message = _(
            "%(key)s is now retired. The list shows when you can safely delete it at Twilio."
        )
        model_admin.message_user(request, message % {"key": key})
        return HttpResponseRedirect(model_admin.address("changelist"))
    if form.is_bound and not _active(key).exists():
        return _replaced_before(model_admin, request, key)
    return _page(model_admin, request, form)


def _active(key: APIKey) -> QuerySet[APIKey]:
    """From the primary: a replica may not have the previous request's changes yet."""
    keys = APIKey.objects.using(router.db_for_write(APIKey))
    return keys.filter(pk=key.pk, is_active=True)


def _take_over(model_admin: CredentialAdmin, request: HttpRequest, form: ReplaceForm) -> bool:
    """Whether the new key took over. It does not if the old one was retired in the meantime."""
    # A write that changes nothing: on every database, the second of two requests waits here.
    if not _active(form.replaced).update(is_active=True):
        return False
    store(model_admin, request, form)
    old = _active(form.replaced).get()
    old.is_active = False
    old.save()
    model_admin.log_change(request, old, _("Replaced by %(key)s.") % {"key": form.instance})
    return True


def _replaced_before(
    model_admin: CredentialAdmin, request: HttpRequest, key: APIKey
) -> HttpResponse:
    message = _("%(key)s has already been replaced or retired. No new key was saved.")
    model_admin.message_user(request, message % {"key": key}, messages.WARNING)
    return HttpResponseRedirect(model_admin.address("changelist"))


def _page(model_admin: CredentialAdmin, request: HttpRequest, form: ReplaceForm) -> HttpResponse:
    context = {
        "title": _("Replace API key %(name)s") % {"name": visible(form.replaced.name)},
        "replaced": form.replaced,
        "replaced_url": model_admin.address("change", form.replaced.pk),
        "show_save_and_add_another": False,
        "show_save_and_continue": False,
    }
    response = form_page(
        model_admin, request, form, [(None, {"fields": list(form.fields)})], context
    )
    response.template_name = "admin/twilio_tokens/apikey/replace.html"  # type: ignore[attr-defined]
    return response

"""The page of an API key that puts a new one in its place."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import AdminErrorList, AdminForm
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, router, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from twilio_tokens.admin.forms import ReplaceForm
from twilio_tokens.models import APIKey


def replace_view(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """The form for a new key; saving it retires the one that it replaces."""
    key = model_admin.get_object(request, unquote(object_id))
    if key is None:
        raise Http404
    if not model_admin.may_replace(request, key):
        raise PermissionDenied
    if not key.is_active:
        return _replaced_before(model_admin, request, key)
    make_form = model_admin.get_form(request, form=ReplaceForm, fields=ReplaceForm.Meta.fields)
    form = make_form(request.POST if request.method == "POST" else None, replaced=key)
    if form.is_valid() and _replace(model_admin, request, form):
        message = _("%(key)s is retired. The list says when it is safe to delete it at Twilio.")
        model_admin.message_user(request, message % {"key": key})
        return HttpResponseRedirect(model_admin.address("changelist"))
    if form.is_bound and not _active(key).exists():
        return _replaced_before(model_admin, request, key)
    return _page(model_admin, request, form)


def _active(key: APIKey) -> QuerySet[APIKey]:
    """Where keys are written: a replica may not know yet of the request before."""
    keys = APIKey.objects.using(router.db_for_write(APIKey))
    return keys.filter(pk=key.pk, is_active=True)


def _replace(model_admin: Any, request: HttpRequest, form: ReplaceForm) -> bool:
    try:
        with transaction.atomic(using=router.db_for_write(APIKey)):
            return _take_over(model_admin, request, form)
    except IntegrityError:
        form.add_error("sid", form.instance.unique_error_message(APIKey, ("sid",)))
        return False


def _take_over(model_admin: Any, request: HttpRequest, form: ReplaceForm) -> bool:
    """Whether the new key took over. It does not where the old one was retired meanwhile."""
    # A write that changes nothing: on every database, the second of two waits here.
    if not _active(form.replaced).update(is_active=True):
        return False
    new = model_admin.save_form(request, form, change=False)
    model_admin.save_model(request, new, form, change=False)
    model_admin.log_addition(request, new, [{"added": {}}])
    old = _active(form.replaced).get()
    old.is_active = False
    old.save()
    model_admin.log_change(request, old, _("Replaced by %(key)s.") % {"key": new})
    return True


def _replaced_before(model_admin: Any, request: HttpRequest, key: APIKey) -> HttpResponse:
    message = _("%(key)s has already been replaced or retired. No new key was stored.")
    model_admin.message_user(request, message % {"key": key}, messages.WARNING)
    return HttpResponseRedirect(model_admin.address("changelist"))


def _page(model_admin: Any, request: HttpRequest, form: ReplaceForm) -> HttpResponse:
    """Drawn as Django's page that adds a row, so that themes know it."""
    fieldsets = [(None, {"fields": list(form.fields)})]
    admin_form = AdminForm(form, fieldsets, {}, model_admin=model_admin)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Replace API key %(name)s") % {"name": form.replaced.name},
        "replaced": form.replaced,
        "replaced_url": model_admin.address("change", form.replaced.pk),
        "adminform": admin_form,
        "errors": AdminErrorList(form, []),
        "media": model_admin.media + admin_form.media,
        "inline_admin_formsets": [],
        "show_save_and_add_another": False,
        "show_save_and_continue": False,
    }
    response: Any = model_admin.render_change_form(request, context, add=True)
    response.template_name = "admin/twilio_tokens/apikey/replace.html"
    return response  # type: ignore[no-any-return]

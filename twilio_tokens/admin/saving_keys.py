"""Saving an API key: the form is validated, Twilio is asked, the key is stored, once each.

Only storing happens in a transaction. In Django's own view, a slow answer from Twilio would keep
one open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.contrib.admin.exceptions import DisallowedModelAdminToField
from django.contrib.admin.helpers import AdminErrorList, AdminForm
from django.contrib.admin.options import IS_POPUP_VAR, TO_FIELD_VAR
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, router, transaction
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from twilio_tokens.admin.credential_admin import CredentialAdmin, Fieldsets, again_if_outrun
from twilio_tokens.models import APIKey

#: The buttons that save.
SAVES = {"_save", "_continue", "_addanother"}


def save_view(
    model_admin: CredentialAdmin, request: HttpRequest, key: APIKey | None
) -> HttpResponse:
    """Handle a POST to the page of ``key``, or to the page that adds a key."""
    is_new = key is None
    to_field = request.POST.get(TO_FIELD_VAR)
    if to_field and not model_admin.to_field_allowed(request, to_field):
        raise DisallowedModelAdminToField(f"The field {to_field} cannot be referenced.")
    if not model_admin.may_save(request, key):
        raise PermissionDenied
    make_form = model_admin.get_form(request, key, change=not is_new)
    form = make_form(request.POST, request.FILES, instance=key)
    if form.is_valid() and is_stored(form, lambda: store(model_admin, request, form)):
        respond = model_admin.response_add if is_new else model_admin.response_change
        return respond(request, form.instance)
    context = {
        "title": (_("Add %s") if is_new else _("Change %s")) % model_admin.opts.verbose_name,
        "subtitle": None if is_new else str(key),
        "object_id": None if is_new else str(form.instance.pk),
        "original": key,
        "is_popup": IS_POPUP_VAR in request.POST,
        "to_field": to_field,
        "preserved_filters": model_admin.get_preserved_filters(request),
    }
    fieldsets = list(model_admin.get_fieldsets(request, key))
    return form_page(model_admin, request, form, fieldsets, context, key)


def is_stored(form: ModelForm[APIKey], store: Callable[[], bool]) -> bool:
    """What ``store`` returns; False if another request took what the form found free."""
    is_new = form.instance._state.adding

    def within_a_transaction() -> bool:
        form.instance._state.adding = (
            is_new  # the second time, too, after the first was rolled back
        )
        with transaction.atomic(using=router.db_for_write(APIKey)):
            return store()

    try:
        return again_if_outrun(within_a_transaction)
    except IntegrityError:
        if not is_new:
            raise
        form.add_error("sid", form.instance.unique_error_message(APIKey, ("sid",)))
        return False


def store(model_admin: CredentialAdmin, request: HttpRequest, form: ModelForm[APIKey]) -> bool:
    is_new = form.instance._state.adding
    key = model_admin.save_form(request, form, change=not is_new)
    model_admin.save_model(request, key, form, change=not is_new)
    model_admin.save_related(request, form, [], change=not is_new)
    log = model_admin.log_addition if is_new else model_admin.log_change
    message = model_admin.construct_change_message(request, form, [], add=is_new)  # type: ignore[arg-type]  # the stubs expect a Form
    log(request, key, message)
    return True


def form_page(
    model_admin: CredentialAdmin,
    request: HttpRequest,
    form: ModelForm[APIKey],
    fieldsets: Fieldsets,
    context: Mapping[str, object],
    key: APIKey | None = None,
) -> HttpResponse:
    """Rendered like Django's pages for adding and changing a row, so that themes style it."""
    admin_form = AdminForm(
        form,
        fieldsets,
        model_admin.get_prepopulated_fields(request, key),
        model_admin.get_readonly_fields(request, key),
        model_admin=model_admin,
    )
    shown = {
        **model_admin.admin_site.each_context(request),
        "adminform": admin_form,
        "errors": AdminErrorList(form, []),
        "media": model_admin.media + admin_form.media,
        "inline_admin_formsets": [],
        **context,
    }
    return model_admin.render_change_form(
        request, shown, add=key is None, change=key is not None, obj=key
    )

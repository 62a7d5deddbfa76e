"""Our own pages, on any admin site and in any theme."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext


class PrivateHistory(admin.ModelAdmin):  # type: ignore[type-arg]
    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Django looks up the row first, which tells everyone with access which rows exist."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        return super().history_view(request, *args, **kwargs)


def page_response(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
) -> TemplateResponse:
    """Rendered by a template that extends ``admin/twilio_tokens/page.html``."""
    site = model_admin.admin_site
    # With several admin sites, the page's links stay on this one.
    request.current_app = site.name
    context = {
        **site.each_context(request),
        "opts": model_admin.opts,
        "has_view_permission": model_admin.has_view_permission(request),
        **context,
    }
    return TemplateResponse(request, f"admin/twilio_tokens/{template}.html", context)


def about(subject: object, text: object) -> str:
    """A sentence with what it is about in front, punctuated as the language does."""
    return gettext("%(subject)s: %(text)s") % {"subject": subject, "text": text}


def may_view(site: admin.AdminSite, request: HttpRequest, model: type[Model]) -> bool:
    """Whether the site has a page for the model and shows it to the user."""
    return site.is_registered(model) and site.get_model_admin(model).has_view_permission(request)


def change_list(model_admin: admin.ModelAdmin[Any]) -> str:
    """The address of the list, on the admin site of ``model_admin``."""
    name = f"admin:{model_admin.opts.app_label}_{model_admin.opts.model_name}_changelist"
    return reverse(name, current_app=model_admin.admin_site.name)


def change_page(model_admin: admin.ModelAdmin[Any], row: Model) -> str:
    """The address of the row's page, on the admin site of ``model_admin``."""
    name = f"admin:{model_admin.opts.app_label}_{model_admin.opts.model_name}_change"
    return reverse(name, args=[quote(row.pk)], current_app=model_admin.admin_site.name)

"""What the pages of all credentials have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.db import IntegrityError, OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from twilio_tokens.admin.change_list import SafeChangeList, are_usable_ids
from twilio_tokens.admin.forms import CredentialForm
from twilio_tokens.admin.moments import to_the_minute
from twilio_tokens.error_reports import hide_posted_secrets
from twilio_tokens.exceptions import Unavailable
from twilio_tokens.models import Account, Checked, IssuedToken, Outcome
from twilio_tokens.verification import Finding, verify_resource

LEVELS = {
    Outcome.VERIFIED: messages.SUCCESS,
    Outcome.REFUSED: messages.ERROR,
    Outcome.UNREACHABLE: messages.WARNING,
}


class CredentialAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A secret may be typed into each of these forms, by mistake too."""

    form = CredentialForm

    class Media:
        css = {"all": ["twilio_tokens/admin/console.css"]}

    def get_urls(self) -> list[URLPattern]:
        urls = [*self.own_urls(), *super().get_urls()]
        for each in urls:
            each.callback = hide_posted_secrets(each.callback)
        return urls

    def own_urls(self) -> list[URLPattern]:
        """The pages that Django's admin does not have."""
        return []

    def url(self, route: str, view: Any, name: str) -> URLPattern:
        pattern: URLPattern = path(
            route, self.admin_site.admin_view(view), name=self._url_name(name)
        )
        return pattern

    def address(self, name: str, *args: Any) -> str:
        """Of a page of this model, in the admin site that this is."""
        quoted = [quote(each) for each in args]
        return reverse(f"{self.admin_site.name}:{self._url_name(name)}", args=quoted)

    def _url_name(self, name: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{name}"

    # The account of a row

    def without_dead_link(self, request: HttpRequest, obj: Any, fieldsets: Any) -> Any:
        """Django makes an account that is only shown a link, also for who may not follow it."""
        is_shown_only = obj is not None and (
            "account" in self.get_readonly_fields(request, obj)
            or not self.has_change_permission(request, obj)
        )
        if not is_shown_only or self._may_view_account(request):
            return fieldsets
        return [
            (title, {**options, "fields": list(map(_name_only, options["fields"]))})
            for title, options in fieldsets
        ]

    def _may_view_account(self, request: HttpRequest) -> bool:
        names = ("twilio_tokens.view_account", "twilio_tokens.change_account")
        return any(request.user.has_perm(name) for name in names)

    @admin.display(description=_("account"))
    def account_name(self, row: Any) -> str:
        return str(row.account)

    # Lists

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SafeChangeList

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **{"form": CredentialForm, **kwargs})

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if are_usable_ids(self.model, selected):
            return super().response_action(request, *args, **kwargs)
        message = gettext("What was selected is not there. Select it again.")
        self.message_user(request, message, messages.WARNING)
        return None

    # Two requests at once

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        view = super().changelist_view
        # An action of the site's own may do what should not be done twice.
        if "_save" in request.POST or request.POST.get("action") == "delete_selected":
            return _again_if_outrun(view, request, extra_context)
        return view(request, extra_context)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _again_if_outrun(super().changeform_view, request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _again_if_outrun(super().delete_view, request, *args, **kwargs)


def _name_only(field: Any) -> Any:
    return "account_name" if field == "account" else field


def _again_if_outrun(view: Callable[..., Any], request: HttpRequest, *args: Any, **kw: Any) -> Any:
    """What the form found free, another request may take before it is saved.

    The view's transaction is rolled back then. The second time the form sees what is stored.
    """
    try:
        return view(request, *args, **kw)
    except (IntegrityError, OperationalError):  # the latter where MariaDB has met a deadlock
        return view(request, *args, **kw)


class ProtectedByAudit(CredentialAdmin):
    """Says why a row that signed tokens stays, without loading a million records to list them."""

    #: The path from an issued token to the rows of this admin.
    audit_path: str

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        count = IssuedToken.objects.filter(**{f"{self.audit_path}__in": objs}).count()
        if count:
            message = ngettext(
                "%(count)d issued token, which is the audit of what was signed. Make the API key "
                "inactive instead.",
                "%(count)d issued tokens, which are the audit of what was signed. Make the API "
                "key inactive instead.",
                count,
            )
            return [], {}, set(), [message % {"count": count}]
        return super().get_deleted_objects(objs, request)


class CheckedAdmin(CredentialAdmin):
    """Rows that Twilio can be asked about."""

    actions = ("check_with_twilio",)

    def ask_twilio(self, row: Any) -> Finding:
        return verify_resource(row)

    def has_verify_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("twilio_tokens.verify_credentials")

    @admin.action(description=_("Check with Twilio"), permissions=["verify"])
    def check_with_twilio(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        verified = 0
        for row in rows.select_related("account"):
            try:
                finding = self.ask_twilio(row)
            except Unavailable as error:
                self.message_user(request, f"{row}: {error.reason}", messages.ERROR)
                continue
            row.record_check(finding.outcome, finding.message, finding.code)
            if finding.outcome == Outcome.VERIFIED:
                verified += 1
                continue
            self.message_user(request, f"{row}: {finding.message}", LEVELS[finding.outcome])
            if finding.outcome == Outcome.UNREACHABLE:
                # Each of the others could take as long to fail.
                self.message_user(
                    request, gettext("What came after it was not checked."), messages.WARNING
                )
                break
        if verified:
            self.message_user(
                request,
                ngettext("%(count)d was verified.", "%(count)d were verified.", verified)
                % {"count": verified},
                messages.SUCCESS,
            )

    @admin.display(description=_("check with Twilio"), ordering="check_outcome")
    def check_badge(self, row: Checked) -> SafeString:
        if row.checked_at is None:
            return badge("never", gettext("never checked"))
        return format_html(
            '{} <span class="twilio-note">{}{}</span>',
            badge(row.check_outcome, row.get_check_outcome_display()),
            to_the_minute(row.checked_at),
            "" if row.check_outcome == Outcome.VERIFIED else f": {row.check_message}",
        )


def badge(kind: str, text: str) -> SafeString:
    return format_html('<span class="twilio-badge twilio-{}">{}</span>', kind, text)


def default_account() -> dict[str, Any]:
    account = Account.objects.default()
    return {} if account is None else {"account": account.pk}

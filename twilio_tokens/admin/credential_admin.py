"""What the pages of all credentials share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.db import IntegrityError, OperationalError
from django.db.models import Field, Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from twilio_tokens.admin.badges import OUTCOMES, badge
from twilio_tokens.admin.change_list import SafeChangeList, are_usable_ids
from twilio_tokens.admin.database_failures import tells_of_failures
from twilio_tokens.admin.forms import CredentialForm
from twilio_tokens.admin.moments import to_the_minute
from twilio_tokens.admin.page import PrivateHistory, about
from twilio_tokens.characters import visible
from twilio_tokens.error_reports import hide_posted_secrets
from twilio_tokens.exceptions import Unavailable
from twilio_tokens.models import Account, Checked, IssuedToken, Outcome
from twilio_tokens.saving import TRIES, is_deadlock
from twilio_tokens.verification import Finding, verify_resource

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

LEVELS = {
    Outcome.VERIFIED: messages.SUCCESS,
    Outcome.REFUSED: messages.ERROR,
    Outcome.UNREACHABLE: messages.WARNING,
}

#: As Django's admin declares them: a title, or None, and options.
Fieldsets = list[tuple[Any, Any]]

_Answer = TypeVar("_Answer")


class CredentialAdmin(PrivateHistory):
    """A secret may be typed into any of these forms, even by mistake."""

    form = CredentialForm

    class Media:
        css = {"all": ["twilio_tokens/admin/console.css"]}

    def get_urls(self) -> list[URLPattern]:
        urls = [*self.own_urls(), *super().get_urls()]
        for each in urls:
            each.callback = hide_posted_secrets(tells_of_failures(each.callback))
        return urls

    def own_urls(self) -> list[URLPattern]:
        """Pages beyond those of Django's admin."""
        return []

    def url(self, route: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
        pattern: URLPattern = path(
            route, self.admin_site.admin_view(view), name=self._url_name(name)
        )
        return pattern

    def address(self, name: str, *args: int | UUID) -> str:
        """The address of a page of this model, on this admin site."""
        quoted = [quote(each) for each in args]
        return reverse(f"{self.admin_site.name}:{self._url_name(name)}", args=quoted)

    def _url_name(self, name: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{name}"

    def formfield_for_dbfield(self, db_field: Field[Any, Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - theirs
        """With a link to where the Twilio Console shows the SID, if the address is known."""
        field: Any = super().formfield_for_dbfield(db_field, *args, **kwargs)
        url = getattr(self.model, "console_url", "")
        if db_field.name == "sid" and url:
            field.help_text = format_html(
                '{} <a href="{}" target="_blank" rel="noreferrer noopener">{}</a>',
                field.help_text,
                url,
                gettext("Open in the Twilio Console"),
            )
        return field

    def may_save(self, request: HttpRequest, row: Model | None) -> bool:
        if row is None:
            return self.has_add_permission(request)
        return self.has_change_permission(request, row)

    # Fields that are shown read-only

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Fieldsets:  # noqa: ANN401 - theirs
        return self.as_shown(request, obj, list(super().get_fieldsets(request, obj)))

    def as_shown(self, request: HttpRequest, row: Model | None, fieldsets: Fieldsets) -> Fieldsets:
        """Django renders a read-only account as a link, even for users who may not follow it."""
        if row is None:
            return fieldsets
        instead = {}
        is_readonly = not self.has_change_permission(request, row)
        if is_readonly:
            instead["name"] = "name_in_list"
        is_fixed = is_readonly or "account" in self.get_readonly_fields(request, row)
        if is_fixed and not self._may_view_account(request):
            instead["account"] = "account_name"

        return [
            (title, {**options, "fields": [_replaced(each, instead) for each in options["fields"]]})
            for title, options in fieldsets
        ]

    def _may_view_account(self, request: HttpRequest) -> bool:
        names = ("twilio_tokens.view_account", "twilio_tokens.change_account")
        return any(request.user.has_perm(name) for name in names)

    @admin.display(description=_("name"), ordering="name")
    def name_in_list(self, row: Model) -> str:
        return visible(row.name)  # type: ignore[attr-defined]

    @admin.display(description=_("account"))
    def account_name(self, row: Model) -> str:
        return str(row.account)  # type: ignore[attr-defined]

    # Lists

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SafeChangeList

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[ModelForm[Model]]:
        return super().get_changelist_form(request, **{"form": CredentialForm, **kwargs})

    def response_action(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if are_usable_ids(self.model, selected):
            return super().response_action(request, *args, **kwargs)
        message = gettext("Your selection no longer exists. Select again.")
        self.message_user(request, message, messages.WARNING)
        return None

    # Concurrent requests

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        view = partial(super().changelist_view, request, *args, **kwargs)
        # A site's own action may do things that must not be done twice.
        if "_save" in request.POST or request.POST.get("action") == "delete_selected":
            return again_if_outrun(view)
        return view()

    def changeform_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        return again_if_outrun(partial(super().changeform_view, *args, **kwargs))

    def delete_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        return again_if_outrun(partial(super().delete_view, *args, **kwargs))


def _replaced(field: object, instead: dict[str, str]) -> object:
    """Leave several fields on one line alone."""
    return instead.get(field, field) if isinstance(field, str) else field


def again_if_outrun(view: Callable[[], _Answer]) -> _Answer:
    """Run the view again if another request took what the form found free.

    The view's transaction is rolled back, and the second time the form sees what is stored. MariaDB
    may run into a deadlock several times.
    """
    for tries in range(1, TRIES):
        try:
            return view()
        except (IntegrityError, OperationalError) as error:
            if tries > 1 and not is_deadlock(error):
                raise
    return view()


class ProtectedByAudit(CredentialAdmin):
    """Says why a row that signed tokens cannot be deleted, without loading a million records."""

    #: The path from an issued token to the rows of this admin.
    audit_path: str

    def get_deleted_objects(
        self, objs: QuerySet[Any] | Sequence[Model], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        count = IssuedToken.objects.filter(**{f"{self.audit_path}__in": objs}).count()
        if count:
            message = ngettext(
                "%(count)d issued token: it is the audit of what was signed. Deactivate the API "
                "key instead.",
                "%(count)d issued tokens: they are the audit of what was signed. Deactivate the "
                "API key instead.",
                count,
            )
            return [], {}, set(), [message % {"count": count}]
        return super().get_deleted_objects(objs, request)


class CheckedAdmin(CredentialAdmin):
    """Rows that can be checked with Twilio."""

    actions = ("check_with_twilio",)
    #: What a successful check does not prove.
    caveat: _StrOrPromise = ""

    ask_twilio: Callable[[Any], Finding] = staticmethod(verify_resource)

    def has_check_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("twilio_tokens.verify_credentials")

    @admin.action(description=_("Check with Twilio"), permissions=["check"])
    def check_with_twilio(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        confirmed = 0
        for row in rows.select_related("account"):
            try:
                finding = self.ask_twilio(row)
            except Unavailable as error:
                text = about(row, error.reason)
                self.message_user(request, text, messages.ERROR)
                continue
            row.record_check(finding.outcome, finding.message, finding.code)
            if finding.outcome == Outcome.VERIFIED:
                confirmed += 1
                continue
            text = about(row, finding.message)
            self.message_user(request, text, LEVELS[finding.outcome])
            if finding.outcome == Outcome.UNREACHABLE:
                # Each of the others could take just as long to fail.
                message = gettext("The remaining entries were not checked.")
                self.message_user(request, message, messages.WARNING)
                break
        if confirmed:
            message = ngettext(
                "Twilio confirmed %(count)d entry.",
                "Twilio confirmed %(count)d entries.",
                confirmed,
            )
            text = f"{message % {'count': confirmed}} {self.caveat}".rstrip()
            self.message_user(request, text, messages.SUCCESS)

    @admin.display(description=_("check with Twilio"), ordering="check_outcome")
    def check_badge(self, row: Checked) -> SafeString:
        if row.checked_at is None:
            return badge("neutral", gettext("never checked"))
        moment = to_the_minute(row.checked_at)
        is_good = row.check_outcome == Outcome.VERIFIED
        text = str(self.caveat) if is_good else row.check_message
        return badge(
            OUTCOMES.get(row.check_outcome, "neutral"),
            row.get_check_outcome_display(),
            about(moment, text) if text else moment,
        )


def default_account() -> dict[str, object]:
    account = Account.objects.default()
    return {} if account is None else {"account": account.pk}

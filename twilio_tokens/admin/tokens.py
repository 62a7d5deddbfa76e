"""The audit of issued tokens, and the token pages: test token, decoder, dashboard."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from twilio_tokens.admin.audit_export import csv_response
from twilio_tokens.admin.audit_list import (
    AuditList,
    CappedPaginator,
    KeyFilter,
    ProductFilter,
    StateFilter,
    UserFilter,
)
from twilio_tokens.admin.credential_admin import Fieldsets
from twilio_tokens.admin.dashboard import dashboard_view
from twilio_tokens.admin.database_failures import tells_of_failures
from twilio_tokens.admin.decoded import moments, pretty, signature
from twilio_tokens.admin.page import PrivateHistory, change_page, may_view, page_response
from twilio_tokens.admin.sdk_notes import sdk_notes
from twilio_tokens.admin.token_forms import DecodeForm, TestTokenForm, username_of
from twilio_tokens.characters import visible
from twilio_tokens.decoding import DecodedToken, decode
from twilio_tokens.error_reports import hide_tokens
from twilio_tokens.exceptions import InvalidToken
from twilio_tokens.identity import users_named
from twilio_tokens.issuing import IssuedAccessToken
from twilio_tokens.models import APIKey, IssuedToken
from twilio_tokens.outcomes import Asking


@admin.register(IssuedToken)
class IssuedTokenAdmin(PrivateHistory):
    list_display = (
        "issued_at",
        "is_live",
        "identity_in_list",
        "user_in_list",
        "products",
        "key_in_list",
        "expires_at",
    )
    list_filter = (StateFilter, ProductFilter, KeyFilter, UserFilter, "issued_at")
    date_hierarchy = "issued_at"
    search_fields = ("identity", "jti")
    search_help_text = _(
        "Enter the beginning of an identity, or a complete token ID (jti) or username."
    )
    actions = ("export_csv",)

    # With a million rows, nothing here may count, sort or search all of them.
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ("issued_at", "expires_at")

    class Media:
        css = {"all": ("twilio_tokens/admin/console.css",)}

    # The list

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[AuditList]:
        return AuditList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Identities may contain spaces, so search for the whole term, by an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        # MariaDB has an index for one, PostgreSQL for the other.
        identity = Q(identity__istartswith=term, identity__startswith=term)
        users = users_named(term)
        found = identity | Q(jti=term) | (Q(user__in=users) if users else Q())
        return queryset.filter(found), False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {
            "may_issue_test_token": self.has_issue_test_token_permission(request),
            "may_decode": True,
        }
        return super().changelist_view(request, context | (extra_context or {}))

    @admin.display(description=_("identity"))
    def identity_in_list(self, record: IssuedToken) -> str:
        return visible(record.identity)

    @admin.display(description=_("user"), empty_value="-")
    def user_in_list(self, record: IssuedToken) -> str | None:
        if record.user is None:
            return None
        return _filter_link("user__id__exact", record.user_id, username_of(record.user))

    @admin.display(description=_("API key"))
    def key_in_list(self, record: IssuedToken) -> str:
        name = visible(record.api_key.name)
        return _filter_link("api_key__id__exact", record.api_key_id, name)

    @admin.display(description=_("products"))
    def products(self, record: IssuedToken) -> str:
        return visible(", ".join(record.grants))

    @admin.display(description=_("live"), boolean=True)
    def is_live(self, record: IssuedToken) -> bool:
        return record.expires_at > timezone.now()

    @admin.action(
        description=_("Export selected %(verbose_name_plural)s as CSV"), permissions=["view"]
    )
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponseBase:
        return csv_response(queryset)

    # One record

    def get_fieldsets(self, request: HttpRequest, obj: IssuedToken | None = None) -> Fieldsets:
        """Django renders every related row as a link, even if the user may not follow it."""

        may_view_users = may_view(self.admin_site, request, get_user_model())
        people = (
            ("user_link", "issued_by_link") if may_view_users else ("user_name", "issued_by_name")
        )
        key = "api_key" if may_view(self.admin_site, request, APIKey) else "api_key_name"
        times = ("is_live", "issued_at", "expires_at")
        return [
            (None, {"fields": ("jti", "identity_in_list", *people)}),
            (_("Validity"), {"fields": (*times, key)}),
            (_("Grants"), {"fields": ("granted",)}),
        ]

    def get_readonly_fields(
        self, request: HttpRequest, obj: IssuedToken | None = None
    ) -> tuple[str, ...]:
        fields = (name for _title, each in self.get_fieldsets(request) for name in each["fields"])
        return tuple(fields)

    @admin.display(description=_("user"))
    def user_name(self, record: IssuedToken) -> str:
        return self._name(record.user)

    @admin.display(description=_("user"))
    def user_link(self, record: IssuedToken) -> str:
        return self._link(record.user)

    @admin.display(description=_("issued by"))
    def issued_by_name(self, record: IssuedToken) -> str:
        return self._name(record.issued_by)

    @admin.display(description=_("issued by"))
    def issued_by_link(self, record: IssuedToken) -> str:
        return self._link(record.issued_by)

    def _name(self, user: AbstractBaseUser | None) -> str:
        return visible(str(user or self.get_empty_value_display()))

    def _link(self, user: AbstractBaseUser | None) -> str:
        if user is None:
            return self._name(user)
        of_users = self.admin_site.get_model_admin(type(user))
        return format_html('<a href="{}">{}</a>', change_page(of_users, user), self._name(user))

    @admin.display(description=_("API key"))
    def api_key_name(self, record: IssuedToken) -> str:
        return str(record.api_key)

    @admin.display(description=_("grants"))
    def granted(self, record: IssuedToken) -> str:
        return format_html('<pre class="twilio-json">{}</pre>', pretty(record.grants))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_issue_test_token_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("twilio_tokens.issue_test_token")

    # The pages

    def get_urls(self) -> list[URLPattern]:
        pages: dict[str, Callable[..., HttpResponse]] = {
            "test": self.test_view,
            "decode": self.decode_view,
            "dashboard": self.dashboard_view,
        }
        ours = [
            path(
                f"{name}/",
                hide_tokens(tells_of_failures(self.admin_site.admin_view(view))),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )
            for name, view in pages.items()
        ]
        djangos = super().get_urls()
        for each in djangos:
            each.callback = tells_of_failures(each.callback)
        return [*ours, *djangos]

    def test_view(self, request: HttpRequest) -> TemplateResponse:
        """Issues a token as its user would get it, for staff to try."""
        if request.method != "POST":
            return self._test_page(request, self._test_form(request, None))
        with Asking(request.user) as asking:
            form = self._test_form(request, request.POST)
            note = partial(self._note_test_token, request)
            if not (form.is_valid() and form.issue(note)):
                asking.products = form.products()
                asking.refused(form.code)
        return self._test_page(request, form)

    def _test_form(self, request: HttpRequest, data: QueryDict | None) -> TestTokenForm:
        if not self.has_issue_test_token_permission(request):
            raise PermissionDenied
        assert request.user.is_authenticated
        return TestTokenForm(data, issued_by=request.user)

    def _test_page(self, request: HttpRequest, form: TestTokenForm) -> TemplateResponse:
        context = {"title": _("Issue a test token"), "submit": _("Issue the token"), "form": form}
        if form.issued is not None:
            context |= {
                "issued": form.issued,
                "identity": visible(form.issued.identity),
                "notes": sdk_notes(form.issued),
                "seconds": form.issued.expires_in,
                **self._decoded(request, decode(form.issued.token)),
            }
        return page_response(self, request, "issuedtoken/test_token", context)

    def _note_test_token(
        self, request: HttpRequest, user: AbstractBaseUser, issued: IssuedAccessToken
    ) -> None:
        """In the user's history, which is kept even if the audit is off."""
        text = gettext("Issued the Twilio test token %(jti)s in this user's name.")
        self.log_change(request, user, text % {"jti": issued.jti})

    def decode_view(self, request: HttpRequest) -> TemplateResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = DecodeForm(request.POST if request.method == "POST" else None)
        context = {"title": _("Decode a token"), "submit": _("Decode"), "form": form}
        if form.is_valid():
            try:
                context |= self._decoded(request, decode(form.cleaned_data["token"]))
            except InvalidToken as error:
                form.add_error("token", error.message)
        return page_response(self, request, "issuedtoken/decode_token", context)

    def dashboard_view(self, request: HttpRequest) -> HttpResponse:
        return dashboard_view(self, request)

    def _decoded(self, request: HttpRequest, decoded: DecodedToken) -> dict[str, Any]:
        """What ``decoded.html`` shows."""
        return {
            "decoded": decoded,
            "header": pretty(decoded.header),
            "claims": pretty(decoded.claims),
            "signature": signature(decoded),
            "moments": list(moments(decoded)),
            "problems": [(str(each.code), visible(each.message)) for each in decoded.problems],
            "key_url": self._url(request, decoded.api_key),
            "record_url": self._url(request, decoded.record),
        }

    def _url(self, request: HttpRequest, row: Model | None) -> str:
        if row is None or not may_view(self.admin_site, request, type(row)):
            return ""
        return change_page(self.admin_site.get_model_admin(type(row)), row)


def _filter_link(parameter: str, value: object, name: str) -> str:
    """A link to the tokens of one user or key."""
    return format_html('<a href="?{}">{}</a>', urlencode({parameter: value}), name)

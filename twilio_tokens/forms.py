from __future__ import annotations

from contextlib import suppress
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from .exceptions import SecretUnavailable
from .models import APIKey, Outcome
from .verification import Finding, Listed, verify_credentials, verify_key


class APIKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """Asks Twilio before it takes a new secret. ``finding`` is what Twilio said, or None."""

    # Set by the admin on a form class of its own:
    #: The key that a new one replaces.
    replaced: APIKey | None = None
    #: What Twilio has said of what is posted, if it was asked before.
    known: Finding | None = None

    check_with_twilio = forms.BooleanField(
        label=_("Check with Twilio"),
        required=False,
        initial=True,
        help_text=_("Ask Twilio whether it knows this key before it is saved."),
    )

    class Meta:
        model = APIKey
        fields = ("account", "name", "sid", "region", "secret", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.finding: Finding | None = None
        if self.replaced is not None:
            self.instance.account = self.replaced.account
        if not self.instance._state.adding and "secret" in self.fields:
            self.fields["secret"].help_text = _(
                "Leave empty to keep the stored secret. It is never shown."
            )

    def full_clean(self) -> None:
        super().full_clean()
        if self.is_bound and self.is_valid() and self.cleaned_data.get("check_with_twilio"):
            self._ask_twilio()

    def _ask_twilio(self) -> None:
        key = self.instance
        if isinstance(key.secret, str):
            self.finding = self.known or verify_credentials(key.account.sid, key.sid, key.secret)
            # A key that was stored before may be changed whatever Twilio says of it: to retire
            # it, for one.
            if self.finding.outcome == Outcome.REFUSED:
                field = self.finding.field if self.finding.field in self.fields else "secret"
                self.add_error(field, self.finding.message)
        else:
            with suppress(SecretUnavailable):
                self.finding = self.known or verify_key(key)


class ImportForm(forms.Form):
    """Whether to store a service or app that Twilio lists, and under which name."""

    store = forms.BooleanField(label=_("Store"), required=False)
    name = forms.SlugField(label=_("Name"), required=False, max_length=50)

    def __init__(self, *args: Any, instance: Any, listed: Listed, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance = instance
        self.listed = listed
        for field, text in (("store", _("Store %(name)s")), ("name", _("Name of %(name)s"))):
            label = text % {"name": listed.friendly_name or listed.sid}
            self.fields[field].widget.attrs["aria-label"] = label
        # The name of what is stored is what clients ask for: it is changed on its own page.
        self.fields["name"].disabled = not instance._state.adding

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("store") and not self.errors:
            self.instance.name = cleaned["name"]
            self.instance.friendly_name = self.stored_name(self.listed)
            try:
                self.instance.full_clean()
            except ValidationError as error:
                self.add_error(
                    "name", [text for each in error.message_dict.values() for text in each]
                )
        return cleaned

    @staticmethod
    def stored_name(listed: Listed) -> str:
        """As much of the name at Twilio as the database holds."""
        return listed.friendly_name[:255]

    def save(self) -> Any:
        """The first of an account becomes its default."""
        row = self.instance
        if row._state.adding:
            of_account = type(row).objects.filter(account=row.account)
            row.is_default = not of_account.filter(is_default=True).exists()
        row.save()
        return row

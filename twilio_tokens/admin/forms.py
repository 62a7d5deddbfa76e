from __future__ import annotations

from contextlib import suppress
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Manager, QuerySet
from django.utils.translation import gettext_lazy as _

from twilio_tokens.defaults import WithDefault
from twilio_tokens.exceptions import SecretUnavailable
from twilio_tokens.fields import SealedFormField
from twilio_tokens.models import APIKey, Outcome, Resource
from twilio_tokens.verification import Finding, Listed, verify_credentials, verify_key


class SafeMultipleChoiceField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    def clean(self, value: object) -> QuerySet[Any]:
        try:
            return super().clean(value)
        except OverflowError:  # SQLite cannot look up a number this large
            raise ValidationError(
                self.error_messages["invalid_choice"],
                code="invalid_choice",
                params={"value": value},
            ) from None


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]
    """Saves only what its user changed, and so keeps what others changed in the meantime."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding and self._tells_what_was_shown():
            for name, field in self.fields.items():
                is_secret = isinstance(field, SealedFormField)
                field.show_hidden_initial = name in self.initial and not is_secret

    def _tells_what_was_shown(self) -> bool:
        return not self.is_bound or any(
            self.add_initial_prefix(name) in self.data for name in self.fields
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in cleaned.keys() - set(self.changed_data):
            if self.fields[name].show_hidden_initial:
                stored = getattr(self.instance, name)
                cleaned[name] = stored.all() if isinstance(stored, Manager) else stored
        return cleaned


class RestrictedResourceForm(CredentialForm):
    reopen = forms.BooleanField(
        label=_("Open to everyone"),
        required=False,
        help_text=_(
            "Nobody may use it, because its last group was deleted. Choose groups, or select this "
            "to let every signed-in user use it."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.is_closed:
            self.fields.pop("reopen", None)
        elif "groups" in self.fields:
            # The field's own text says that without groups everyone may use it.
            self.fields["groups"].help_text = _(
                "Only members of the chosen groups may use it. Superusers must be members, too."
            )


class APIKeyForm(CredentialForm):
    """Checks a new secret with Twilio before saving it."""

    #: The result, if Twilio was asked.
    finding: Finding | None = None

    check_with_twilio = forms.BooleanField(
        label=_("Check with Twilio"),
        required=False,
        initial=True,
        help_text=_(
            "Ask Twilio about this key before saving it. Without the check, the key is saved as it "
            "is, and signs at once if it is the newest active key of its account."
        ),
    )

    class Meta:
        model = APIKey
        fields: tuple[str, ...] = ("account", "name", "sid", "region", "secret", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding and "secret" in self.fields:
            self.fields["secret"].help_text = _(
                "Leave empty to keep the stored secret. It is never shown."
            )

    def full_clean(self) -> None:
        super().full_clean()
        if self.is_bound and self.is_valid() and self.cleaned_data.get("check_with_twilio"):
            self._ask_twilio()

    def _ask_twilio(self) -> None:
        """A stored key may be changed whatever Twilio says, for example to retire it."""
        key = self.instance
        if not isinstance(key.secret, str):
            with suppress(SecretUnavailable):
                self.finding = verify_key(key)
            return
        self.finding = verify_credentials(key.account.sid, key.sid, key.secret)
        if self.finding.outcome == Outcome.REFUSED:
            field = self.finding.field if self.finding.field in self.fields else "secret"
            self.add_error(field, self.finding.message)
        elif self.finding.outcome != Outcome.VERIFIED:
            self.add_error(
                "check_with_twilio",
                _(
                    "%(reason)s The key could not be checked, so nothing was saved. Try again "
                    "later. If you are sure that the key is right, clear this box and enter the "
                    "secret again to save the key unchecked."
                )
                % {"reason": self.finding.message},
            )


class ReplaceForm(APIKeyForm):
    """For a key that takes over from ``replaced`` in the same account."""

    class Meta(APIKeyForm.Meta):
        fields = ("name", "sid", "region", "secret")

    def __init__(self, *args: Any, replaced: APIKey, **kwargs: Any) -> None:
        super().__init__(*args, initial={"name": replaced.name}, **kwargs)
        self.replaced = replaced
        self.instance.account = replaced.account


class ImportForm(forms.Form):
    """Whether to import a service or app that Twilio lists, and under which name."""

    store = forms.BooleanField(label=_("Import"), required=False)
    name = forms.SlugField(label=_("Name"), required=False, max_length=50)

    def __init__(self, *args: Any, instance: Resource, listed: Listed, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance = instance
        self.listed = listed
        for field, text in (("store", _("Import %(name)s")), ("name", _("Name of %(name)s"))):
            label = text % {"name": listed.friendly_name or listed.sid}
            self.fields[field].widget.attrs["aria-label"] = label
        # Clients ask for stored entries by name, so a name is changed on the entry's own page only.
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
        """As much of the name at Twilio as fits into the database."""
        return listed.friendly_name[:255]

    def save(self) -> Resource:
        """The first of its kind becomes the default."""
        row = self.instance
        if row._state.adding and isinstance(row, WithDefault):
            row.is_default = row.alike().default() is None
        row.save()
        return row

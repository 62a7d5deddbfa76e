"""The forms of the token pages: decode a token, issue a test token."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import ceil
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from twilio_tokens.admin.product_fields import form_field
from twilio_tokens.characters import visible
from twilio_tokens.conf import settings
from twilio_tokens.exceptions import (
    AuditUnavailable,
    IdentityNotAllowed,
    InvalidGrant,
    NotAuthenticated,
    NotConfigured,
    PermissionDenied,
    SettingError,
    TwilioTokensError,
    Unavailable,
)
from twilio_tokens.grants import Grant, fields_of, registered
from twilio_tokens.identity import users_named
from twilio_tokens.issuing import IssuedAccessToken, issue_access_token
from twilio_tokens.throttles import TokenRateThrottle

#: Seconds. A token that acts as another user cannot be revoked, so it expires soon.
LONGEST_FOR_ANOTHER_USER = 3_600

logger = logging.getLogger(__name__)


class _WriteOnly(forms.Textarea):
    def format_value(self, value: object) -> None:
        return None


@dataclasses.dataclass(frozen=True)
class Section:
    """Fields under one title."""

    title: str
    fields: list[forms.BoundField]


class DecodeForm(forms.Form):
    token = forms.CharField(
        label=_("Token"),
        help_text=_("Starts with eyJ. It is not stored, logged or shown again."),
        widget=_WriteOnly(
            attrs={
                "rows": 6,
                "class": "vLargeTextField",
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
            }
        ),
    )

    def sections(self) -> list[Section]:
        return [Section("", [self["token"]])]


class TestTokenForm(forms.Form):
    """A user and the registered products. ``issuing`` decides which values are legal.

    To Twilio, whoever holds the token is its user. So nobody gets a token for a user who has
    permissions that they lack, and a token for another user lives for an hour at most.
    """

    __test__ = False  # or pytest would collect it as a test

    username = forms.CharField(
        help_text=_(
            "The token acts as this user, and this user's permissions decide what it grants. You "
            "must have all permissions that this user has."
        ),
        widget=forms.TextInput(
            attrs={
                "class": "vTextField",
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
            }
        ),
    )
    ttl = forms.IntegerField(
        label=_("Lifetime"),
        required=False,
        widget=forms.NumberInput(attrs={"class": "vIntegerField"}),
    )

    def __init__(self, *args: Any, issued_by: AbstractBaseUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.issued_by = issued_by
        users = get_user_model()
        username = users._meta.get_field(users.USERNAME_FIELD)
        self.fields["username"].label = capfirst(username.verbose_name)  # type: ignore[union-attr]
        self.fields["ttl"].help_text = self._ttl_help()
        self.issued: IssuedAccessToken | None = None
        for product, grant in registered().items():
            self.fields[product] = forms.BooleanField(
                label=gettext("Grant %(product)s") % {"product": grant.label},
                label_suffix="",
                required=False,
                widget=forms.CheckboxInput(attrs={"data-twilio-product": product}),
            )
            for each in fields_of(grant):
                self.fields[f"{product}-{each.name}"] = form_field(grant, each)

    def sections(self) -> list[Section]:
        whom = Section(gettext("User and lifetime"), [self["username"], self["ttl"]])
        products = [
            Section(str(grant.label), [self[name] for name in names])
            for grant, names in self._field_names()
        ]
        return [whom, *products]

    def clean(self) -> dict[str, Any]:
        """Counts as a request by the user who issues the token."""
        try:
            if not self.errors:
                self._take_place(TokenRateThrottle())
        except Unavailable as error:
            self.add_error(None, ValidationError(_no_token(error), error.code))
        return self.cleaned_data

    def _take_place(self, throttle: TokenRateThrottle) -> None:
        if not throttle.allow_user(self.issued_by):
            seconds = ceil(throttle.wait())
            message = ngettext(
                "You have requested too many tokens. Try again in %(seconds)d second.",
                "You have requested too many tokens. Try again in %(seconds)d seconds.",
                seconds,
            )
            raise ValidationError(message, "throttled", {"seconds": seconds})

    def issue(self, note: Callable[[AbstractBaseUser, IssuedAccessToken], None]) -> bool:
        """Issue the token that a valid form requests, or add an error that says why not.

        ``note`` records that it was issued for another user.
        """
        user = self.cleaned_data["username"]
        try:
            # If a record cannot be written, the page's transaction stays usable.
            with transaction.atomic():
                issued = issue_access_token(
                    user=user, grants=self._grants(), ttl=self._ttl(), issued_by=self.issued_by
                )
                if user != self.issued_by:
                    note(user, issued)
            self.issued = issued
        except InvalidGrant as error:
            self.add_error(self._field_of(error), ValidationError(error.message, error.code))
        except (IdentityNotAllowed, NotAuthenticated) as error:
            self.add_error("username", error.message)
        except Unavailable as error:
            self.add_error(None, _no_token(error))
        except TwilioTokensError as error:
            self.add_error(None, error.message)
        except DatabaseError as error:
            reason = gettext("The admin's log could not be written (%(error)s).")
            reason %= {"error": type(error).__name__}
            self.add_error(None, _no_token(AuditUnavailable(reason)))
        except DjangoPermissionDenied as error:
            self.add_error(None, PermissionDenied(str(error) or None).message)
        except Exception as error:  # a bug of a site's own grant
            logger.exception("A test token could not be issued.")
            self.add_error(None, _no_token(NotConfigured.due_to(error)))
        return self.issued is not None

    @property
    def code(self) -> str:
        """The code of the error, or “invalid” for several errors, as in the API."""
        codes = {each.code for errors in self.errors.as_data().values() for each in errors}
        return (codes.pop() if len(codes) == 1 else None) or "invalid"

    def products(self) -> list[str]:
        """The selected products."""
        return [product for product in registered() if self.cleaned_data.get(product)]

    def clean_username(self) -> AbstractBaseUser:
        users = users_named(self.cleaned_data["username"])
        if not users:
            raise ValidationError(_("This user does not exist."), code="does_not_exist")
        if len(users) > 1:
            message = _(
                "Several users have this name in different capitalization. Enter the exact name of "
                "one of them."
            )
            raise ValidationError(message, code="ambiguous")
        user: AbstractBaseUser = users[0]
        if not _has_all_rights_of(self.issued_by, user):
            message = _(
                "This user has permissions that you do not have, so you may not act as this user."
            )
            raise ValidationError(message, code="more_rights")
        return user

    def _ttl(self) -> int | None:
        asked_for: int | None = self.cleaned_data["ttl"]
        if self.cleaned_data["username"] == self.issued_by:
            return asked_for
        if asked_for is None:
            defaults = [grant.lifetime() for grant in self._grants()]
            return min([settings.max_ttl, LONGEST_FOR_ANOTHER_USER, max(defaults, default=1)])
        if LONGEST_FOR_ANOTHER_USER < asked_for <= settings.max_ttl:
            message = _("A token for another user may live for %(max)d seconds at most.")
            raise InvalidGrant(message % {"max": LONGEST_FOR_ANOTHER_USER}, field="ttl")
        return asked_for

    def _grants(self) -> list[Grant]:
        """An empty input means the default."""
        return [
            registered()[product](
                **{
                    each.name: value
                    for each in fields_of(registered()[product])
                    if (value := self.cleaned_data[f"{product}-{each.name}"]) not in ("", None)
                }
            )
            for product in self.products()
        ]

    def _field_of(self, error: InvalidGrant) -> str | None:
        if error.product is None:
            return error.field
        return error.product if error.field is None else f"{error.product}-{error.field}"

    def _field_names(self) -> Iterator[tuple[type[Grant], list[str]]]:
        for product, grant in registered().items():
            yield grant, [product, *(f"{product}-{each.name}" for each in fields_of(grant))]

    def _ttl_help(self) -> str:
        # With a broken setting, the page must not fail: it can say what is wrong.
        with suppress(SettingError):
            return gettext(
                "In seconds: at most %(max)d for yourself and %(other)d for another user. If you "
                "leave it empty, the site's default for the products applies, within that limit."
            ) % {
                "max": settings.max_ttl,
                "other": min(settings.max_ttl, LONGEST_FOR_ANOTHER_USER),
            }
        return ""


def _has_all_rights_of(one: AbstractBaseUser, other: AbstractBaseUser) -> bool:
    if one == other or getattr(one, "is_superuser", False):
        return True
    # A custom user model may not have permissions.
    return not getattr(other, "is_superuser", False) and _rights(other) <= _rights(one)


def _rights(user: AbstractBaseUser) -> set[str]:
    tell = getattr(user, "get_all_permissions", None)
    return tell() if tell is not None else set()


def username_of(user: AbstractBaseUser) -> str:
    """Not ``str(user)``, which the site defines and which may fail for some users."""
    return visible(str(user.get_username() or user.pk))


def _no_token(error: Unavailable) -> str:
    return gettext("No token was issued: %(reason)s") % {"reason": error.reason}

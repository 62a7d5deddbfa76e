"""What the HTTP API answers."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from twilio_tokens.exceptions import (
    AuditUnavailable,
    NotConfigured,
    SecretUnavailable,
    ThrottleUnavailable,
)
from twilio_tokens.grants import FieldKind, Grant, fields_of, registered
from twilio_tokens.issuing import IssuedAccessToken

from .fields import AnyField


def _moment(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


class MomentField(serializers.DateTimeField):
    """In ISO 8601 and UTC, whatever formats the site's own API has."""

    def to_representation(self, value: datetime) -> str:
        return _moment(value)


class AccessTokenSerializer(serializers.Serializer[IssuedAccessToken]):
    token = serializers.CharField(help_text=_("The JWT for Twilio's SDK."))
    jti = serializers.CharField(help_text=_("The token's own ID, as the audit record has it."))
    identity = serializers.CharField(help_text=_("Who the user is at Twilio."))
    account_sid = serializers.CharField()
    grants = serializers.DictField(
        child=serializers.DictField(), help_text=_("What the token grants, as Twilio reads it.")
    )
    issued_at = MomentField()
    expires_at = MomentField()
    expires_in = serializers.IntegerField(help_text=_("Lifetime in seconds."))
    refresh_at = MomentField(help_text=_("When to ask for the next token."))


def token_answer(issued: IssuedAccessToken) -> dict[str, Any]:
    """What ``AccessTokenSerializer`` describes, in a tenth of the time that it takes."""
    return {
        "token": issued.token,
        "jti": issued.jti,
        "identity": issued.identity,
        "account_sid": issued.account_sid,
        "grants": issued.grants,
        "issued_at": _moment(issued.issued_at),
        "expires_at": _moment(issued.expires_at),
        "expires_in": issued.expires_in,
        "refresh_at": _moment(issued.refresh_at),
    }


# What one may ask for


class LifetimesSerializer(serializers.Serializer[Any]):
    max = serializers.IntegerField(help_text=_("The most seconds that may be asked for."))
    default = serializers.DictField(
        child=serializers.IntegerField(), help_text=_("Seconds where none are asked for.")
    )

    class Meta:
        ref_name = "AccessTokenLifetimes"


class ProblemSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField(source="message")

    class Meta:
        ref_name = "AccessTokenProblem"


_OFFERED: dict[FieldKind, type[AnyField]] = {
    FieldKind.BOOLEAN: serializers.BooleanField,
    FieldKind.INTEGER: serializers.IntegerField,
    FieldKind.TEXT: serializers.CharField,
}


class OfferSerializer(serializers.Serializer[Any]):
    """What a user may ask for of one product."""

    def __init__(self, grant: type[Grant], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grant = grant
        self.Meta = SimpleNamespace(ref_name=f"{grant.__name__}Offer")

    def get_fields(self) -> dict[str, AnyField]:
        names = {
            f"{name}s": serializers.ListField(
                child=serializers.CharField(), source=f"resources.{name}"
            )
            for name in self.grant.resources
        }
        more = {
            name: _OFFERED[kind](source=f"grant.offer.{name}")
            for name, kind in self.grant.offered.items()
        }
        return {
            **names,
            **more,
            "default": serializers.CharField(allow_null=True),
            "problem": ProblemSerializer(required=False),
        }

    def to_representation(self, instance: object) -> dict[str, Any]:
        answer: dict[str, Any] = super().to_representation(instance)
        if answer["problem"] is None:
            del answer["problem"]
        return answer


def _who_and_how_long() -> dict[str, AnyField]:
    return {
        "identity": serializers.CharField(allow_null=True),
        "ttl": LifetimesSerializer(),
    }


class ProductTokenOfferSerializer(OfferSerializer):
    """What a user may ask for on the product's own page."""

    def __init__(self, grant: type[Grant], **kwargs: Any) -> None:
        super().__init__(grant, **kwargs)
        self.Meta = SimpleNamespace(ref_name=f"{grant.__name__}TokenOffer")

    def get_fields(self) -> dict[str, AnyField]:
        return {**_who_and_how_long(), **super().get_fields()}


class AccessTokenOfferSerializer(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, AnyField]:
        offers = {name: OfferSerializer(grant) for name, grant in registered().items()}
        return {**_who_and_how_long(), **offers}


def offer_serializer(product: str | None) -> serializers.Serializer[Any]:
    if product is None:
        return AccessTokenOfferSerializer()
    return ProductTokenOfferSerializer(registered()[product])


# Errors


def _messages() -> AnyField:
    return serializers.ListField(child=serializers.CharField(), required=False)


class GrantErrorsSerializer(serializers.Serializer[Any]):
    """The messages at the fields of one product among several."""

    def __init__(self, grant: type[Grant], **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.grant = grant
        self.Meta = SimpleNamespace(ref_name=f"{grant.__name__}GrantErrors")

    def get_fields(self) -> dict[str, AnyField]:
        names = [each.name for each in fields_of(self.grant)]
        return {name: _messages() for name in [*names, "non_field_errors"]}


class TokenErrorsSerializer(serializers.Serializer[Any]):
    """The messages at the fields of the request, unknown ones too; or one detail."""

    code = serializers.CharField(
        help_text=_(
            "The code of all messages, or “invalid” for several: required, invalid, null, blank, "
            "max_length, min_value, max_value, unknown_field, does_not_exist; with a detail: "
            "identity_not_allowed, account_mismatch, parse_error."
        )
    )
    detail = serializers.CharField(required=False)
    non_field_errors = _messages()

    def get_fields(self) -> dict[str, AnyField]:
        return {**super().get_fields(), **self.get_field_errors(), "ttl": _messages()}

    def get_field_errors(self) -> dict[str, AnyField]:
        raise NotImplementedError


class ProductTokenErrorsSerializer(TokenErrorsSerializer):
    def __init__(self, grant: type[Grant], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grant = grant
        self.Meta = SimpleNamespace(ref_name=f"{grant.__name__}TokenErrors")

    def get_field_errors(self) -> dict[str, AnyField]:
        return {each.name: _messages() for each in fields_of(self.grant)}


class AccessTokenErrorsSerializer(TokenErrorsSerializer):
    def get_field_errors(self) -> dict[str, AnyField]:
        return {name: GrantErrorsSerializer(grant) for name, grant in registered().items()}


def errors_serializer(product: str | None) -> TokenErrorsSerializer:
    if product is None:
        return AccessTokenErrorsSerializer()
    return ProductTokenErrorsSerializer(registered()[product])


class AccessTokenDeniedSerializer(serializers.Serializer[Any]):
    detail = serializers.CharField()
    code = serializers.CharField(
        help_text=_("not_authenticated, authentication_failed or permission_denied.")
    )


class AccessTokenThrottledSerializer(serializers.Serializer[Any]):
    detail = serializers.CharField()
    code = serializers.ChoiceField(choices=["throttled"])


class AccessTokenUnavailableSerializer(serializers.Serializer[Any]):
    detail = serializers.CharField()
    code = serializers.ChoiceField(
        choices=[
            each.code
            for each in (NotConfigured, SecretUnavailable, AuditUnavailable, ThrottleUnavailable)
        ]
    )

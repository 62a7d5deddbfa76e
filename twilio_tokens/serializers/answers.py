"""The response bodies of the HTTP API."""

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
    """In ISO 8601 and UTC, whatever formats the rest of the site uses."""

    def to_representation(self, value: datetime) -> str:
        return _moment(value)


class AccessTokenSerializer(serializers.Serializer[IssuedAccessToken]):
    token = serializers.CharField(help_text=_("The JWT for Twilio's SDK."))
    jti = serializers.CharField(help_text=_("The ID of the token, as in the audit record."))
    identity = serializers.CharField(help_text=_("The user's identity at Twilio."))
    account_sid = serializers.CharField()
    grants = serializers.DictField(
        child=serializers.DictField(), help_text=_("What the token grants, in Twilio's format.")
    )
    issued_at = MomentField()
    expires_at = MomentField()
    expires_in = serializers.IntegerField(help_text=_("Lifetime in seconds."))
    refresh_at = MomentField(help_text=_("When to request the next token."))


def token_answer(issued: IssuedAccessToken) -> dict[str, Any]:
    """The output of ``AccessTokenSerializer``, made in a tenth of the time."""
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


# What a user can request


class LifetimesSerializer(serializers.Serializer[Any]):
    max = serializers.IntegerField(
        help_text=_("The longest lifetime that can be requested, in seconds.")
    )
    default = serializers.DictField(
        child=serializers.IntegerField(),
        help_text=_("The default lifetime of each product, in seconds."),
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
    """What a user can request of one product."""

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
    """What a user can request at the product's own URL."""

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
    """The error messages of one product's fields, in a request for several."""

    def __init__(self, grant: type[Grant], **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.grant = grant
        self.Meta = SimpleNamespace(ref_name=f"{grant.__name__}GrantErrors")

    def get_fields(self) -> dict[str, AnyField]:
        names = [each.name for each in fields_of(self.grant)]
        return {name: _messages() for name in [*names, "non_field_errors"]}


class TokenErrorsSerializer(serializers.Serializer[Any]):
    """The error messages of the request's fields, including unknown ones, or one detail."""

    code = serializers.CharField(
        help_text=_(
            "The code that all messages share, or “invalid” if they differ: required, invalid, "
            "null, blank, max_length, min_value, max_value, unknown_field or does_not_exist. With "
            "a detail: identity_not_allowed, account_mismatch or parse_error."
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

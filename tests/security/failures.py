"""Errors at every step of a request that has a secret or a token at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db.models.signals import post_save, pre_save

from twilio_tokens import issuing
from twilio_tokens.admin.forms import APIKeyForm
from twilio_tokens.models import APIKey, IssuedToken
from twilio_tokens.renderers import TokenJSONRenderer
from twilio_tokens.signals import access_token_issued

Patch = pytest.MonkeyPatch
Step = Callable[[Patch, Any], None]


def fail(*args: Any, **kwargs: Any) -> None:
    del args, kwargs  # a site's own frame holds what it was given
    raise RuntimeError("Something failed.")


class FailsAfterTheView:
    def __init__(self, get_response: Callable[..., Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> None:
        self.get_response(request)
        fail()


def middleware(patch: Patch, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.FailsAfterTheView"]


# A token is asked for


def identity(patch: Patch, settings: Any) -> None:
    settings.TWILIO_TOKENS_IDENTITY = fail


def room_policy(patch: Patch, settings: Any) -> None:
    settings.TWILIO_TOKENS_ROOM_POLICY = fail


def key_ring(patch: Patch, settings: Any) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = fail


def decryption(patch: Patch, settings: Any) -> None:
    patch.setattr("twilio_tokens.crypto._open", fail)


def signing(patch: Patch, settings: Any) -> None:
    patch.setattr("twilio_tokens.signing._base64url", fail)


def record(patch: Patch, settings: Any) -> None:
    pre_save.connect(fail, sender=IssuedToken)


def receiver(patch: Patch, settings: Any) -> None:
    access_token_issued.connect(fail)


def answer(patch: Patch, settings: Any) -> None:
    patch.setattr("twilio_tokens.views.token_answer", fail)


def rendering(patch: Patch, settings: Any) -> None:
    patch.setattr(TokenJSONRenderer, "render", fail)


# A secret is typed in


def before_saving(patch: Patch, settings: Any) -> None:
    pre_save.connect(fail, sender=APIKey)


def after_saving(patch: Patch, settings: Any) -> None:
    post_save.connect(fail, sender=APIKey)


def cleaning(patch: Patch, settings: Any) -> None:
    patch.setattr(APIKeyForm, "clean", fail)


def history(patch: Patch, settings: Any) -> None:
    patch.setattr("django.contrib.admin.options.ModelAdmin.log_addition", fail)


ISSUING = [
    identity,
    room_policy,
    key_ring,
    decryption,
    signing,
    record,
    receiver,
    answer,
    rendering,
    middleware,
]
TYPING = [before_saving, after_saving, cleaning, history, middleware]


class Failing:
    """Makes a step fail. Notes the tokens that are signed, whatever becomes of them."""

    def __init__(self, patch: Patch, settings: Any) -> None:
        self.patch, self.settings = patch, settings
        self.tokens: list[str] = []
        self.sign = issuing.sign
        patch.setattr(issuing, "sign", self._note)

    def __call__(self, step: Step) -> None:
        step(self.patch, self.settings)

    def _note(self, *args: Any, **kwargs: Any) -> str | None:
        token = self.sign(*args, **kwargs)
        self.tokens += [token] if token else []
        return token

    def stop(self) -> None:
        access_token_issued.disconnect(fail)
        pre_save.disconnect(fail, sender=IssuedToken)
        for signal in (pre_save, post_save):
            signal.disconnect(fail, sender=APIKey)


@contextmanager
def made_to_fail(patch: Patch, settings: Any) -> Iterator[Failing]:
    failing = Failing(patch, settings)
    yield failing
    failing.stop()

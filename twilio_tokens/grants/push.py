"""Push credentials, which let products notify mobile apps that are not running."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from django.utils.translation import gettext_lazy as _

from twilio_tokens.models import PushCredential

from .base import Default, Grant, Note

#: The name of an app's platform, or of its push service, to the platform of a credential.
PLATFORMS = {
    "ios": PushCredential.Platform.APN,
    "apn": PushCredential.Platform.APN,
    "android": PushCredential.Platform.FCM,
    "fcm": PushCredential.Platform.FCM,
}


def push_credential() -> str | None:
    """The field of this name; ``platform()`` and ``sandbox()`` likewise."""
    text = _("The name of a push credential, for notifying mobile apps.")
    return field(default=None, metadata={"label": _("Push credential"), "help_text": text})


def platform() -> str | None:
    text = _("Use the default push credential of this platform instead of a named one.")
    metadata = {"label": _("Platform"), "help_text": text, "choices": tuple(PLATFORMS)}
    return field(default=None, metadata=metadata)


def sandbox() -> bool | None:
    text = _("With a platform: use the default for Apple's sandbox, for development builds.")
    return field(default=None, metadata={"label": _("Sandbox"), "help_text": text})


class NotifiesMobileApps(Grant):
    """A grant with the three fields above."""

    push_credential: str | None
    platform: str | None
    sandbox: bool | None

    def clean(self) -> None:
        super().clean()
        if self.push_credential is not None and self.platform is not None:
            raise self.invalid("platform", _("Name a push credential or a platform, not both."))
        if self.sandbox is not None and self.platform is None:
            raise self.invalid("sandbox", _("This field requires a platform."))

    def default_for(self, name: str) -> Default | None:
        if name == "push_credential" and self.platform is not None:
            among: dict[str, str | bool] = {
                "platform": PLATFORMS[self.platform],
                "sandbox": bool(self.sandbox),
            }
            return Default("platform", among)
        return super().default_for(name)


def push_credential_sid(resources: Mapping[str, Any]) -> str | None:
    credential = resources["push_credential"]
    return None if credential is None else credential.sid


def push_notes(payload: Mapping[str, Any]) -> Iterator[Note]:
    sid = payload.get("push_credential_sid")
    if sid:
        yield Note(_("Mobile apps are notified using the push credential %(sid)s.") % {"sid": sid})

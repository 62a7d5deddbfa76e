"""What the SDKs do with a token: twilio-video 2, @twilio/voice-sdk 2, @twilio/conversations 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from twilio_tokens.admin.moments import to_the_second
from twilio_tokens.issuing import IssuedAccessToken
from twilio_tokens.token_forms import product_label

#: How long before the expiry the SDKs tell of it.
VOICE_WARNING = timedelta(seconds=10)
CHAT_WARNING = timedelta(seconds=180)


def sdk_notes(issued: IssuedAccessToken) -> list[tuple[str, list[str]]]:
    """For each product: its name, and sentences for who tries the token."""
    notes = {"video": _video, "voice": _voice, "chat": _chat}
    return [
        (product_label(product), list(notes.get(product, _other)(issued, claims)))
        for product, claims in issued.grants.items()
    ]


def _video(issued: IssuedAccessToken, claims: Mapping[str, Any]) -> Iterator[str]:
    if claims.get("room"):
        yield _(
            "Opens only the Room “%(room)s”. Twilio's servers refuse another Room; the SDK itself "
            "does not look."
        ) % {"room": claims["room"]}
    else:
        yield _("Opens every Room of the account.")
    yield _(
        "It must be valid on joining and at every reconnect. A Room takes no new token: after "
        "%(end)s a lost connection ends the Room with error 20104."
    ) % {"end": to_the_second(issued.expires_at)}


def _voice(issued: IssuedAccessToken, claims: Mapping[str, Any]) -> Iterator[str]:
    outgoing, incoming = claims.get("outgoing", {}), claims.get("incoming", {})
    yield _("Calls go out through the TwiML app %(sid)s.") % {"sid": outgoing["application_sid"]}
    if incoming.get("allow"):
        yield _("The Device can be called, by the identity %(identity)s.") % {
            "identity": issued.identity
        }
    else:
        yield _("The Device cannot be called: the token allows no incoming calls.")
    if issued.expires_at - issued.issued_at > VOICE_WARNING:
        yield _(
            "The Device warns 10 seconds before the end, at %(at)s, by tokenWillExpire. Then call "
            "device.updateToken() with a new token."
        ) % {"at": to_the_second(issued.expires_at - VOICE_WARNING)}
    else:
        yield _(
            "It lives no longer than the 10 seconds that the Device warns ahead: refreshing on "
            "every warning runs in a loop."
        )
    yield from _push(claims)


def _chat(issued: IssuedAccessToken, claims: Mapping[str, Any]) -> Iterator[str]:
    yield _("Opens the Chat service %(sid)s.") % {"sid": claims["service_sid"]}
    if issued.expires_at - issued.issued_at >= CHAT_WARNING:
        yield _(
            "The Client warns about 3 minutes before the end, at about %(at)s, by "
            "tokenAboutToExpire. Then call client.updateToken() with a new token."
        ) % {"at": to_the_second(issued.expires_at - CHAT_WARNING)}
    else:
        yield _(
            "It lives shorter than the 3 minutes that the Client warns ahead: "
            "tokenAboutToExpire never fires, and the Client is cut off."
        )
    yield from _push(claims)


def _push(claims: Mapping[str, Any]) -> Iterator[str]:
    if claims.get("push_credential_sid"):
        yield _("Mobile apps are notified with the push credential %(sid)s.") % {
            "sid": claims["push_credential_sid"]
        }


def _other(issued: IssuedAccessToken, claims: Mapping[str, Any]) -> Iterator[str]:
    yield _("Replace it by %(at)s at the latest.") % {"at": to_the_second(issued.refresh_at)}

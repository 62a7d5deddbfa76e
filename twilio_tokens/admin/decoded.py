"""A decoded token, prepared for pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _

from twilio_tokens.admin.badges import badge
from twilio_tokens.admin.moments import to_the_second
from twilio_tokens.characters import visible
from twilio_tokens.decoding import DecodedToken


def pretty(data: object) -> str:
    """JSON for people to read. A token may hold characters that no page can show."""
    return visible(json.dumps(data, indent=2, ensure_ascii=False), has_lines=True)


def signature(decoded: DecodedToken) -> SafeString:
    if decoded.signature_holds is None:
        why = (
            _("The secret needed to check it is not stored here.")
            if decoded.api_key is None
            else _("The stored secret cannot be read.")
        )
        return format_html("{} {}", badge("neutral", _("not checked")), why)
    if decoded.signature_holds:
        return badge("good", _("valid"))
    return badge("bad", _("not valid"))


def moments(decoded: DecodedToken) -> Iterator[tuple[str, str, str]]:
    """The token's dates: a label, the date, and how far away it is."""
    for label, moment in (
        (_("Issued"), decoded.issued_at),
        (_("Not valid before"), decoded.not_before),
        (_("Expires"), decoded.expires_at),
    ):
        if moment is None:
            continue
        try:
            shown = to_the_second(moment)
        except OverflowError:  # Python's first or last day, in another time zone
            continue
        now = datetime.now(moment.tzinfo)
        distance = _("in %(time)s") if moment > now else _("%(time)s ago")
        time = timeuntil(moment, now) if moment > now else timesince(moment, now)
        yield label, shown, distance % {"time": time}

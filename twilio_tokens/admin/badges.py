"""Words highlighted by their meaning, with small print next to them."""

from __future__ import annotations

from typing import Literal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from twilio_tokens.characters import visible
from twilio_tokens.models import Outcome

Meaning = Literal["good", "warning", "bad", "neutral"]

OUTCOMES: dict[str, Meaning] = {
    Outcome.VERIFIED: "good",
    Outcome.REFUSED: "bad",
    Outcome.UNREACHABLE: "warning",
}


def badge(meaning: Meaning, text: str, note: str = "") -> SafeString:
    shown = format_html('<span class="twilio-badge twilio-{}">{}</span>', meaning, text)
    if not note:
        return shown
    return format_html('{} <span class="twilio-note">{}</span>', shown, visible(note))


#: For each level of the overview's lines.
MARKS: dict[str, tuple[Meaning, str]] = {
    "ok": ("good", "✓"),
    "missing": ("warning", "+"),
    "failed": ("bad", "!"),
    "done": ("neutral", "–"),
}


def mark(level: str) -> SafeString:
    meaning, sign = MARKS[level]
    text = '<span class="twilio-mark twilio-{}" aria-hidden="true">{}</span>'
    return format_html(text, meaning, sign)

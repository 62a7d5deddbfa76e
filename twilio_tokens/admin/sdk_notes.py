"""What the SDKs do with a token, for anyone who tries one."""

from __future__ import annotations

from twilio_tokens.admin.moments import to_the_second
from twilio_tokens.characters import visible
from twilio_tokens.grants import products_in
from twilio_tokens.issuing import IssuedAccessToken


def sdk_notes(issued: IssuedAccessToken) -> list[tuple[str, list[str]]]:
    """For each product, its name and some sentences."""
    return [
        (
            str(product.label),
            [
                visible(
                    str(note.text) % {"at": to_the_second(note.at)} if note.at else str(note.text)
                )
                for note in product.sdk_notes(
                    payload,
                    identity=issued.identity,
                    issued_at=issued.issued_at,
                    expires_at=issued.expires_at,
                )
            ],
        )
        for product, payload in products_in(issued.grants)
    ]

"""Characters that make a text look like another: which ones are refused, and how they are shown."""

from __future__ import annotations

import re

#: Characters that change the text around them: control characters, line and paragraph separators,
#: and Unicode's Bidi_Control, which reverses text. U+200C and U+200D are not among them: Persian
#: and Indic names and emoji need them.
_MISLEADING = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"

#: Unicode's Default_Ignorable_Code_Point: these are not drawn.
_INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)

#: The invisible characters that names are written with: joiners and variation selectors.
_JOINING = r"\u034f\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"

#: Not text: lone surrogates, noncharacters, interlinear annotations.
_NO_TEXT = r"\ud800-\udfff\ufdd0-\ufdef\ufff9-\ufffb" + "".join(
    rf"\U{plane:04x}fffe\U{plane:04x}ffff" for plane in range(17)
)

_REFUSED = re.compile(rf"[{_MISLEADING}\ud800-\udfff]")
_IGNORED = re.compile(rf"[{_INVISIBLE}]")
_ESCAPED = re.compile(rf"(?![{_JOINING}])[{_MISLEADING}{_INVISIBLE}{_NO_TEXT}]")
_ESCAPED_IN_LINES = re.compile(rf"(?!\n){_ESCAPED.pattern}")

#: For API schemas: a text that does not mislead and is not only white space.
PATTERN = rf"^[^{_MISLEADING}]*[^\s{_MISLEADING}][^{_MISLEADING}]*$"


def misleading(text: str) -> str | None:
    """The first character for which a room, an identity or a name is refused."""
    if text.isprintable():  # to Python, none of the refused characters is
        return None
    found = _REFUSED.search(text)
    return found and found[0]


def without_invisible(text: str) -> str:
    """The visible part of the text. If there is none, the text counts as empty."""
    return (text if text.isascii() else _IGNORED.sub("", text)).strip()


def visible(text: str, *, has_lines: bool = False) -> str:
    r"""The text, with misleading and invisible characters written like ``\u202e``.

    Pages, files and terminals show other people's text this way. With ``has_lines`` it keeps its
    line breaks.
    """
    if text.isascii() and text.isprintable():
        return text
    return (_ESCAPED_IN_LINES if has_lines else _ESCAPED).sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def shown(char: str) -> str:
    """A character as an error message shows it."""
    code = f"U+{ord(char):04X}"
    return f"“{char}” ({code})" if char.isprintable() else code

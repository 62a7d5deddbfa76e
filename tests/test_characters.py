"""Which characters mislead, and how any is shown."""

from __future__ import annotations

import unicodedata

import pytest

from twilio_tokens.characters import misleading, shown, visible, without_invisible

#: The planes of all scripts and signs, that of tags and variants, and the ends of the others.
ALL = [*map(chr, [*range(0x20000), *range(0xE0000, 0xE1000), *range(0x2FFFE, 0x110000, 0x10000)])]
LRM, RLM, ALM = "\u200e\u200f\u061c"
TURNING = {"LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_what_controls_the_text_around_it_misleads_and_nothing_else() -> None:
    def controls(char: str) -> bool:
        is_turning = unicodedata.bidirectional(char) in TURNING or char in LRM + RLM + ALM
        return is_turning or unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}

    assert [char for char in ALL if bool(misleading(char)) is not controls(char)] == []
    assert misleading("anna\u202eb\u2028") == "\u202e"
    assert misleading("Zoë 👩‍👧 می‌خواهم") is None


def test_what_misleads_or_cannot_be_seen_is_shown_by_its_number() -> None:
    shown_as_is = {char for char in ALL if visible(char) == char}
    assert not any(misleading(char) for char in shown_as_is)
    # Joiners and variants, of emoji and of Japanese names; no line, nothing private to be hidden.
    format_characters = {each for each in shown_as_is if unicodedata.category(each) == "Cf"}
    assert {each for each in format_characters if without_invisible(each) == ""} == {
        "\u200c",
        "\u200d",
    }
    printable = {char for char in ALL if char.isprintable()}
    # Fillers are letters to Python, though nothing is drawn for them.
    assert {ascii(each) for each in printable - shown_as_is} == {
        ascii(each) for each in "\u115f\u1160\u17b4\u17b5\u3164\uffa0"
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("anna\u202egnp.exe", r"anna\u202egnp.exe"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31m\x07\x9b", r"\x1b[31m\x07\x9b"),
        ("a\x00\ud800\uffff", r"a\x00\ud800\uffff"),
        ("flag \U000e0067", r"flag \U000e0067"),
        ("Zoë 電 ❤️ 👩‍👧 می‌خواهم \xa0\u3000", "Zoë 電 ❤️ 👩‍👧 می‌خواهم \xa0\u3000"),
        ("葛\U000e0100城", "葛\U000e0100城"),
    ],
)
def test_a_text_is_shown_with_all_that_is_in_it(text: str, expected: str) -> None:
    assert visible(text) == expected
    assert visible(expected) == expected


def test_lines_may_be_kept_where_a_text_has_them() -> None:
    assert visible("a\nb\r\u2028c", has_lines=True) == "a\nb\\r\\u2028c"


def test_of_what_cannot_be_seen_nothing_is_left() -> None:
    assert without_invisible(" \u200b\ufeff\u3164\u2060\U000e0041\ufe0f\t") == ""
    assert without_invisible(" a\u200bb ") == "ab"


def test_a_message_names_a_character_that_cannot_be_shown() -> None:
    assert [shown(char) for char in "é\u202e\u200b"] == ["“é” (U+00E9)", "U+202E", "U+200B"]

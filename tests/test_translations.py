"""The catalogues of the package and of the example are complete, up to date and compiled."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from supply.messages import APPS, DOMAINS, LANGUAGES, ROOT, extract

#: Those of the apps that have any.
CATALOGUES = [
    pytest.param(path, id=f"{path.parts[-5]}-{path.parts[-3]}-{path.stem}")
    for app in APPS
    for path in sorted(ROOT.glob(f"{app}/locale/*/LC_MESSAGES/*.po"))
]
each_catalogue = pytest.mark.parametrize("path", CATALOGUES)
each_app = pytest.mark.parametrize("app", [app for app in APPS if (ROOT / app / "locale").exists()])

#: What must be the same in a translation: %(name)s, %s, {name}, tags and what is named as code.
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w+\}|</?[a-z]+[^<>]*>|\b[A-Z]{2,}_[A-Z_]+\b")


@cache
def catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3])


def messages(path: Path) -> Iterator[Message]:
    """But for the header."""
    return (message for message in catalogue(path) if message.id)


def translated(path: Path) -> Iterator[Message]:
    return (message for message in messages(path) if all(forms(message.string)))


def forms(text: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def key(message: Message) -> tuple[object, tuple[str, ...]]:
    context: object = message.context  # bytes, from older Babels' read_mo
    return context.decode() if isinstance(context, bytes) else context, forms(message.id)


@each_app
def test_an_app_has_the_same_catalogues_in_each_language(app: str) -> None:
    found = Counter(path.stem for path in (ROOT / app).glob("locale/*/LC_MESSAGES/*.po"))
    assert {path.name for path in (ROOT / app / "locale").iterdir()} == {*LANGUAGES}
    assert set(found) <= {*DOMAINS}
    assert set(found.values()) == {len(LANGUAGES)}


@each_catalogue
def test_each_message_is_translated(path: Path) -> None:
    assert {key(each) for each in messages(path)} - {
        key(each) for each in translated(path)
    } == set()
    assert {key(each) for each in messages(path) if each.fuzzy} == set()
    assert list(catalogue(path).obsolete) == []


@each_catalogue
def test_a_translation_has_the_placeholders_of_its_message(path: Path) -> None:
    for message in translated(path):
        allowed = [Counter(PLACEHOLDER.findall(each)) for each in forms(message.id)]
        for each in forms(message.string):
            assert Counter(PLACEHOLDER.findall(each)) in allowed, each


@each_catalogue
def test_a_translation_begins_and_ends_as_its_message(path: Path) -> None:
    """With the same white space, where sentences are put together."""
    ends: Callable[[str], tuple[str, ...]] = re.compile(r"^\s*|\s*$").findall
    for message in translated(path):
        for each in forms(message.string):
            assert ends(each) == ends(forms(message.id)[0]), each


@each_catalogue
def test_a_plural_has_as_many_forms_as_the_language(path: Path) -> None:
    [number] = re.findall(r"nplurals=(\d+)", dict(catalogue(path).mime_headers)["Plural-Forms"])
    for message in messages(path):
        assert len(forms(message.string)) == (int(number) if message.pluralizable else 1)


@each_catalogue
def test_what_is_compiled_is_what_is_written(path: Path) -> None:
    with path.with_suffix(".mo").open("rb") as file:
        compiled = {key(each): forms(each.string) for each in read_mo(file) if each.id}
    assert compiled == {key(each): forms(each.string) for each in translated(path)}


@each_app
def test_the_catalogues_are_up_to_date(app: str, tmp_path: Path) -> None:
    """If this fails, run "make messages", translate what is new, and run it again."""
    if not shutil.which("xgettext"):
        pytest.skip("There is no GNU gettext.")
    ignore = shutil.ignore_patterns("locale", "node_modules", "__pycache__")
    copy = Path(shutil.copytree(ROOT / app, tmp_path / app, ignore=ignore))
    extract(copy, LANGUAGES[:1])
    for path in (ROOT / app).glob("locale/*/LC_MESSAGES/*.po"):
        fresh = copy / "locale" / LANGUAGES[0] / "LC_MESSAGES" / path.name
        assert {key(each) for each in messages(path)} == {key(each) for each in messages(fresh)}
    written = {path.name for path in copy.glob("locale/*/LC_MESSAGES/*.po")}
    assert written == {path.name for path in (ROOT / app).glob("locale/*/LC_MESSAGES/*.po")}

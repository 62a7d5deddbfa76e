"""Secrets that lie in fixtures."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import Warning
from django.core.management import call_command

from twilio_tokens.checks.fixtures import LONGEST, check_fixtures
from twilio_tokens.models import APIKey

from .rows import new_secret, sid


def as_json(secret: object) -> str:
    return json.dumps([{"model": "twilio_tokens.apikey", "fields": {"secret": secret}}], indent=2)


def as_lines(secret: object) -> str:
    return json.dumps({"fields": {"secret": secret}, "model": "twilio_tokens.APIKey"})


def as_yaml(secret: object) -> str:
    text = "~" if secret is None else secret
    return f"- model: twilio_tokens.apikey\n  fields:\n    name: a secret\n    secret: {text}\n"


def as_xml(secret: object) -> str:
    text = "<None></None>" if secret is None else secret
    return (
        '<django-objects><object model="twilio_tokens.apikey">\n'
        f'<field name="secret" type="SealedField">{text}</field>\n</object></django-objects>'
    )


FORMATS = {"json": as_json, "jsonl": as_lines, "yaml": as_yaml, "yml": as_yaml, "xml": as_xml}


def told(folder: Path, settings: Any) -> list[str]:
    settings.FIXTURE_DIRS = [folder]
    return [message.msg for message in check_fixtures()]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_secret_in_plain_text_is_told_by_the_name_of_its_file(
    suffix: str, settings: Any, tmp_path: Path
) -> None:
    secret = new_secret()
    folder = tmp_path / "shop" / "fixtures"
    (folder / "more").mkdir(parents=True)
    (folder / "more" / f"keys.{suffix}").write_text(FORMATS[suffix](secret))
    settings.FIXTURE_DIRS = [folder]
    [message] = check_fixtures()
    assert (message.id, type(message)) == ("twilio_tokens.W024", Warning)
    assert f"The fixture shop/fixtures/more/keys.{suffix} contains" in message.msg
    assert secret not in repr(vars(message))
    assert str(tmp_path) not in repr(vars(message))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("secret", [None, "tt1:0123456789ab:Zm9vYmFy"])
def test_an_encrypted_secret_or_none_is_not_told(
    secret: str | None, suffix: str, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / f"keys.{suffix}").write_text(FORMATS[suffix](secret))
    assert told(tmp_path, settings) == []


@pytest.mark.parametrize("format", ["json", "jsonl", "xml"])
def test_what_dumpdata_writes_is_not_told(
    format: str, api_key: APIKey, settings: Any, tmp_path: Path
) -> None:
    out = StringIO()
    call_command("dumpdata", "twilio_tokens", format=format, stdout=out)
    assert api_key.sid in out.getvalue()
    (tmp_path / f"keys.{format}").write_text(out.getvalue())
    assert told(tmp_path, settings) == []


@pytest.mark.django_db
def test_what_is_told_is_what_loaddata_refuses(settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    fields = {"name": "Key", "sid": sid("SK"), "account": 1, "secret": new_secret()}
    path.write_text(json.dumps([{"model": "twilio_tokens.apikey", "fields": fields}]))
    assert len(told(tmp_path, settings)) == 1
    with pytest.raises(TypeError, match="takes plaintext only through"):
        call_command("loaddata", str(path))


def zipped(data: bytes, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("keys.json", data)


ARCHIVES: dict[str, Callable[[bytes, Path], object]] = {
    "gz": lambda data, path: path.write_bytes(gzip.compress(data)),
    "bz2": lambda data, path: path.write_bytes(bz2.compress(data)),
    "xz": lambda data, path: path.write_bytes(lzma.compress(data)),
    "lzma": lambda data, path: path.write_bytes(lzma.compress(data, lzma.FORMAT_ALONE)),
    "zip": zipped,
}


@pytest.mark.parametrize("suffix", ARCHIVES)
def test_compressed_fixtures_are_opened_and_damaged_ones_left(
    suffix: str, settings: Any, tmp_path: Path
) -> None:
    path = tmp_path / f"keys.json.{suffix}"
    ARCHIVES[suffix](as_json(new_secret()).encode(), path)
    assert len(told(tmp_path, settings)) == 1
    path.write_bytes(b"twilio_tokens.apikey")
    assert told(tmp_path, settings) == []


def test_other_files_and_what_lies_beyond_the_limit_are_not_looked_at(
    settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "keys.txt").write_text(as_json(new_secret()))
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "long.json").write_text(" " * LONGEST + as_json(new_secret()))
    others = [{"model": "shop.webhook", "fields": {"secret": new_secret()}}]
    (tmp_path / "others.json").write_text(json.dumps(others))
    assert told(tmp_path, settings) == []


def test_the_fixtures_of_each_app_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    from django.apps import apps  # noqa: PLC0415 - beside its use

    monkeypatch.setattr(apps.get_app_config("site"), "path", str(tmp_path))
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures" / "keys.json").write_text(as_json(new_secret()))
    settings.FIXTURE_DIRS = []
    [message] = check_fixtures()
    assert f"{tmp_path.name}/fixtures/keys.json" in message.msg

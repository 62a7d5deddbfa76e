"""Keys in tables that operators take away and bring back."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.console import url
from tests.databases import all_rows
from tests.issued import decoded
from tests.rows import new_secret, sid
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey

pytestmark = pytest.mark.django_db(transaction=True)

#: Their places in the menus of formats.
CSV, JSON = "0", "2"
MASK = "• • • hidden • • •"


def export(client: Client, format_: str) -> str:
    resource = "keyresource"
    fields = {f"{resource}_{each.name}": "on" for each in APIKey._meta.concrete_fields}
    typed = {"resource": "0", "format": format_} | fields
    answer = client.post(url(APIKey, "export"), typed)
    assert "attachment" in answer["Content-Disposition"], answer.content
    return str(answer.content.decode())


def upload(client: Client, table: str) -> Any:
    file = SimpleUploadedFile("keys.csv", table.encode(), "text/csv")
    return client.post(url(APIKey, "import"), {"resource": "0", "format": CSV, "import_file": file})


def confirm(client: Client, preview: Any) -> None:
    form = preview.context["confirm_form"]
    assert client.post(url(APIKey, "process_import"), form.initial).status_code == 302


@pytest.mark.parametrize("format_", [CSV, JSON])
def test_what_is_exported_has_a_mask_in_the_place_of_the_secret(
    format_: str, api_key: APIKey, secret: str, admin_client: Client
) -> None:
    table = export(admin_client, format_)
    assert api_key.sid in table
    assert MASK in table
    assert secret not in table
    assert api_key.secret.text not in table


def test_the_mask_is_not_taken_for_a_secret(api_key: APIKey, admin_client: Client) -> None:
    before = api_key.secret
    preview = upload(admin_client, export(admin_client, CSV))
    assert "confirm_form" not in preview.context
    assert "This is a placeholder" in preview.content.decode()
    api_key.refresh_from_db()
    assert api_key.secret == before


def test_an_imported_secret_is_encrypted_and_neither_the_preview_nor_a_table_shows_it(
    api_key: APIKey, secret: str, user: User, admin_client: Client
) -> None:
    imported = new_secret()
    preview = upload(admin_client, export(admin_client, CSV).replace(MASK, imported))
    assert MASK in preview.content.decode()
    assert imported not in preview.content.decode()
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, secret)

    confirm(admin_client, preview)
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, imported)["iss"] == sid("SK")
    rows = all_rows()
    assert "import_export" in rows["default.django_admin_log"]
    assert not any(each in str(rows) for each in (secret, imported, token))
    assert imported not in str([pickle.loads(each) for each in cache._cache.values()])  # noqa: S301

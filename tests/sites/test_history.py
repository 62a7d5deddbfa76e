"""Versions of keys, and the way back to them."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client
from reversion.models import Version

from tests.console import filled, url
from tests.databases import all_rows
from tests.issued import decoded
from tests.rows import new_secret
from tests.security.story import Story
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey, IssuedToken

KEPT = {"name": "Key", "is_active": "on", "_save": "Save"}


def sign(user: User) -> str:
    return issue_access_token(user=user, grants=[Video()]).token


def test_every_version_is_ciphertext(story: Story) -> None:
    story.tell()
    versions, history = Version.objects.get_for_model(APIKey), APIKey.history.all()
    assert any("tt1:" in version.serialized_data for version in versions)
    assert any(version.secret.is_well_formed for version in history)
    texts = [str(vars(each)) for each in (*history, *versions)]
    texts += all_rows().values()
    assert [text for text in texts if story.leaked(text)] == []


def test_an_earlier_secret_comes_back_unseen_and_signs(
    account: Account, user: User, admin_client: Client
) -> None:
    first = filled(APIKey)
    admin_client.post(url(APIKey, "add"), first)
    key = APIKey.objects.get()
    second = new_secret()
    admin_client.post(url(APIKey, "change", key.pk), KEPT | {"secret": second})
    assert decoded(sign(user), second)

    version = Version.objects.get_for_object(key).last()
    page = url(APIKey, "revision", key.pk, version.pk)
    shown = admin_client.get(page).content.decode()
    assert key.sid in shown
    assert not any(each in shown for each in (first["secret"], second, "tt1:"))
    assert admin_client.post(page, KEPT).status_code == 302
    assert decoded(sign(user), first["secret"])

    key.history.all()[1].instance.save(force_update=True)
    assert decoded(sign(user), second)


def test_a_deleted_key_comes_back_and_signs(
    account: Account, user: User, admin_client: Client
) -> None:
    typed = filled(APIKey)
    admin_client.post(url(APIKey, "add"), typed)
    key = APIKey.objects.get()
    version = Version.objects.get_for_object(key).get()
    assert admin_client.post(url(APIKey, "delete", key.pk), {"post": "yes"}).status_code == 302
    assert not APIKey.objects.exists()

    page = url(APIKey, "recover", version.pk)
    shown = admin_client.get(page).content.decode()
    assert not any(each in shown for each in (typed["secret"], "tt1:"))
    assert admin_client.post(page, KEPT).status_code == 302
    assert decoded(sign(user), typed["secret"])
    assert IssuedToken.objects.get().api_key_id == key.pk

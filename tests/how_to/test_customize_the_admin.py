"""Own classes in the admin, as ``docs/how-to/customize-the-admin.md`` has them."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client

import twilio_tokens.admin
from tests.console import filled, url
from tests.how_to.sites import on_site
from tests.issued import decoded, record
from tests.prose import REPOSITORY
from tests.rows import sid
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey

PAGE = "docs/how-to/customize-the-admin.md"


def check_typed_in(client: Client, user: User, secret: str) -> None:
    """A key that is typed in signs."""
    typed = filled(APIKey, secret=secret)
    response = client.post(url(APIKey, "add"), typed)
    assert response.status_code == 302, response.content.decode()
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, secret)["iss"] == sid("SK", "1")
    assert secret not in client.get(url(APIKey, "change", APIKey.objects.get().pk)).content.decode()


def test_the_table_has_the_classes_that_are_registered() -> None:
    text = (REPOSITORY / PAGE).read_text()
    table = {}
    for model, own in admin.site._registry.items():
        if model._meta.app_label == "twilio_tokens":
            table.setdefault(type(own).__name__, []).append(f"`{model.__name__}`")
    for name, models in table.items():
        assert hasattr(twilio_tokens.admin, name)
        assert f"| `{name}` | {', '.join(models)} |" in text


@on_site(PAGE, "Change a page")
def test_a_column_is_added_to_the_list_of_keys(
    admin_client: Client, account: Account, user: User, secret: str
) -> None:
    check_typed_in(admin_client, user, secret)
    assert "column-created_at" in admin_client.get(url(APIKey, "changelist")).content.decode()


@on_site(PAGE, "Use a theme", needs=("unfold",))
def test_unfold_styles_the_forms(
    admin_client: Client, account: Account, user: User, secret: str
) -> None:
    check_typed_in(admin_client, user, secret)
    form = admin_client.get(url(APIKey, "add")).context["adminform"].form
    assert form["region"].field.widget.__module__ == "unfold.widgets"


@on_site(PAGE, "Manage your own product")
def test_rows_of_a_product_of_ones_own_are_managed_in_the_admin(
    admin_client: Client, account: Account
) -> None:
    from mysite.models import Stage  # noqa: PLC0415 - only this site has it

    typed = {"account": account.pk, "name": "main", "sid": sid("VL"), "_save": "Save"}
    refused = admin_client.post("/admin/mysite/stage/add/", typed | {"sid": sid("IS")})
    assert "sid" in refused.context["adminform"].form.errors
    assert admin_client.post("/admin/mysite/stage/add/", typed).status_code == 302
    stage = Stage.objects.get()
    assert (stage.sid, stage.is_default) == (sid("VL"), False)
    for page in ("", f"{stage.pk}/change/", f"{stage.pk}/history/"):
        shown = admin_client.get(f"/admin/mysite/stage/{page}")
        assert shown.status_code == 200
        assert "check_with_twilio" not in shown.content.decode()


@on_site(PAGE, "Use your own admin site")
def test_another_admin_site_has_the_audit_only(admin_client: Client, api_key: APIKey) -> None:
    issued = record()
    page = admin_client.get(f"/back-office/twilio_tokens/issuedtoken/{issued.pk}/change/")
    assert page.status_code == 200
    assert f"/apikey/{api_key.pk}/" not in page.content.decode()
    assert admin_client.get("/back-office/twilio_tokens/apikey/").status_code == 404

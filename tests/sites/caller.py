"""A client of the API on the site that is tested."""

from __future__ import annotations

from typing import Any

from django.conf import settings as site
from django.test import Client
from django.urls import reverse
from django.utils.module_loading import import_string

from tests.sites.operator import ADMIN_SITES, Page

#: Where the site has put the URLs of the app.
API = getattr(site, "API_URL", "/twilio/")


class Caller:
    """A signed-in client of the API."""

    def __init__(self, user: Any) -> None:
        self.client, self.headers = Client(enforce_csrf_checks=True), {}
        if hasattr(site, "AUTHORIZATION"):
            self.headers = {"Authorization": import_string(site.AUTHORIZATION)(user)}
            return
        self.client.force_login(user)
        self.take_csrf_token()

    def take_csrf_token(self) -> None:
        """From a page with a form, wherever the site keeps it."""
        login = self.client.get(reverse(f"{ADMIN_SITES[0]}:login"), follow=True)
        csrf = Page(login.content.decode()).form_with("csrfmiddlewaretoken")
        self.headers = {"X-CSRFToken": csrf["csrfmiddlewaretoken"][0]}

    def get(self, path: str = "tokens/", accept: str = "*/*") -> Any:
        return self.client.get(API + path, headers=self.headers | {"Accept": accept})

    def ask(self, path: str, body: Any, status: int = 201) -> dict[str, Any]:
        response = self.client.post(
            API + path, body, content_type="application/json", headers=self.headers
        )
        assert response.status_code == status, response.content
        assert response["Content-Type"].startswith("application/json")
        assert "no-store" in response["Cache-Control"]
        return response.json()

"""An operator in the admin, and what a browser finds on its pages."""

from __future__ import annotations

import re
from collections import deque
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urldefrag, urljoin, urlsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import get_resolver, get_script_prefix, resolve, reverse

#: The names of the site's ``AdminSite`` instances.
ADMIN_SITES = get_resolver().app_dict.get("admin", [])
STATIC_FILES = settings.STORAGES["staticfiles"]["BACKEND"]
#: Inputs that a browser does not send by itself.
BUTTONS = ("submit", "button", "image", "reset", "file")
PASSWORD = "a password"


def new_user(name: str, **fields: Any) -> Any:
    """A user of the site's own model, with a name or an address."""
    users = get_user_model()
    if users.USERNAME_FIELD == "email":
        name = f"{name}@example.com"
    return users._default_manager.create(**{users.USERNAME_FIELD: name}, **fields)


class Page(HTMLParser):
    """The links of a page, and its forms as they are filled in."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.links: list[str] = []
        self.files: list[str] = []
        self.numbers: list[str] = []
        #: What a strict Content-Security-Policy would not let through.
        self.inline: list[str] = []
        self._forms: list[dict[str, list[str]]] = []
        self._select = self._textarea = ""
        self.feed(html)

    def form_with(self, field: str) -> dict[str, Any]:
        """What a browser would send for the form that has this field."""
        form = next(each for each in self._forms if field in each)
        return {name: values for name, values in form.items() if values}

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        is_tick = tag == "input" and given.get("type") in ("checkbox", "radio")
        name, value = given.get("name") or "", given.get("value") or ("on" if is_tick else "")
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag in ("link", "script", "img"):
            self.files.append(given.get("href") or given.get("src") or "")
        elif tag == "form":
            self._forms.append({})
        elif tag == "input" and given.get("type") not in BUTTONS:
            self._fill(name, [] if is_tick and "checked" not in given else [value])
        elif tag == "select":
            self._select = name
            self._fill(name, [])
        elif tag == "option" and "selected" in given:
            self._fill(self._select, [value])
        elif tag == "textarea":
            self._textarea = name
            self._fill(name, [""])

        self.numbers += [given["data-seconds"]] if "data-seconds" in given else []
        is_inline = tag == "style" or (tag == "script" and not {"src", "type"} & set(given))
        self.inline += [tag] if is_inline else []
        self.inline += [each for each in given if each == "style" or each.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea and self._forms:
            self._forms[-1][self._textarea][0] += data

    def _fill(self, name: str, values: list[str]) -> None:
        if name and self._forms:
            self._forms[-1].setdefault(name, []).extend(values)


class Operator:
    """A superuser at one of the site's ``AdminSite`` instances, who clicks and types.

    No page shows a secret.
    """

    def __init__(self, admin_site: str) -> None:
        self.client = Client(enforce_csrf_checks=True)
        self.secrets: list[str] = []
        self.admin_site = admin_site
        self.index = reverse(f"{admin_site}:index")
        self.others = {reverse(f"{each}:index") for each in ADMIN_SITES} - {self.index}
        self.console = reverse(f"{admin_site}:app_list", args=["twilio_tokens"])
        user = new_user("root", is_staff=True, is_superuser=True)
        user.set_password(PASSWORD)
        user.save()
        login = f"{reverse(f'{admin_site}:login')}?next={self.index}"
        self.submit(login, "password", username=user.get_username(), password=PASSWORD)
        assert self.client.session["_auth_user_id"] == str(user.pk)

    def get(self, path: str) -> Page:
        return self._shown(self.client.get(path, follow=True))

    def submit(self, path: str, field: str, **typed: Any) -> Page:
        """Fill in the form that has ``field``, and send it. The page that follows."""
        data = self.get(path).form_with(field) | typed
        return self._shown(self.client.post(path, data, follow=True))

    def _shown(self, response: Any) -> Page:
        assert response.status_code == 200, (response.request["PATH_INFO"], response.content[:2000])
        assert response.request["PATH_INFO"].startswith(self.index), "an admin site leads to itself"
        html = response.getvalue().decode()
        for secret in self.secrets:
            assert secret not in html
            assert secret not in str(self.client.cookies)
        assert not re.search("{%|{{", html)
        assert all(re.fullmatch(r"\d{5}", code) for code in re.findall(r'/errors/([^"]+)"', html))
        page = Page(html)
        assert all(number.isdecimal() for number in page.numbers)
        if "Content-Security-Policy" in response.headers:
            assert page.inline == []
        for url in page.files:
            if url.startswith(settings.STATIC_URL) and "Manifest" not in STATIC_FILES:
                assert finders.find(url.removeprefix(settings.STATIC_URL)), url
        return page

    def url(self, model: Any, page: str, *args: Any) -> str:
        name = f"{self.admin_site}:twilio_tokens_{model._meta.model_name}_{page}"
        return reverse(name, args=args)

    def add(self, model: Any, **typed: Any) -> Any:
        page = self.submit(self.url(model, "add"), "sid", _save="Save", **typed)
        assert model.objects.filter(sid=typed["sid"]).exists(), page.html
        return model.objects.get(sid=typed["sid"])

    def run(self, action: str, row: Any) -> Page:
        """An action of the list, for one row."""
        path = self.url(type(row), "changelist")
        return self.submit(path, "action", action=action, _selected_action=str(row.pk), index="0")

    def follow_all_links(self) -> set[str]:
        """The paths of the console that links lead to. Each has been shown, with each parameter."""
        paths, seen, waiting = set(), set[tuple[str, str]](), deque([self.index])
        while waiting:
            page = waiting.popleft()
            for link in self.get(page).links:
                target = urldefrag(urljoin(page, link)).url
                parts = urlsplit(target)
                if page.startswith(self.console):  # Django's index lists what was done in any site
                    assert not any(parts.path.startswith(other) for other in self.others), link
                if parts.netloc or not parts.path.startswith(self.index):
                    continue
                resolve("/" + parts.path.removeprefix(get_script_prefix()))
                names = set(parse_qs(parts.query)) - {"_changelist_filters"}
                parameters = {(parts.path, name) for name in ["", *names]}
                if parts.path.startswith(self.console) and not parameters <= seen:
                    seen |= parameters
                    paths.add(parts.path)
                    waiting.append(target)
        return paths

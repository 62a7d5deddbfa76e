"""The site of somebody who follows a page, and front ends that ask it as Twilio's samples do."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from django.apps import AppConfig
from django.conf import settings as site
from django.contrib import admin
from django.test import Client
from django.urls import include, path

from tests.prose import blocks, section

from .sites import DOTS

NAMED = re.compile(r"# mysite/(\w+)\.py\n")


@contextmanager
def site_of(page: str, settings: Any, *sections: str) -> Iterator[Any]:
    """The site, with the blocks of the page in the modules that their first lines name: all blocks,
    or those of these sections. Where a list begins with dots, they stand for what was there before.
    """
    modules = {"mysite": ModuleType("mysite")}
    modules["mysite"].__path__ = []
    try:
        chosen = [block for title in sections for block in section(page, title)]
        for block in chosen or blocks(page):
            named = NAMED.match(block)
            if named is not None:
                module = modules.setdefault(named[1], _module(named[1]))
                setattr(modules["mysite"], named[1], module)
                sys.modules.update({each.__name__: each for each in modules.values()})
                code = DOTS.sub(r"\1 = [\2*\1,", block)
                if named[1] == "settings":
                    _set(settings, code)
                else:
                    exec(compile(code, f"mysite/{named[1]}.py", "exec"), vars(module))  # noqa: S102
        if "urls" in modules:
            settings.ROOT_URLCONF = "mysite.urls"
        yield modules["mysite"]
    finally:
        for module in modules.values():
            sys.modules.pop(module.__name__, None)


def _module(name: str) -> ModuleType:
    module = ModuleType(f"mysite.{name}")
    module.__package__ = "mysite"
    if name == "urls":
        before = [
            path("admin/", admin.site.urls),
            path("twilio/", include("twilio_tokens.urls")),
        ]
        vars(module).update(path=path, include=include, admin=admin, urlpatterns=before)
    return module


def _set(settings: Any, code: str) -> None:
    names = {each: getattr(site, each) for each in dir(site) if each.isupper()}
    found = {**names, "os": os}
    exec(compile(code, "mysite/settings.py", "exec"), found)  # noqa: S102
    for name, value in found.items():
        if name == "INSTALLED_APPS":  # the whole site would be set up anew; they need to be there
            [AppConfig.create(each) for each in value]
        elif name.isupper() and value is not names.get(name):
            setattr(settings, name, value)


def front_end(user: Any = None) -> Client:
    """What a front end is to the site: with the session of this user, and CSRF is looked for."""
    client = Client(enforce_csrf_checks=True)
    if user is not None:
        client.force_login(user)
    return client


def post(client: Client, address: str, body: Any, **headers: str) -> Any:
    """JSON, as ``fetch`` sends it."""
    headers = {"accept": "*/*"} | headers
    return client.post(address, json.dumps(body), "application/json", headers=headers)


def get(client: Client, address: str, accept: str = "*/*", **headers: str) -> Any:
    return client.get(address, headers={"accept": accept, **headers})

"""The pages of ``docs/reference`` say what the code does."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management import get_commands
from django.test import RequestFactory
from django.urls import URLResolver
from rest_framework.test import APIClient

from tests.site.models import Stage
from twilio_tokens import conf
from twilio_tokens.codes import CODES
from twilio_tokens.grants import WorkerGrant, registered
from twilio_tokens.issuing import IssuedAccessToken
from twilio_tokens.management.variables import PURPOSES
from twilio_tokens.models import APIKey, ChatService
from twilio_tokens.views import TokenViewSet

from .issued import decoded
from .prose import REPOSITORY, blocks

PRODUCTS = ("video", "chat", "voice", "sync", "taskrouter")


def page(name: str) -> str:
    return (REPOSITORY / "docs" / "reference" / f"{name}.md").read_text()


def test_what_is_made_from_the_code_is_up_to_date() -> None:
    """Where it is not: make reference."""
    command = [sys.executable, "-m", "docs.generate", "--check"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# docs/reference/settings.md

SECTIONS = dict(
    re.findall(
        r"^## `(TWILIO_TOKENS_\w+)`\n(.*?)(?=^## |\Z)", page("settings"), re.MULTILINE | re.DOTALL
    )
)


def test_the_settings_of_the_page_are_those_of_conf() -> None:
    assert tuple(SECTIONS) == conf.NAMES


@pytest.mark.parametrize("name", [each for each in SECTIONS if "Default:" in SECTIONS[each]])
def test_the_defaults_of_the_page_are_those_of_conf(name: str, settings: Any) -> None:
    stated = re.search(r"Default:\s+`([^`]+)`", SECTIONS[name])
    assert stated is not None
    if name == "TWILIO_TOKENS_TTL":
        ttls = {product: registered()[product].default_ttl for product in PRODUCTS}
        assert ast.literal_eval(stated[1]) == ttls
        return
    setattr(settings, name, ast.literal_eval(stated[1]))
    attribute = name.removeprefix("TWILIO_TOKENS_").lower()
    with_stated = getattr(conf.settings, attribute)
    delattr(settings, name)
    assert getattr(conf.settings, attribute) == with_stated


def examples(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", SECTIONS[name], re.DOTALL)


@pytest.mark.parametrize("name", SECTIONS)
def test_each_setting_has_its_type_and_examples_that_can_be_used(
    name: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths and keys that a site has to fill in are not looked up."""
    assert "Type: " in SECTIONS[name]
    assert examples(name)
    for example in examples(name):
        monkeypatch.setenv(name, "new old")
        names = {"WorkerGrant": WorkerGrant}
        exec(f"import os\n{example}", names)  # noqa: S102 - the page's own
        assert {each for each in names if each.startswith("TWILIO_")} == {name}
        assert names[name] != [""]
        setattr(settings, name, names[name])
        refused = [reason for reason in conf.unusable_settings() if name in reason]
        assert refused == [] or "mysite" in str(names[name])


def test_several_keys_stand_in_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "TWILIO_TOKENS_ENCRYPTION_KEYS"
    _, from_variable = examples(name)
    for value, keys in (("new old", ["new", "old"]), ("", [])):
        monkeypatch.setenv(name, value)
        names: dict[str, Any] = {}
        exec(f"import os\n{from_variable}", names)  # noqa: S102 - the page's own
        assert names[name] == keys


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("WORKER", (SimpleNamespace(), None), None),
        ("ACCOUNT", (SimpleNamespace(company=SimpleNamespace(twilio_account="ours")),), "ours"),
        ("PARAMS", (SimpleNamespace(plan="pro"), None, {"plan": "pro"}), True),
        ("PARAMS", (SimpleNamespace(plan="pro"), None, {"plan": "free"}), False),
    ],
)
def test_the_functions_of_the_examples_answer(
    name: str, arguments: tuple[Any, ...], answer: object
) -> None:
    names: dict[str, Any] = {"WorkerGrant": WorkerGrant}
    exec(examples(f"TWILIO_TOKENS_{name}")[0], names)  # noqa: S102 - the page's own
    assert names[f"TWILIO_TOKENS_{name}"](*arguments) == answer


def test_the_room_policy_of_the_example_compares_in_python() -> None:
    class Meetings:
        def values_list(self, field: str, *, flat: bool) -> list[str]:
            return ["Support"]

    names: dict[str, Any] = {}
    exec(examples("TWILIO_TOKENS_ROOM_POLICY")[0], names)  # noqa: S102 - the page's own
    user, policy = SimpleNamespace(meetings=Meetings()), names["TWILIO_TOKENS_ROOM_POLICY"]
    assert [policy(user, room) for room in ("Support", "SUPPORT", None)] == [True, False, False]


# docs/reference/http-api.md

OPENAPI = yaml.safe_load((REPOSITORY / "docs" / "openapi.yaml").read_text())


def test_the_requests_of_the_table_are_those_of_the_schema() -> None:
    rows = re.findall(r"^\| `POST (tokens/\w*/?)` \| (.*?) \|", page("http-api"), re.MULTILINE)
    for path, fields in rows:
        operation = OPENAPI["paths"][f"/twilio/{path}"]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        known = OPENAPI["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
        assert {*re.findall(r"`(\w+)`", fields)} == known.keys() - {"ttl"}
    assert len(rows) == len(OPENAPI["paths"])


def test_the_answers_of_the_page_have_the_form_of_those_of_the_api(
    api: APIClient, api_key: APIKey, chat_service: ChatService
) -> None:
    token, both, offer = map(json.loads, blocks("docs/reference/http-api.md", "json"))
    issued = api.post("/twilio/tokens/video/", {"room": "DailyStandup"}, format="json").json()
    assert token.keys() == issued.keys()
    assert token["grants"] == issued["grants"]
    assert api.post("/twilio/tokens/", both, format="json").json()["grants"].keys() == {
        "video",
        "chat",
    }
    offered = api.get("/twilio/tokens/").json()
    del offered["live"], offered["ttl"]["default"]["live"]
    assert form(offered) == form(offer)
    assert api.get("/twilio/tokens/chat/").json().keys() == {"identity", "ttl", *offer["chat"]}


def form(answer: object) -> object:
    """Its keys; a product may have a problem."""
    if not isinstance(answer, dict):
        return None
    return {name: form(value) for name, value in answer.items() if name != "problem"}


# docs/reference/errors.md


def test_every_code_of_a_request_is_in_the_table() -> None:
    named = {*re.findall(r"`(\w+)`", page("errors").partition("\n\nAn answer lists")[0])}
    of_fields = {"invalid_choice", "max_string_length"} | {
        each for each in CODES if each.endswith("characters_not_allowed")
    }
    not_of_requests = {"error", "ambiguous", "more_rights"}
    assert CODES - named == of_fields | not_of_requests


def test_the_statuses_of_the_table_are_those_of_the_schema() -> None:
    statuses = re.findall(r"^\| ([45].*?) \|", page("errors"), re.MULTILINE)
    named = set(", ".join(statuses).split(", "))
    operations = (each["post"]["responses"] for each in OPENAPI["paths"].values())
    assert {code for each in operations for code in each if code >= "400"} <= named


# docs/reference/commands.md


def test_the_commands_of_the_table_are_those_of_the_app() -> None:
    ours = {name for name, app in get_commands().items() if app == "twilio_tokens"}
    assert set(re.findall(r"^\| `(twilio_\w+)", page("commands"), re.MULTILINE)) == ours


def test_the_variables_of_the_table_are_those_that_are_imported() -> None:
    table = page("commands").partition("| value | names |")[2].partition("\n\n")[0]
    ours = [each for each in PURPOSES if getattr(each, "model", None) is not Stage]
    assert re.findall(r"`(\w+)`", table) == [name for each in ours for name in each.names]


# docs/reference/python.md


def test_a_token_is_issued_as_the_page_shows(
    api_key: APIKey, chat_service: ChatService, user: User, secret: str, rf: RequestFactory
) -> None:
    issue, _ = (each for each in blocks("docs/reference/python.md") if "import" in each)
    request = rf.get("/")
    request.user = user
    names: dict[str, Any] = {"request": request}
    exec(issue, names)  # noqa: S102 - the page's own
    issued = names["issued"]
    assert isinstance(issued, IssuedAccessToken)
    assert issued.expires_in == 3600
    assert decoded(issued.token, secret)["grants"].keys() == {"identity", "video", "chat"}


def test_a_viewset_of_ones_own_is_mounted_as_the_page_shows() -> None:
    _, mount = (each for each in blocks("docs/reference/python.md") if "import" in each)
    names: dict[str, Any] = {"__name__": "mysite.urls"}
    exec(mount, names)  # noqa: S102 - the page's own
    [resolver] = names["urlpatterns"]
    assert isinstance(resolver, URLResolver)
    assert {each.name for each in resolver.url_patterns} == {"tokens", *registered()}
    assert all(issubclass(each.callback.cls, TokenViewSet) for each in resolver.url_patterns)


# docs/reference/models.md


def test_sqlite_takes_the_options_of_the_page() -> None:
    [block] = blocks("docs/reference/models.md")
    names: dict[str, Any] = {"DATABASES": {"default": {}}}
    exec(block, names)  # noqa: S102 - the page's own
    source = ast.parse((REPOSITORY / "example_project" / "settings.py").read_text())
    [example] = [
        ast.literal_eval(value)
        for each in ast.walk(source)
        if isinstance(each, ast.Dict)
        for key, value in zip(each.keys, each.values, strict=True)
        if isinstance(key, ast.Constant)
        and key.value == "OPTIONS"
        and "init_command" in ast.dump(value)
    ]
    assert names["DATABASES"]["default"]["OPTIONS"] == example


# docs/reference/javascript.md

CLIENT = (
    REPOSITORY / "twilio_tokens" / "static" / "twilio_tokens" / "twilio-tokens.js"
).read_text()


def test_the_options_of_the_client_are_those_of_its_types() -> None:
    table = page("javascript").partition("<!-- options")[2].partition("\n\n")[0]
    typed = re.findall(r"^ \* @property \{.*?\} \[(\w+)\]", CLIENT, re.MULTILINE)
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == typed
    for name, default in re.findall(
        r"^\| `(\w+)` [^|]*\|[^|]*\| `\"(.+?)\"` \|", table, re.MULTILINE
    ):
        assert f'{name} = "{default}"' in CLIENT


def test_the_methods_of_the_client_are_those_that_are_documented() -> None:
    source = CLIENT.partition("class TokenSource")[2].partition("\n}\n")[0]
    methods = re.findall(r"^  (?:async )?(\w+)\(.*\) \{$", source, re.MULTILINE)
    documented = re.findall(r"^### `(\w+)\(", page("javascript"), re.MULTILINE)
    assert methods == ["constructor", *documented]


def test_the_properties_of_an_error_are_those_that_it_has() -> None:
    source = CLIENT.partition("class TokenError")[2].partition("\n}\n")[0]
    table = page("javascript").partition("<!-- properties")[2].partition("\n\n")[0]
    properties = [each for each in re.findall(r"this\.(\w+) =", source) if each != "name"]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == properties
    for code in ("network", "unexpected_answer", "identity_changed"):
        assert f'"{code}"' in CLIENT
        assert f"`{code}`" in table

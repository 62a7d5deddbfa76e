"""The OpenAPI schema: by drf-spectacular from the bare code, and as it is shipped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management import call_command
from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiExample, extend_schema
from drf_spectacular.views import SpectacularAPIView
from jsonschema import Draft202012Validator, ValidationError
from rest_framework import serializers
from rest_framework.authtoken.models import Token
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.schemas.openapi import SchemaGenerator as OwnGenerator
from rest_framework.test import APIClient

from tests.issued import decoded
from tests.prose import blocks
from twilio_tokens.grants import fields_of, registered
from twilio_tokens.models import ChatService, TwiMLApp
from twilio_tokens.serializers.fields import TextField
from twilio_tokens.urls import token_urls, urlpatterns
from twilio_tokens.views import TokenViewSet

REPOSITORY = Path(__file__).resolve().parent.parent
SHIPPED = REPOSITORY / "docs" / "openapi.yaml"


def resolved(part: Any, schemas: dict[str, Any]) -> Any:
    """A part of an OpenAPI 3.0 document as JSON Schema."""
    if isinstance(part, list):
        return [resolved(each, schemas) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return resolved(schemas[part["$ref"].removeprefix("#/components/schemas/")], schemas)
    result = {name: resolved(each, schemas) for name, each in part.items()}
    if result.pop("nullable", False):
        result["type"] = [result["type"], "null"]
    return result


class Document:
    def __init__(self, text: dict[str, Any]) -> None:
        self.schemas = text["components"]["schemas"]
        self.operations = {
            (path.removeprefix("/twilio"), method): operation
            for path, methods in text["paths"].items()
            for method, operation in methods.items()
        }

    def check(self, content: dict[str, Any], value: object) -> None:
        schema = resolved(content["application/json"]["schema"], self.schemas)
        Draft202012Validator(schema).validate(value)


@pytest.fixture(scope="module")
def shipped() -> Document:
    return Document(yaml.safe_load(SHIPPED.read_text()))


# What the code gives. None of these tests may ask the database.


@pytest.fixture
def _account_of_a_real_user(settings: Any) -> None:
    settings.TWILIO_TOKENS_ACCOUNT = lambda user: user.company.account


@pytest.mark.usefixtures("_account_of_a_real_user")
def test_it_is_made_without_a_warning_a_database_and_a_user(tmp_path: Path) -> None:
    file = tmp_path / "openapi.yaml"
    call_command("spectacular", file=str(file), validate=True, fail_on_warn=True)
    paths = yaml.safe_load(file.read_text())["paths"]
    assert {f"/twilio/tokens/{product}/" for product in registered()} <= paths.keys()


@pytest.mark.usefixtures("_account_of_a_real_user")
def test_a_name_is_any_string() -> None:
    schemas = SchemaGenerator().get_schema(public=True)["components"]["schemas"]
    for body, name in (("ChatTokenRequest", "service"), ("LiveGrant", "stage")):
        assert schemas[body]["properties"][name]["type"] == "string"
        assert "enum" not in schemas[body]["properties"][name]


def test_the_shipped_file_is_what_the_code_of_the_example_gives(tmp_path: Path) -> None:
    file = tmp_path / "openapi.yaml"
    command = ["manage.py", "spectacular", "--validate", "--fail-on-warn", "--file", str(file)]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "TWILIO_"))
    }
    subprocess.run(
        [sys.executable, *command],
        cwd=REPOSITORY,
        env={**environment, "SECRET_KEY": "for the schema", "DATABASE_URL": "sqlite://:memory:"},
        check=True,
    )
    assert file.read_text() == SHIPPED.read_text(), f"Copy {file} to {SHIPPED}."


def test_what_the_code_gives_here_is_what_is_shipped(shipped: Document) -> None:
    patterns = [path("twilio/", include("twilio_tokens.urls"))]
    document = Document(SchemaGenerator(patterns=patterns).get_schema(public=True))
    made = as_json(document.operations)
    # The tests have a product of their own, which stands in what GET tells of all.
    own = {each for each in made if "/live/" in each} | {"/tokens/ get"}
    operations = as_json(shipped.operations)
    assert made.keys() - own == operations.keys() - {"/tokens/ get"}
    for each in made.keys() - own:
        for part in ("summary", "description", "requestBody", "responses"):
            assert made[each].get(part) == operations[each].get(part), (each, part)
    of_the_product = made["/tokens/live/ get"]["responses"]["200"]["content"]["application/json"]
    assert of_the_product["examples"]["Answer"]["value"]["seats"] == 1
    schemas = json.loads(json.dumps(document.schemas, default=str))
    for name, schema in shipped.schemas.items():
        made_of_it = schemas[name]
        if made_of_it.get("properties", {}).pop("live", None) and "required" in made_of_it:
            made_of_it["required"] = [n for n in made_of_it["required"] if n != "live"]
        assert made_of_it == schema, name


def as_json(operations: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """Without types of its own for translated texts and moments."""
    named = {" ".join(key): operation for key, operation in operations.items()}
    result: dict[str, Any] = json.loads(json.dumps(named, default=str))
    return result


class CountingViewSet(TokenViewSet):
    @extend_schema(
        summary="Issue a token, and count it",
        responses={202: None},
        examples=[OpenApiExample("Ours", {"ttl": 1})],
    )
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        raise NotImplementedError


def test_what_a_site_says_of_its_own_viewset_stays_said() -> None:
    schema = SchemaGenerator(patterns=token_urls(CountingViewSet)).get_schema(public=True)
    operations = schema["paths"]["/tokens/video/"]
    assert operations["post"]["summary"] == "Issue a token, and count it"
    assert operations["post"]["responses"].keys() == {"202"}
    assert operations["get"]["responses"].keys() == {"200", "401", "403", "503"}


class CodeField(TextField):
    pass


class CodedRequestSerializer(serializers.Serializer[Any]):
    code = CodeField(pattern="^[A-Z]+$")


class CodedViewSet(TokenViewSet):
    @extend_schema(request=CodedRequestSerializer)
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        raise NotImplementedError


def test_a_sites_own_kind_of_text_has_its_pattern() -> None:
    schema = SchemaGenerator(patterns=token_urls(CodedViewSet)).get_schema(public=True)
    coded = schema["components"]["schemas"]["CodedRequest"]
    assert coded["properties"]["code"]["pattern"] == "^[A-Z]+$"


class WithSchema:
    urlpatterns = [path("schema/", SpectacularAPIView.as_view()), *urlpatterns]


@pytest.mark.django_db
@pytest.mark.usefixtures("chat_service", "twiml_app")
def test_it_names_nothing_that_the_site_has(settings: Any, user: User) -> None:
    ChatService.objects.update(name="war-room")
    TwiMLApp.objects.update(name="red-telephone")
    settings.ROOT_URLCONF = WithSchema
    signed_in = APIClient()
    signed_in.force_login(user)
    for visitor in (APIClient(), signed_in):
        response = visitor.get("/schema/")
        assert response.status_code == 200
        text = response.content.decode()
        assert "/tokens/chat/" in text
        assert "war-room" not in text
        assert "red-telephone" not in text


def test_rest_frameworks_own_generator_knows_the_fields_of_each_product(settings: Any) -> None:
    own = "rest_framework.schemas.openapi.AutoSchema"
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_SCHEMA_CLASS": own}
    schema = OwnGenerator(patterns=urlpatterns).get_schema(public=True)
    for product, grant in registered().items():
        body = schema["paths"][f"/tokens/{product}/"]["post"]["requestBody"]["content"]
        name = f"{grant.__name__}TokenRequest"
        assert body["application/json"]["schema"]["$ref"].endswith(f"/{name}")
        fields = schema["components"]["schemas"][name]["properties"]
        assert fields.keys() == {*(each.name for each in fields_of(grant)), "ttl"}


# What is shipped


def test_every_operation_has_examples_and_they_fit(shipped: Document) -> None:
    for (_path, method), operation in shipped.operations.items():
        bodies = [answer["content"] for answer in operation["responses"].values()]
        assert operation["responses"].keys() == (
            {"200", "401", "403", "503"}
            if method == "get"
            else {"201", "400", "401", "403", "429", "503"}
        )
        if method == "post":
            bodies.append(operation["requestBody"]["content"])
        for content in bodies:
            for example in content["application/json"]["examples"].values():
                shipped.check(content, example["value"])


@pytest.mark.parametrize(
    "answer",
    [
        {"code": "invalid", "ttl": "A valid integer is required."},
        {"ttl": ["A valid integer is required."]},
    ],
)
def test_an_answer_of_another_form_would_not_fit(shipped: Document, answer: Any) -> None:
    responses = shipped.operations["/tokens/video/", "post"]["responses"]
    with pytest.raises(ValidationError):
        shipped.check(responses["400"]["content"], answer)


@pytest.fixture
def everything(
    api_key: Any, chat_service: Any, twiml_app: Any, push_credential: Any, settings: Any
) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = None


ALL_OF_IT = {"video": {"room": "A"}, "chat": {}, "voice": {"params": {"a": "b"}}, "ttl": 60}


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(
    ("page", "body", "status"),
    [
        ("/tokens/", ALL_OF_IT, 201),
        ("/tokens/video/", {}, 201),
        ("/tokens/chat/", {"push_credential": "ios"}, 201),
        ("/tokens/voice/", {"incoming": False, "ttl": 60}, 201),
        ("/tokens/", {"video": {"room": 5}, "chat": {"service": "no"}, "ttl": "1h"}, 400),
        ("/tokens/", {"video": None}, 400),
        ("/tokens/", {"voice": []}, 400),
        ("/tokens/", {"vidio": {}}, 400),
        ("/tokens/", {}, 400),
        ("/tokens/", "null", 400),
        ("/tokens/video/", {"room": ""}, 400),
        ("/tokens/video/", {"rooom": "A", "detail": "A"}, 400),
        ("/tokens/voice/", {"params": {"a": 1}, "platform": "windows"}, 400),
        ("/tokens/chat/", {"service": "no"}, 400),
        ("/tokens/video/", "{", 400),
        ("/tokens/sync/", {}, 503),
        ("/tokens/", {"taskrouter": {}}, 503),
    ],
)
def test_a_real_answer_fits(
    api: APIClient, shipped: Document, page: str, body: Any, status: int
) -> None:
    if isinstance(body, str):
        response = api.post(f"/twilio{page}", body, content_type="application/json")
    else:
        response = api.post(f"/twilio{page}", body, format="json")
    operation = shipped.operations[page, "post"]
    assert response.status_code == status
    shipped.check(operation["responses"][str(status)]["content"], response.json())
    if status == 201:
        shipped.check(operation["requestBody"]["content"], body)


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("page", ["/tokens/", "/tokens/video/", "/tokens/voice/", "/tokens/sync/"])
def test_what_one_may_ask_for_fits(
    api: APIClient, user: User, settings: Any, shipped: Document, page: str
) -> None:
    content = shipped.operations[page, "get"]["responses"]["200"]["content"]
    shipped.check(content, api.get(f"/twilio{page}").json())
    user.username = ""
    user.save()
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    answer = api.get(f"/twilio{page}").json()
    assert "problem" in (answer["voice"] if page == "/tokens/" else answer)
    assert answer["identity"] is None
    shipped.check(content, answer)


@pytest.mark.usefixtures("everything")
def test_answers_to_whoever_may_not_have_a_token_fit(
    api: APIClient, user: User, settings: Any, shipped: Document
) -> None:
    def refusals() -> Iterator[Response]:
        yield APIClient().post("/twilio/tokens/video/")
        settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: False
        yield api.post("/twilio/tokens/video/")
        User.objects.update(username="anna@example.com")
        settings.TWILIO_TOKENS_ROOM_POLICY = None
        settings.TWILIO_TOKENS_IDENTITY = lambda user: " "
        yield api.post("/twilio/tokens/video/")
        settings.TWILIO_TOKENS_THROTTLE_RATE = "1/min"
        api.post("/twilio/tokens/video/")
        yield api.post("/twilio/tokens/video/")

    responses = shipped.operations["/tokens/video/", "post"]["responses"]
    statuses = []
    for response in refusals():
        statuses.append(response.status_code)
        shipped.check(responses[str(response.status_code)]["content"], response.json())
    assert statuses == [401, 403, 400, 429]


NODE = REPOSITORY / "tests" / "node"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("chat_service")
def test_a_typed_client_made_of_it_compiles_and_gets_a_token(
    live_server: Any, user: User, api_key: Any, secret: str, tmp_path: Path
) -> None:
    def run(*command: object) -> str:
        done = subprocess.run(
            [*map(str, command)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    tools = NODE / "node_modules" / ".bin"
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    [of_page] = blocks("docs/reference/http-api.md", "ts")
    program = (NODE / "schema_client.ts").read_text()
    (tmp_path / "schema_client.ts").write_text(f"{program}\n{of_page}")
    run(tools / "openapi-typescript", SHIPPED, "--output", "schema.d.ts")
    compiler_options = ("--strict", "--target", "esnext", "--module", "nodenext", "--skipLibCheck")
    run(tools / "tsc", *compiler_options, "schema_client.ts")
    key = Token.objects.create(user=user).key
    got = json.loads(run("node", "schema_client.js", live_server.url, key))
    claims = decoded(got.pop("token"), secret)
    assert claims["grants"] == {"identity": "anna", "video": {"room": "A"}}
    assert got == {
        "expiresIn": 60,
        "services": ["support"],
        "roomRequired": False,
        "code": "does_not_exist",
    }

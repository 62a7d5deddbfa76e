"""Bodies of every kind: each is read whole, or refused with 400."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient
from django.urls import include, path
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.versioning import AcceptHeaderVersioning, NamespaceVersioning

from tests.issued import decoded
from twilio_tokens.models import IssuedToken
from twilio_tokens.parsers import LARGEST_BODY
from twilio_tokens.urls import token_urls
from twilio_tokens.views import TokenViewSet

VIDEO, VOICE = "/twilio/tokens/video/", "/twilio/tokens/voice/"
JSON, FORM, MULTIPART = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
)

pytestmark = pytest.mark.usefixtures("api_key")


def send(api: APIClient, body: bytes, content_type: str, **extra: Any) -> Response:
    return api.generic("POST", VIDEO, body, content_type, **extra)


def refused(response: Response) -> str:
    assert response.status_code == 400, response.content
    assert response["Cache-Control"] == "no-store"
    assert not IssuedToken.objects.exists()
    return str(response.json()["code"])


# Multipart

ROOM = b'Content-Disposition: form-data; name="room"\r\n\r\nA\r\n'
TTL = b'Content-Disposition: form-data; name="ttl"\r\n\r\n60\r\n'


@pytest.mark.parametrize(
    ("body", "granted"),
    [
        (b"--x\r\n" + ROOM + b"--x--\r\n", {"room": "A"}),
        (b"--x\r\n" + ROOM.replace(b'"\r', b'"; filename=""\r') + b"--x--\r\n", {"room": "A"}),
        (b"--x\r\n" + ROOM + b"--x\r\n" + TTL + b"--x--", {"room": "A"}),
        (b"--x--\r\n", {}),  # as a page sends a form without fields
    ],
)
def test_a_multipart_form_is_read(
    api: APIClient, secret: str, body: bytes, granted: dict[str, str]
) -> None:
    response = send(api, body, MULTIPART)
    assert decoded(response.json()["token"], secret)["grants"]["video"] == granted


@pytest.mark.parametrize(
    "body",
    [
        b"room=A",
        b'{"room": "A"}',
        b"\r\n",
        b"--y\r\n" + ROOM + b"--y--\r\n",
        b"--x\r\n" + ROOM,
        b"--x\r\n" + ROOM + b"--x",
        b"--x\r\n" + ROOM + b"--x\r\n" + TTL[:-7],
        b"room=A\r\n--x--\r\n",
        b"--x--\r\nroom=A",
        b"--x" * 2_001 + b"--",
        b"--x--\r\n--x\r\n" + ROOM + b"--x--\r\n",
        b"--x\r\n\r\nroom=A\r\n--x--\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\nA\r\n--x--\r\n",
        b'--x\r\nContent-Type: text/plain; name="room"\r\n\r\nA\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="room"\r\n\r\na--xb\r\n--x--\r\n',
        b"--x\r\n" + ROOM.replace(b"A", b"\xff") + b"--x--\r\n",
        b"--x\r\n" + TTL + b"--x\r\n" + ROOM.replace(b"Content-Disposition", b"X") + b"--x--",
    ],
)
def test_what_a_multipart_parser_would_drop_is_refused(api: APIClient, body: bytes) -> None:
    assert refused(send(api, body, MULTIPART)) == "parse_error"


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary="])
def test_a_multipart_form_needs_a_boundary(api: APIClient, content_type: str) -> None:
    assert refused(send(api, b"--\r\n" + ROOM + b"----", content_type)) == "parse_error"


# Forms


@pytest.mark.parametrize("body", [b"&", b"&&&", b"room=%ff", b"room=\xff", b"%ff=A"])
def test_what_a_form_parser_would_drop_or_change_is_refused(api: APIClient, body: bytes) -> None:
    assert refused(send(api, body, FORM)) == "parse_error"


# Charsets


@pytest.mark.parametrize("charset", ["utf8", "UTF_8", '"utf-8"', "ascii"])
def test_utf_8_has_several_names(api: APIClient, charset: str) -> None:
    assert send(api, b'{"room": "A"}', f"{JSON}; charset={charset}").status_code == 201


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "utf-8-sig", "zlib", "none", "é"])
def test_other_charsets_are_refused(api: APIClient, charset: str) -> None:
    assert refused(send(api, b'{"room": "A"}', f"{JSON}; charset={charset}")) == "parse_error"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"room": "é"}'.encode(), JSON),
        (b"room=%C3%A9", FORM),
        (b"--x\r\n" + ROOM.replace(b"A", "é".encode()) + b"--x--\r\n", MULTIPART),
    ],
)
def test_the_default_charset_of_the_site_changes_nothing(
    api: APIClient, settings: Any, secret: str, body: bytes, content_type: str
) -> None:
    settings.DEFAULT_CHARSET = "latin-1"
    # Django's test client would encode the body once more.
    stream = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    response = send(api, b"", content_type, CONTENT_TYPE=content_type, **stream)
    assert decoded(response.json()["token"], secret)["grants"]["video"] == {"room": "é"}


# What could be taken for less than it says


@pytest.mark.parametrize(
    ("page", "body"),
    [
        ("video/", b'{"room": "A", "room": "B"}'),
        ("", b'{"video": {"room": "A"}, "video": {}}'),
        ("", b'{"voice": {"incoming": false, "params": {}, "incoming": true}}'),
    ],
)
def test_of_two_values_with_the_same_name_none_is_taken(
    api: APIClient, page: str, body: bytes
) -> None:
    assert refused(api.generic("POST", f"/twilio/tokens/{page}", body, JSON)) == "parse_error"


def test_an_object_in_a_form_may_be_nested_too_deeply(api: APIClient) -> None:
    assert refused(api.generic("POST", VOICE, b"params=" + b"[" * 30_000, FORM)) == "parse_error"


@pytest.mark.parametrize("address", ["video/?room=A", "video/?ttl=60", "?video.room=A", "?video=1"])
def test_fields_in_the_address_are_refused(api: APIClient, address: str) -> None:
    assert refused(api.post(f"/twilio/tokens/{address}", format="json")) == "parse_error"


def test_an_address_may_say_other_things(api: APIClient) -> None:
    assert api.post(f"{VIDEO}?format=json&campaign=7").status_code == 201


# How much


@pytest.mark.parametrize("limit", [2_621_440, None])
def test_the_largest_body_is_64_kilobytes(api: APIClient, settings: Any, limit: int | None) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = limit
    body = b'{"room": "A"}'.ljust(LARGEST_BODY)
    assert refused(send(api, body + b" ", JSON)) == "parse_error"
    assert send(api, body, JSON).status_code == 201


def test_a_site_may_set_a_lower_limit(api: APIClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 13
    assert refused(send(api, b'{"room": "AB"}', JSON)) == "parse_error"
    assert send(api, b'{"room": "A"}', JSON).status_code == 201


def many(count: int, **also: Any) -> dict[str, Any]:
    return {**{f"a{number}": number for number in range(count)}, **also}


@pytest.mark.parametrize("accept", [JSON, "text/html"])
@pytest.mark.parametrize(
    ("page", "body", "content_type"),
    [
        ("video/", json.dumps(many(4_000)), JSON),
        ("", json.dumps({"video": many(2_000), "chat": many(2_000), **many(100)}), JSON),
        ("video/", "&".join(f"a{number}=" for number in range(900)), FORM),
        ("", "&".join(f"video.a{number}=" for number in range(900)), FORM),
        ("video/", json.dumps({"x" * 90 + str(number): 1 for number in range(600)}), JSON),
    ],
)
def test_ten_mistakes_are_told_and_that_there_are_more(
    api: APIClient, accept: str, page: str, body: str, content_type: str
) -> None:
    response = api.generic(
        "POST", f"/twilio/tokens/{page}", body, content_type, headers={"accept": accept}
    )
    assert (response.status_code, response.data["code"]) == (400, "unknown_field")
    told = json.dumps(response.data)
    assert told.count("Unknown field") == 10
    assert response.data["non_field_errors"] == ["There are more errors."]
    if accept == JSON:
        assert len(response.content) < 2_000


def test_ten_mistakes_are_told_without_more(api: APIClient) -> None:
    response = api.post(VIDEO, many(10), format="json")
    assert {*response.json()} == {*many(10), "code"}


def test_a_body_of_a_quarter_of_a_million_keys_is_not_looked_at(api: APIClient) -> None:
    response = api.post(VIDEO, many(260_000), format="json")
    assert refused(response) == "parse_error"
    assert len(response.content) < 200


# What a middleware has done before


def middleware(action: Callable[[HttpRequest], object]) -> Callable[[Any], Any]:
    def factory(get_response: Any) -> Any:
        def handle(request: HttpRequest) -> HttpResponse:
            action(request)
            response: HttpResponse = get_response(request)
            return response

        return handle

    return factory


read_body = middleware(lambda request: request.body)
read_form = middleware(lambda request: request.POST)
read_stream = middleware(lambda request: request.read())
read_stream_and_form = middleware(lambda request: (request.read(), request.POST))


@pytest.mark.parametrize("name", ["read_body", "read_form"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [(JSON, b'{"room": "A"}'), (FORM, b"room=A"), (MULTIPART, b"--x\r\n" + ROOM + b"--x--\r\n")],
)
def test_a_middleware_may_have_read_the_body(
    api: APIClient, secret: str, settings: Any, name: str, content_type: str, body: bytes
) -> None:
    settings.MIDDLEWARE = [f"{__name__}.{name}", *settings.MIDDLEWARE]
    response = send(api, body, content_type)
    assert decoded(response.json()["token"], secret)["grants"]["video"] == {"room": "A"}


@pytest.mark.parametrize("name", ["read_stream", "read_stream_and_form"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [(JSON, b'{"room": "A"}'), (FORM, b"room=A"), (MULTIPART, b"--x\r\n" + ROOM + b"--x--\r\n")],
)
def test_a_body_that_a_middleware_has_used_up_is_no_empty_one(
    api: APIClient, settings: Any, name: str, content_type: str, body: bytes
) -> None:
    settings.MIDDLEWARE = [f"{__name__}.{name}", *settings.MIDDLEWARE]
    assert refused(send(api, body, content_type)) == "parse_error"


def restore_length(request: WSGIRequest) -> None:
    """As a server would have read the chunks, and a site's middleware counted them."""
    body = request.environ["wsgi.input"].read()
    request.environ["wsgi.input"] = io.BytesIO(body)
    request.META["CONTENT_LENGTH"] = str(len(body))
    request.__init__(request.environ)  # type: ignore[misc]


restoring = middleware(restore_length)  # type: ignore[arg-type]


class Unlimited(io.BytesIO):
    """Hands out few bytes at a time, as a socket does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(3 if size is None or size > 3 else size)


UNSTATED = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}


def test_a_chunked_body_whose_length_a_middleware_has_restored_is_read(
    api: APIClient, secret: str, settings: Any
) -> None:
    settings.MIDDLEWARE = [f"{__name__}.restoring", *settings.MIDDLEWARE]
    extra = {**UNSTATED, "wsgi.input": io.BytesIO(b'{"room": "A"}')}
    response = send(api, b"{}", JSON, **extra)
    assert decoded(response.json()["token"], secret)["grants"]["video"] == {"room": "A"}


@pytest.mark.parametrize(
    "says",
    [
        {"wsgi.input_terminated": True},
        {"wsgi.input_terminated": True, "CONTENT_LENGTH": "0"},
        {"SERVER_PROTOCOL": "HTTP/2"},
        {"SERVER_PROTOCOL": "HTTP/2.0"},
        {"SERVER_PROTOCOL": "HTTP/3"},
    ],
)
def test_a_wsgi_server_that_ends_the_body_itself_is_asked_for_it(
    api: APIClient, secret: str, says: dict[str, Any]
) -> None:
    extra = {**UNSTATED, "wsgi.input": Unlimited(b'{"room": "A"}'), **says}
    response = send(api, b"{}", JSON, **extra)
    assert decoded(response.json()["token"], secret)["grants"]["video"] == {"room": "A"}
    IssuedToken.objects.all().delete()
    extra["wsgi.input"] = Unlimited(b" " * 70_000)
    assert refused(send(api, b"{}", JSON, **extra)) == "parse_error"


@pytest.mark.parametrize("length", ["", "0"])
def test_chunks_that_a_wsgi_server_leaves_to_the_application_are_refused(
    api: APIClient, length: str
) -> None:
    extra = {**UNSTATED, "CONTENT_LENGTH": length}
    assert refused(send(api, b"{}", JSON, **extra)) == "parse_error"


def test_a_body_shorter_than_stated_is_refused(api: APIClient) -> None:
    extra = {"wsgi.input": io.BytesIO(b"{}")}
    assert refused(send(api, b'{"room": "A"}', JSON, **extra)) == "parse_error"


class Broken(io.RawIOBase):
    def read(self, *args: Any) -> bytes:
        raise OSError("the client has gone")


def test_a_body_that_ends_in_an_error_is_refused(api: APIClient) -> None:
    extra: dict[str, Any] = {"wsgi.input": Broken()}
    assert refused(send(api, b'{"room": "A"}', JSON, **extra)) == "parse_error"
    extra |= {**UNSTATED, "wsgi.input_terminated": True}
    assert refused(send(api, b'{"room": "A"}', JSON, **extra)) == "parse_error"


@pytest.mark.parametrize("length", ["abc", "1e3", "-1", "²", "9" * 5_000])
def test_a_length_is_a_number(api: APIClient, length: str) -> None:
    assert refused(send(api, b'{"room": "A"}', JSON, CONTENT_LENGTH=length)) == "parse_error"


def test_over_asgi_a_body_is_read_without_its_length(
    api: APIClient, user: Any, secret: str
) -> None:
    async def post() -> Any:
        client = AsyncClient()
        await client.aforce_login(user)
        return await client.generic("POST", VIDEO, b'{"room": "A"}', JSON)

    response = async_to_sync(post)()
    assert decoded(response.json()["token"], secret)["grants"]["video"] == {"room": "A"}


# The defaults of the site's own API


class OddParser(BaseParser):
    media_type = JSON

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        return {"room": "of the parser"}


class OddRenderer(BaseRenderer):
    media_type = JSON
    format = "json"

    def render(self, *args: Any, **kwargs: Any) -> bytes:
        return b"odd"


def odd_handler(*args: Any) -> Response:
    return Response({"errors": []}, status=418)


@pytest.fixture
def _odd_site(settings: Any) -> None:
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_PARSER_CLASSES": [f"{__name__}.OddParser"],
        "DEFAULT_RENDERER_CLASSES": [f"{__name__}.OddRenderer"],
        "DEFAULT_CONTENT_NEGOTIATION_CLASS": "rest_framework.negotiation.BaseContentNegotiation",
        "DEFAULT_METADATA_CLASS": None,
        "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.AcceptHeaderVersioning",
        "ALLOWED_VERSIONS": ["7"],
        "EXCEPTION_HANDLER": f"{__name__}.odd_handler",
        "UNICODE_JSON": False,
        "STRICT_JSON": False,
        "NON_FIELD_ERRORS_KEY": "__all__",
    }


@pytest.mark.usefixtures("_odd_site")
def test_json_is_read_and_written_whatever_the_site_does(api: APIClient, secret: str) -> None:
    response = send(api, '{"room": "é"}'.encode(), JSON)
    assert decoded(response.json()["token"], secret)["grants"]["video"] == {"room": "é"}
    assert '"room":"é"' in response.content.decode()
    assert api.options(VIDEO).json()["actions"]["POST"].keys() == {"room", "ttl"}
    IssuedToken.objects.all().delete()
    assert refused(send(api, b'{"rooom": "A"}', JSON)) == "unknown_field"
    assert refused(send(api, b'{"ttl": NaN}', JSON)) == "parse_error"
    for body in (b"[]", b"null", b'{"code": 1}'):
        assert {*send(api, body, JSON).json()} == {"non_field_errors", "code"}
    for nested in ({}, {"video": []}, {"video": {"code": 1}}):
        told = api.post("/twilio/tokens/", nested, format="json").json()
        assert "non_field_errors" in told.get("video", told)


@pytest.mark.usefixtures("_odd_site")
@pytest.mark.parametrize("content_type", [FORM, MULTIPART])
def test_a_site_without_forms_has_none_here(api: APIClient, content_type: str) -> None:
    assert send(api, b"room=A", content_type).status_code == 415
    response = api.get(VIDEO, headers={"accept": "text/html"})
    assert response.status_code == 406


@pytest.mark.parametrize(
    ("parsers", "renderers", "media_types", "formats"),
    [
        (["parsers.JSONParser"], ["renderers.JSONRenderer"], {JSON}, {"json"}),
        (["parsers.FileUploadParser"], ["renderers.AdminRenderer"], {JSON}, {"json", "api"}),
        (None, None, {JSON, FORM, "multipart/form-data"}, {"json", "api"}),
    ],
)
def test_forms_and_the_browsable_api_are_there_where_the_site_has_them(
    settings: Any, parsers: Any, renderers: Any, media_types: set[str], formats: set[str]
) -> None:
    if parsers is not None:
        settings.REST_FRAMEWORK = {
            "DEFAULT_PARSER_CLASSES": [f"rest_framework.{each}" for each in parsers],
            "DEFAULT_RENDERER_CLASSES": [f"rest_framework.{each}" for each in renderers],
        }
    view = TokenViewSet()
    assert {each.media_type for each in view.parser_classes} == media_types
    assert {each.format for each in view.renderer_classes} == formats


@pytest.fixture(params=[AcceptHeaderVersioning, NamespaceVersioning, None])
def _under_a_keyword(request: pytest.FixtureRequest, settings: Any) -> None:
    """Of the address, and with a default of versions that the address does not meet."""
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_VERSIONING_CLASS": request.param,
        "ALLOWED_VERSIONS": ["v1"],
        "FORMAT_SUFFIX_KWARG": "format",
    }
    urls = include((token_urls(TokenViewSet), "tokens"))
    settings.ROOT_URLCONF = (path("<slug:format>/<int:response>/", urls),)


@pytest.mark.usefixtures("_under_a_keyword")
def test_keywords_of_the_address_and_versions_are_ignored(api: APIClient) -> None:
    for accept in (JSON, "text/html"):
        headers = {"accept": accept}
        for page in ("/xml/1/tokens/", "/xml/1/tokens/video/"):
            assert api.get(page, headers=headers).status_code == 200
            assert api.options(page, headers=headers).status_code == 200
        assert api.post("/xml/1/tokens/video/", headers=headers).status_code == 201


def test_an_error_report_of_an_answer_that_cannot_be_rendered_does_not_show_the_token(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """As with a manifest of static files that lacks those of REST framework."""
    settings.DEBUG = True
    tokens = []

    def fail(self: Any, data: Any, *args: Any, **kwargs: Any) -> bytes:
        tokens.append(data["token"])
        raise ValueError("Missing staticfiles manifest entry")

    monkeypatch.setattr("twilio_tokens.views.BrowsableAPIRenderer.render", fail)
    api.raise_request_exception = False
    response = api.post(VIDEO, headers={"accept": "text/html"})
    assert response.status_code == 500
    report = response.content.decode()
    assert "Missing staticfiles manifest entry" in report
    assert tokens[0] not in report
    assert tokens[0].split(".")[1] not in report

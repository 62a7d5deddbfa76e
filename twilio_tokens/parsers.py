"""Parsers of the HTTP API: a body is either read completely or refused."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from io import BytesIO
from typing import IO, Any, ClassVar
from urllib.parse import unquote_to_bytes

from django.conf import settings as django_settings
from django.core.exceptions import SuspiciousOperation
from django.http import RawPostDataException
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import (
    BaseParser,
    DataAndFiles,
    FormParser,
    JSONParser,
    MultiPartParser,
)
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request, is_form_media_type
from rest_framework.utils.json import strict_constant

#: Bytes. A token request is small, and all of it is examined.
LARGEST_BODY = 65_536

#: In a multipart body. Enough for a hundred fields with the longest boundaries of browsers.
MOST_DASHES = 2_000


class TokenRequest(Request):
    """REST framework's request, which also reads bodies without ``Content-Length``.

    HTTP/2 and chunked requests may omit the header. REST framework treats such a body as empty,
    and an empty body requests a token for every room.
    """

    @cached_property
    def stream(self) -> BytesIO | None:
        try:
            body = self._read_body()
        except RawPostDataException:
            # If middleware has read a form, REST framework uses what Django parsed.
            if self._is_form_read_by_django():
                raise
            raise ParseError(
                _("The request body was already read by other code, such as middleware.")
            ) from None
        except (OSError, SuspiciousOperation):
            raise ParseError(_("The request body could not be read completely.")) from None
        return BytesIO(body) if body else None

    def _read_body(self) -> bytes:
        longest = _longest()
        stated = self._stated_length()
        if stated > longest:
            raise ParseError(_("The request body is too large."))
        body: bytes = self.body or self._unstated_body(longest + 1)
        if len(body) > longest:
            raise ParseError(_("The request body is too large."))
        if len(body) < stated:
            raise ParseError(_("The request body could not be read completely."))
        # Django reads a multipart body only up to this length.
        self.META["CONTENT_LENGTH"] = str(len(body))
        return body

    def _stated_length(self) -> int:
        text = self.META.get("CONTENT_LENGTH") or "0"
        if not (text.isascii() and text.isdecimal() and len(text) < 20):
            raise ParseError(_("The Content-Length header should be a number."))
        return int(text)

    def _unstated_body(self, most: int) -> bytes:
        """The body that a WSGI server has, although no length is stated."""
        environ: Mapping[str, Any] = getattr(self, "environ", {})
        is_http_1 = environ.get("SERVER_PROTOCOL", "HTTP/1.1").startswith(("HTTP/0", "HTTP/1"))
        if environ.get("wsgi.input_terminated") or not is_http_1:
            return _read_up_to(most, environ["wsgi.input"])
        if "HTTP_TRANSFER_ENCODING" in self.META and environ:
            raise ParseError(_("The request should have a Content-Length header."))
        return b""

    def _is_form_read_by_django(self) -> bool:
        request = self._request
        return (
            is_form_media_type(self.content_type)
            and any(is_form_media_type(parser.media_type) for parser in self.parsers or ())
            and bool(request.POST or request.FILES)
        )


def _longest() -> int:
    of_the_site = django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return LARGEST_BODY if of_the_site is None else min(LARGEST_BODY, int(of_the_site))


def _read_up_to(most: int, stream: IO[bytes]) -> bytes:
    """Some servers deliver a body piece by piece."""
    body = b""
    while len(body) < most and (piece := stream.read(most - len(body))):
        body += piece
    return body


class CarefulParser(BaseParser):
    """A REST framework parser that refuses what the original would drop or fail on."""

    parser_class: ClassVar[type[BaseParser]]

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Mapping[Any, Any] | DataAndFiles[Any, Any]:
        assert parser_context is not None
        params = parser_context["request"].content_params
        body = stream.read()
        if not _is_utf_8(params.get("charset", "utf-8")):
            raise ParseError(_("The request body should be in UTF-8."))
        context = {**parser_context, "encoding": "utf-8"}  # not the site's DEFAULT_CHARSET
        try:
            self._text_of(body).decode()
            parsed = self._parsed(body, media_type, context)
            is_whole = self._is_whole(parsed, body, params)
        except UnicodeDecodeError:
            raise ParseError(_("The request body should be in UTF-8.")) from None
        except RecursionError:
            raise ParseError(_("The request body is nested too deeply.")) from None
        except SuspiciousOperation:
            raise ParseError(_("The request body has too many fields.")) from None
        if not is_whole:
            raise ParseError(_("The request body is malformed."))
        return parsed

    def _text_of(self, body: bytes) -> bytes:
        return body

    def _parsed(
        self, body: bytes, media_type: str | None, context: Mapping[str, Any]
    ) -> Mapping[Any, Any] | DataAndFiles[Any, Any]:
        return self.parser_class().parse(BytesIO(body), media_type, context)

    def _is_whole(self, parsed: object, body: bytes, params: Mapping[str, str]) -> bool:
        """Whether no part of the body was dropped."""
        return bool(parsed)


def _is_utf_8(charset: str) -> bool:
    try:
        return codecs.lookup(charset).name in ("utf-8", "ascii")
    except (LookupError, ValueError):
        return False


class TokenJSONParser(CarefulParser):
    parser_class: ClassVar[type[JSONParser]] = JSONParser
    media_type = JSONParser.media_type
    renderer_class = JSONRenderer  # for the raw data form of the browsable API

    def _parsed(
        self, body: bytes, media_type: str | None, context: Mapping[str, Any]
    ) -> Mapping[Any, Any]:
        """Like REST framework's class, with the same messages, but refuses duplicate names."""
        constant = strict_constant if self.parser_class.strict else None
        try:
            parsed: Mapping[Any, Any] = json.loads(
                body.decode(), parse_constant=constant, object_pairs_hook=_without_doubles
            )
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from None
        return parsed

    def _is_whole(self, parsed: object, body: bytes, params: Mapping[str, str]) -> bool:
        return True


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Python keeps the last of two values with the same name, which may grant more."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ParseError(_("The request body has two values with the same name."))
    return found


class TokenFormParser(CarefulParser):
    parser_class = FormParser
    media_type = FormParser.media_type

    def _text_of(self, body: bytes) -> bytes:
        return unquote_to_bytes(body)


class TokenMultiPartParser(CarefulParser):
    parser_class = MultiPartParser
    media_type = MultiPartParser.media_type

    def _text_of(self, body: bytes) -> bytes:
        if body.count(b"--") > MOST_DASHES:  # each may begin a part, which costs more than its size
            raise ParseError(_("The request body has too many fields."))
        return body

    def _is_whole(self, parsed: object, body: bytes, params: Mapping[str, str]) -> bool:
        """Django drops parts without a name, and accepts a truncated body."""
        delimiter = b"--" + params["boundary"].encode()
        assert isinstance(parsed, DataAndFiles)
        values = [each for part in (parsed.data, parsed.files) for _, each in part.lists()]
        text = body.strip()
        return (
            text.startswith(delimiter)
            and text.endswith(delimiter + b"--")
            and text.count(delimiter) == sum(map(len, values)) + 1
        )


@lru_cache(maxsize=8)
def parser_classes(of_the_site: tuple[Any, ...]) -> Sequence[type[BaseParser]]:
    """JSON always, and HTML forms if the site's own views accept them."""
    forms = (TokenFormParser, TokenMultiPartParser)
    taken = (each for each in forms if any(issubclass(p, each.parser_class) for p in of_the_site))
    return (TokenJSONParser, *taken)

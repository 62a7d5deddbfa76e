"""Exports the audit as a CSV file of any length."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from io import StringIO
from unicodedata import normalize

from asgiref.sync import sync_to_async
from django.db import Error
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext

from twilio_tokens.admin.token_forms import username_of
from twilio_tokens.characters import visible, without_invisible
from twilio_tokens.models import IssuedToken

logger = logging.getLogger(__name__)

#: Records that are read and sent at a time.
CHUNK = 2_000

#: How a formula begins. Some spreadsheets also accept variants of these signs, which Unicode
#: normalizes, and skip invisible characters in front of them.
FORMULA_SIGNS = ("=", "+", "-", "@", "|", "\N{MINUS SIGN}")

COLUMNS = (
    "jti",
    "issued_at",
    "expires_at",
    "identity",
    "user",
    "products",
    "grants",
    "api_key_name",
    "api_key_sid",
    "account_sid",
    "issued_by",
)


class ChunkedResponse(StreamingHttpResponse):
    """Streams an iterator that reads the database, under WSGI and ASGI.

    Under ASGI, Django would read a synchronous iterator to its end before sending anything.
    """

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = iter(self)
        next_chunk = sync_to_async(lambda: next(chunks, None))
        while (chunk := await next_chunk()) is not None:
            yield chunk


def csv_response(records: QuerySet[IssuedToken]) -> ChunkedResponse:
    response = ChunkedResponse(_chunks(records), content_type="text/csv; charset=utf-8")
    name = f"issued-tokens-{timezone.now():%Y-%m-%d}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _chunks(records: QuerySet[IssuedToken]) -> Iterator[str]:
    yield "\ufeff"  # without it, Excel reads the file as Latin-1
    yield _lines([COLUMNS])
    try:
        for chunk in _pages(records):
            yield _lines([[_cell(value) for value in _row(record)] for record in chunk])
    except Error:
        # The status has been sent long ago, and a file that just ends looks complete.
        logger.exception("The export of issued tokens broke off.")
        yield _lines([[gettext("INCOMPLETE: the database failed at this point. Export again.")]])


def _pages(records: QuerySet[IssuedToken]) -> Iterator[list[IssuedToken]]:
    """Newest first, by short queries: no cursor and no transaction lasts as long as the download.

    MariaDB's driver would hold all rows of one query in memory, and connection poolers in front of
    PostgreSQL lose its cursors.
    """
    rest = records.order_by("-issued_at", "-pk")
    rest = rest.prefetch_related("user", "api_key__account", "issued_by")
    while page := list(rest[:CHUNK]):
        yield page
        last = page[-1]
        rest = rest.filter(issued_at__lte=last.issued_at).exclude(
            issued_at=last.issued_at, pk__gte=last.pk
        )


def _row(record: IssuedToken) -> Iterator[object]:
    key = record.api_key
    yield from (record.jti, _iso(record.issued_at), _iso(record.expires_at), record.identity)
    yield from (record.user and username_of(record.user), " ".join(record.grants))
    yield from (json.dumps(record.grants), key.name, key.sid, key.account.sid)
    yield record.issued_by and username_of(record.issued_by)


def _iso(moment: datetime) -> str:
    """With the UTC offset, even if USE_TZ is off."""
    return (moment if timezone.is_aware(moment) else timezone.make_aware(moment)).isoformat()


def _cell(value: object) -> str:
    """An apostrophe turns what a spreadsheet would read as a formula into text."""
    text = "" if value is None else visible(str(value))
    return f"'{text}" if _is_formula(text) else text


def _is_formula(text: str) -> bool:
    if text.isascii():
        return text.lstrip(" ").startswith(FORMULA_SIGNS)
    return without_invisible(normalize("NFKD", text)).startswith(FORMULA_SIGNS)


def _lines(rows: Iterable[Iterable[str]]) -> str:
    text = StringIO()
    # Quoted, a semicolon does not end a cell where spreadsheets use it as the separator.
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()

"""Change lists that survive odd addresses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.db.models import Model
from django.http import HttpRequest

from twilio_tokens.saving import savepoint

#: What databases and their drivers, each in its own way, raise for a value that no column can
#: hold: a number that is too large, a year beyond the calendar, a NUL, a broken pattern.
UNUSABLE_VALUE = (DatabaseError, OverflowError, ValueError, re.error)


class SafeChangeList(ChangeList):
    """Also rejects filter values that Django accepts but the database refuses."""

    def get_filters(self, request: HttpRequest) -> tuple[Any, ...]:
        try:
            return super().get_filters(request)
        except UNUSABLE_VALUE as error:
            raise IncorrectLookupParameters(error) from error

    def get_results(self, request: HttpRequest) -> None:
        try:
            # PostgreSQL aborts a transaction at the first error.
            with savepoint(self.root_queryset.db):
                super().get_results(request)
        except UNUSABLE_VALUE as error:
            raise IncorrectLookupParameters(error) from error


def are_usable_ids(model: type[Model], values: Sequence[Any]) -> bool:
    """Whether the database could look for rows with such primary keys."""
    try:
        for value in values:
            model._meta.pk.clean(value, None)
    except ValidationError:
        return False
    return True

"""The list of issued tokens, fast with a million of them."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from twilio_tokens.admin.change_list import SafeChangeList
from twilio_tokens.admin.token_forms import username_of
from twilio_tokens.characters import visible
from twilio_tokens.grants import registered
from twilio_tokens.models import NEWEST_FIRST, APIKey, IssuedToken

#: The list shows and counts at most this many.
LONGEST_LIST = 10_000

#: Keys in the filter next to the list. To choose another key, click it in the list.
LISTED_KEYS = 12

_Row = TypeVar("_Row", bound=Model)

UNITS = ("year", "month", "day")


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than ``LONGEST_LIST``."""

    @cached_property
    def _counted(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by().values("pk")[: LONGEST_LIST + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self._counted, LONGEST_LIST)

    @property
    def is_capped(self) -> bool:
        return self._counted > LONGEST_LIST


class AuditList(SafeChangeList):
    longest_list = LONGEST_LIST

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Without a join: MariaDB would sort all joined rows to show one page."""
        return super().get_queryset(request, *args, **kwargs).prefetch_related("user", "api_key")

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """One column, in the order of its index, which databases can read in both directions."""
        first = str(super().get_ordering(request, queryset)[0])
        return [first, "-pk" if first.startswith("-") else "pk"]

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.paginator.is_capped:
            # This hides the count next to the search box, which would be wrong.
            self.full_result_count = self.result_count

    @cached_property
    def dates(self) -> dict[str, Any]:
        """The context of ``admin/date_hierarchy.html``.

        To leave out days without rows, Django reads the date of every row, using the database's
        time zone tables, which MariaDB does not always have.
        """
        issued = self.root_queryset.values_list("issued_at", flat=True)
        oldest = issued.order_by("issued_at").first()
        newest = issued.order_by("-issued_at").first()
        if oldest is None or newest is None:
            return {"show": False}
        first, last = _levels_of(oldest), _levels_of(newest)
        chosen = self._chosen()
        start = chosen or next(first[:n] for n in (2, 1, 0) if first[:n] == last[:n])
        return {
            "show": True,
            "back": self._choice(chosen[:-1]) if chosen else None,
            "choices": [self._choice(each) for each in _within(start, first, last)],
            "field_name": IssuedToken._meta.get_field("issued_at").verbose_name,
        }

    def _chosen(self) -> list[int]:
        """The year, month and day in the page's address, as far as they are given."""
        chosen: list[int] = []
        for unit in UNITS:
            value = self.params.get(f"issued_at__{unit}")
            if value is None:
                break
            chosen.append(int(value))
        return chosen

    def _choice(self, levels: list[int]) -> dict[str, str]:
        params = {f"issued_at__{unit}": level for unit, level in zip(UNITS, levels, strict=False)}
        return {"link": self.get_query_string(params, ["issued_at__"]), "title": _title(levels)}


def _levels_of(moment: datetime) -> list[int]:
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return [local.year, local.month, local.day]


def _within(start: list[int], first: list[int], last: list[int]) -> Iterator[list[int]]:
    """The years, months or days within ``start``, from ``first`` to ``last``; for a day, itself."""
    if len(start) == len(UNITS):
        yield start
        return
    numbers = (
        lambda: range(first[0], last[0] + 1),
        lambda: range(1, 13),
        lambda: range(1, monthrange(start[0], start[1])[1] + 1),
    )[len(start)]()
    depth = len(start) + 1
    for number in numbers:
        if first[:depth] <= [*start, number] <= last[:depth]:
            yield [*start, number]


def _title(levels: list[int]) -> str:
    if not levels:
        return gettext("All dates")
    if len(levels) == 1:
        return str(levels[0])
    if len(levels) == 2:
        return capfirst(date_format(date(levels[0], levels[1], 1), "YEAR_MONTH_FORMAT"))
    return capfirst(date_format(date(*levels), "MONTH_DAY_FORMAT"))


# Filters


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        return [("live", gettext("Live")), ("expired", gettext("Expired"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        lookup: dict[Any, dict[str, Any]] = {
            None: {},
            "live": {"expires_at__gt": now},
            "expired": {"expires_at__lte": now},
        }
        return queryset.filter(**_known(lookup, self.value()))


class ProductFilter(admin.SimpleListFilter):
    title = _("product")
    parameter_name = "product"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        return [(product, str(grant.label)) for product, grant in registered().items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        lookup: dict[Any, dict[str, Any]] = {
            None: {},
            **{product: {"grants__has_key": product} for product in registered()},
        }
        return queryset.filter(**_known(lookup, self.value()))


def _known(lookups: dict[Any, dict[str, Any]], value: str | None) -> dict[str, Any]:
    if value not in lookups:
        raise IncorrectLookupParameters
    return lookups[value]


class RelatedFilter(admin.SimpleListFilter, Generic[_Row]):
    """By a row chosen with a click in the list, because a filter cannot offer a million rows."""

    field_name: str
    label: Callable[[_Row], str]

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        related: Any = model_admin.opts.get_field(self.field_name).related_model
        rows = list(self.listed())
        value = self.value()
        if value is not None and value not in {str(row.pk) for row in rows}:
            try:
                rows += related._base_manager.filter(pk=value)
            except (ValueError, ValidationError) as error:
                raise IncorrectLookupParameters(error) from error
        return [(str(row.pk), self.label(row)) for row in rows]

    def has_output(self) -> bool:
        return self.value() is not None or super().has_output()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset if value is None else queryset.filter(**{self.field_name: value})

    def listed(self) -> Iterable[_Row]:
        """The rows that the filter always offers."""
        return ()


class KeyFilter(RelatedFilter[APIKey]):
    title = _("API key")
    parameter_name = "api_key__id__exact"
    field_name = "api_key"

    def listed(self) -> Iterable[APIKey]:
        return APIKey.objects.order_by("-is_active", *NEWEST_FIRST)[:LISTED_KEYS]

    def label(self, row: APIKey) -> str:
        return visible(f"{row.name} (…{row.sid[-6:]})")


class UserFilter(RelatedFilter[AbstractBaseUser]):
    title = _("user")
    parameter_name = "user__id__exact"
    field_name = "user"

    def label(self, row: AbstractBaseUser) -> str:
        return username_of(row)

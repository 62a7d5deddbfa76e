"""The dashboard: what is going on, at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext as _

from twilio_tokens.admin.badges import badge
from twilio_tokens.admin.charts import Bar, Chart, Series, grouped
from twilio_tokens.admin.figures import BUSIEST_DAYS, MOST_LIVE, Figures, PerPeriod, figures
from twilio_tokens.admin.key_status import is_audited
from twilio_tokens.admin.moments import to_the_minute
from twilio_tokens.admin.overview import failed_checks
from twilio_tokens.admin.page import change_list, change_page, may_view, page_response
from twilio_tokens.admin.periods import UNITS, Unit
from twilio_tokens.characters import visible
from twilio_tokens.grants import registered
from twilio_tokens.models import APIKey, Kind

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: Colours that can be told apart; the last one stands for all others together.
MOST_SERIES = 6
#: Rows of each table: users, rooms, keys.
MOST_ROWS = 10
#: A month before the key is a year old.
REPLACE_SOON = timedelta(days=335)
YEAR = timedelta(days=365)


def dashboard_view(model_admin: admin.ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    by = request.GET.get("by", "days")
    if by not in UNITS:
        return HttpResponseRedirect(request.path)
    unit = UNITS[by]
    told = figures(unit.periods(timezone.now(), timezone.get_current_timezone()))
    context = {
        "title": _("Dashboard"),
        "reasons_title": unit.reasons,
        "units": [(f"?by={name}", each.label, name == by) for name, each in UNITS.items()],
        "until": told.until and to_the_minute(told.until),
        "is_late": told.is_late,
        "is_audited": is_audited(),
        "live": _live(told.live),
        "charts": [_issued(told, unit), _refused(told, unit)],
        "reasons": _reasons(told),
        "busiest_days": BUSIEST_DAYS,
        "users": _most(told.busiest[Kind.USER], change_list(model_admin)),
        "rooms": _most(told.busiest[Kind.ROOM]),
        "failed": failed_checks(request.user, model_admin.admin_site.name),
    }
    site = model_admin.admin_site
    if may_view(site, request, APIKey):
        context |= {"shows_keys": True, "keys": _keys(site.get_model_admin(APIKey))}
    return page_response(model_admin, request, "issuedtoken/dashboard", context)


def _live(count: int) -> str:
    if count > MOST_LIVE:
        return _("more than %(count)s") % {"count": grouped(MOST_LIVE)}
    return grouped(count)


# Over time


def _issued(told: Figures, unit: Unit) -> Chart:
    labels = {product: str(grant.label) for product, grant in registered().items()}
    found = [product for product in told.issued if product and product not in labels]
    products = [*labels, *sorted(found)]
    named = {product: labels.get(product, visible(product)) for product in products}
    description = _("In the columns, a token for several products counts once for each of them.")
    return _chart(
        "twilio-issued", unit.issued, description, told, told.issued, named, told.issued[""]
    )


def _refused(told: Figures, unit: Unit) -> Chart:
    total: Counter[int] = Counter()
    for of_code in told.refused.values():
        total += of_code
    codes = sorted(told.refused, key=lambda code: (-told.refused[code].total(), code))
    description = _("The reasons are the error codes of the API.")
    named = {code: code for code in codes}
    return _chart("twilio-refused", unit.refused, description, told, told.refused, named, total)


def _chart(
    name: str,
    title: _StrOrPromise,
    description: str,
    told: Figures,
    counts: PerPeriod,
    named: dict[str, str],
    totals: Counter[int],
) -> Chart:
    periods = told.periods.all
    numbers = range(len(periods))
    parts = [(named[key], [counts[key][n] for n in numbers]) for key in named if counts[key]]
    if len(parts) > MOST_SERIES:
        rest = zip(*(values for _name, values in parts[MOST_SERIES - 1 :]), strict=True)
        parts = [*parts[: MOST_SERIES - 1], (_("others"), [sum(each) for each in rest])]
    return Chart(
        name=name,
        title=title,
        description=description,
        labels=[each.short for each in periods],
        long_labels=[each.long for each in periods],
        totals=[totals[n] for n in numbers],
        series=[Series(*part, colour) for colour, part in enumerate(parts, start=1)],
    )


# Who, and why


def _reasons(told: Figures) -> list[Bar]:
    totals = Counter({code: of_code.total() for code, of_code in told.refused.items()})
    labels = {product: str(grant.label) for product, grant in registered().items()}
    return [
        Bar(code, count, totals.most_common()[0][1], note=_parts(told.refused_of[code], labels))
        for code, count in totals.most_common()
    ]


def _parts(counts: Counter[str], labels: Mapping[str, str]) -> str:
    parts = ((labels.get(name, name), grouped(count)) for name, count in counts.most_common())
    return ", ".join(f"{name} {count}" for name, count in parts)


def _most(counts: Counter[str], address: str = "") -> list[Bar]:
    """``address`` is that of a list in which they can be searched."""
    rows = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:MOST_ROWS]
    urls = (address and f"{address}?{urlencode({'q': name})}" for name, _count in rows)
    return [
        Bar(visible(name), count, rows[0][1], url)
        for (name, count), url in zip(rows, urls, strict=True)
    ]


# Keys


def _keys(of_keys: admin.ModelAdmin[Any]) -> list[Bar]:
    """The oldest active keys."""
    keys = list(APIKey.objects.filter(is_active=True).order_by("created_at", "pk")[:MOST_ROWS])
    ages = [timezone.now() - key.created_at for key in keys]
    most = max([YEAR, *ages]).days
    return [
        Bar(_key_name(key), max(0, age.days), most, change_page(of_keys, key), _replace_soon(age))
        for key, age in zip(keys, ages, strict=True)
    ]


def _key_name(key: APIKey) -> str:
    return visible(f"{key.name} (…{key.sid[-6:]})")


def _replace_soon(age: timedelta) -> str:
    return badge("warning", _("replace soon")) if age >= REPLACE_SOON else ""

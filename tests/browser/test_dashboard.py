"""The dashboard on a desk and on a phone, in light and in dark mode, under the example's policy."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.console import url
from tests.issued import record
from twilio_tokens.models import APIKey, IssuedToken

from .pages import SignedIn

FILL = "each => getComputedStyle(each).fill"
OVERFLOWS = "document.documentElement.scrollWidth > window.innerWidth"


@pytest.fixture
def operator(signed_in: SignedIn, api_key: APIKey) -> Page:
    User.objects.create_superuser("root")
    for room in ("Lobby", "A room with a name that is too long for the width of a phone"):
        record(grants={"video": {"room": room}}, identity="anna" * 20)
    return signed_in("root").new_page()


@pytest.mark.parametrize("width", [390, 1280])
def test_charts_and_tables_fit_the_screen_and_stand_out_from_it(width: int, operator: Page) -> None:
    complaints: list[str] = []
    operator.on("console", lambda message: complaints.append(message.text))
    operator.set_viewport_size({"width": width, "height": 844})
    operator.goto(url(IssuedToken, "dashboard"))
    fills = []
    for scheme in ("light", "dark"):
        operator.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert not operator.evaluate(OVERFLOWS)
        chart = operator.get_by_role("img", name="Tokens by product in the last 31 days")
        expect(chart).to_be_visible()
        fills.append(chart.locator(".twilio-series-1").evaluate(FILL))
        box = chart.locator(".twilio-series-1").bounding_box()
        assert box is not None
        assert box["height"] > 50
    assert fills == ["rgb(0, 114, 178)", "rgb(86, 180, 233)"]

    operator.get_by_text("As a table").first.click()
    expect(operator.get_by_role("rowheader", name="Lobby")).to_be_visible()
    table = operator.get_by_role("table", name="Tokens by product in the last 31 days")
    expect(table.get_by_role("row")).to_have_count(32)
    assert not operator.evaluate(OVERFLOWS)
    operator.get_by_role("link", name="Hours", exact=True).click()
    expect(operator.get_by_role("img", name="in the last 48 hours").first).to_be_visible()
    # The first page of a browser asks for an icon, too.
    assert [each for each in complaints if "404" not in each] == []

"""The page of docs/how-to/invite-guests-by-link.md, with Twilio's SDK."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from playwright.sync_api import Browser

from tests.how_to.front_ends import site_of
from tests.prose import blocks

from .pages import PATIENCE, until
from .twilio_sockets import Twilio

PAGE = "docs/how-to/invite-guests-by-link.md"


def blank(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<!doctype html>")


@pytest.mark.usefixtures("api_key")
def test_a_guest_joins_the_room_by_the_link(
    browser: Browser, site: str, settings: Any, twilio: Twilio
) -> None:
    [code] = blocks(PAGE, "js")
    with site_of(PAGE, settings) as mysite:
        mysite.urls.urlpatterns.append(
            path("join/", lambda request: HttpResponse("<!doctype html>"))
        )
        link = mysite.guests.link_for("Bo", "Interview", timezone.now() + timedelta(hours=1))
        context = browser.new_context(base_url=site, permissions=["camera", "microphone"])
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.route(
            "**/guest.js",
            lambda route: route.fulfill(
                body=f"{code}\nwindow.joined = [room.name, room.localParticipant.identity];",
                content_type="text/javascript",
            ),
        )
        page.goto(link)
        page.add_script_tag(url="/static/twilio-video/twilio-video.min.js")
        page.add_script_tag(url="/guest.js", type="module")
        until(page, lambda: said or page.evaluate("window.joined"))
        assert said == []
        name, identity = page.evaluate("window.joined")
        context.close()
    assert identity == User.objects.get(first_name="Bo").username
    assert name == "Interview"
    assert {arrival.code for arrival in twilio.of("video")} == {None}

"""Whatever comes at the same moment, from threads and processes, on each database."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User

from tests.issued import decoded
from tests.rows import new_secret, sid
from tests.servers import databases
from tests.servers.operator import Operator, at_once
from tests.servers.site import Site
from twilio_tokens.grants import Video
from twilio_tokens.issuing import IssuedAccessToken, aissue_access_token
from twilio_tokens.models import APIKey, IssuedToken

from .shift import CACHE_SECONDS, SEVERAL, TURNED_AWAY, Shift


@pytest.fixture(scope="module", params=databases.KINDS)
def kind(request: Any) -> str:
    """Of database."""
    return str(request.param)


@pytest.fixture(scope="module")
def site(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with databases.made(kind, folder) as database:
        site = Site(
            folder,
            SITE_DATABASE=json.dumps(database),
            SITE_CREDENTIAL_CACHE_SECONDS=str(CACHE_SECONDS),
            SITE_ROOM_POLICY="tests.servers.rules.is_room_of_a_group",
            WEB_CONCURRENCY="2",
        )
        yield site
        site.close()


@pytest.fixture(scope="module")
def operators(site: Site) -> Iterator[list[Operator]]:
    other = Operator(site.environment)
    yield [site.operator, other]
    other.leave()


@pytest.fixture(scope="module")
def clients(site: Site) -> Iterator[list[httpx.Client]]:
    """Of a WSGI and an ASGI server, two processes each, that serve the site together."""
    with site.served_by("gunicorn") as one, site.served_by("uvicorn") as other:
        yield [one, other]


@pytest.fixture
def click(site: Site, kind: str, clients: list[httpx.Client]) -> Iterator[Callable[..., list[int]]]:
    """Clicks on a button of the console six times at once, on one server and the other."""
    with site.console(clients[0]) as one, site.console(clients[1]) as other:

        def post(request: tuple[httpx.Client, str, dict[str, Any]]) -> int:
            console, page, data = request
            for _ in range(TRIES):
                response = console.post(f"/admin/twilio_tokens/{page}/", data=data)
                if response.status_code < 500 or kind != LOCKS:
                    break
            return response.status_code

        def click(page: str, data: Callable[[int], dict[str, Any]]) -> list[int]:
            consoles = [one, other] * (CLICKS // 2)
            requests = [(console, page, data(n)) for n, console in enumerate(consoles)]
            with ThreadPoolExecutor(CLICKS) as pool:
                return sorted(pool.map(post, requests))

        yield click


def defaults(operators: list[Operator], model: str) -> list[str]:
    return [name for name, is_default in operators[0]("stored", model=model) if is_default]


ROUNDS, CLICKS, TRIES = 4, 6, 50
#: The database that may answer “database is locked”. Then one clicks again.
LOCKS = "sqlite-of-startproject"
HALVES = [1, 2, 3], [4, 5, 6]


@pytest.mark.parametrize("is_default", [True, False])
def test_of_first_accounts_that_processes_add_at_once_one_is_the_default(
    operators: list[Operator], is_default: bool
) -> None:
    for _ in range(ROUNDS):
        operators[0]("empty")
        halves = [{"model": "Account", "numbers": n, "is_default": is_default} for n in HALVES]
        assert at_once(operators, "add", halves) == [[], []]
        assert len(operators[0]("stored", model="Account")) == 6
        assert len(defaults(operators, "Account")) == 1


@pytest.mark.parametrize("model", ["Account", "ChatService"])
def test_of_rows_that_processes_make_the_default_at_once_one_is_it(
    operators: list[Operator], model: str
) -> None:
    operators[0]("begin", secret=new_secret())
    assert (
        operators[0]("add", model=model, numbers=[*HALVES[0], *HALVES[1]], is_default=False) == []
    )
    for _ in range(ROUNDS):
        halves = [{"model": model, "numbers": n} for n in HALVES]
        assert at_once(operators, "choose", halves) == [[], []]
        assert len(defaults(operators, model)) == 1


def test_of_two_imports_at_once_into_an_empty_database_each_row_is_stored_once(
    operators: list[Operator],
) -> None:
    variables = {
        "TWILIO_ACCOUNT_SID": sid("AC"),
        "TWILIO_API_KEY": sid("SK"),
        "TWILIO_API_SECRET": new_secret(),
        "TWILIO_CHAT_SERVICE_SID": sid("IS"),
    }
    line = {"line": ["twilio_import_env"], "variables": variables}
    for _ in range(ROUNDS):
        operators[0]("empty")
        said = at_once(operators, "run", [line, line])
        assert sorted(each.count("created: ") for each in said) == [0, 3]
        for model in ("Account", "APIKey", "ChatService"):
            assert len(operators[0]("stored", model=model)) == 1


def test_of_what_several_operators_add_and_choose_at_once_one_is_the_default(
    operators: list[Operator], click: Any
) -> None:
    operators[0]("empty")
    new = [{"name": f"{n}", "sid": sid("AC", str(n)), "_save": ""} for n in range(CLICKS)]
    assert click("account/add", new.__getitem__) == [302] * CLICKS
    assert len(operators[0]("stored", model="Account")) == CLICKS
    assert len(defaults(operators, "Account")) == 1

    page = f"account/{operators[0]('pk', model='Account', sid=sid('AC', '3'))}/change"
    assert click(page, lambda n: {"name": "3", "is_default": "on", "_save": ""}) == [302] * CLICKS
    assert defaults(operators, "Account") == ["3"]


def test_of_replacements_of_a_key_at_once_one_takes_over(
    operators: list[Operator], click: Any
) -> None:
    operators[0]("begin", secret=new_secret())
    page = f"apikey/{operators[0]('pk', model='APIKey', sid=sid('SK'))}/replace"
    new = [
        {"name": "new", "sid": sid("SK", str(n + 1)), "region": "us1", "secret": new_secret()}
        for n in range(CLICKS)
    ]
    assert click(page, new.__getitem__) == [302] * CLICKS
    keys = operators[0]("stored", model="APIKey")
    assert sorted(is_active for _name, is_active in keys) == [False, True]
    assert ["new", True] in keys


@pytest.mark.django_db(transaction=True)
def test_a_hundred_coroutines_at_once_get_a_token_each(
    api_key: APIKey, user: User, secret: str
) -> None:
    @async_to_sync
    async def issue() -> list[IssuedAccessToken]:
        coroutines = [aissue_access_token(user=user, grants=[Video()]) for _ in range(100)]
        return await asyncio.gather(*coroutines)

    issued = {decoded(each.token, secret)["jti"] for each in issue()}
    assert len(issued) == 100
    assert issued == {*IssuedToken.objects.values_list("jti", flat=True)}


def test_every_token_verifies_with_the_key_that_signed_at_that_moment(
    site: Site, operators: list[Operator], clients: list[httpx.Client], kind: str
) -> None:
    shift = Shift(site, operators, is_locked_at_times=kind == LOCKS)
    shift.serve(clients)

    issued = [token for answer in shift.load.answers for token in answer.tokens]
    # All that should have signed has, and all that could be refused was.
    signed = {shift.signer(token) for token in issued}
    assert signed >= {each for secrets in list(shift.secrets.values())[:4] for each in secrets}
    assert {answer.path for answer in shift.load.answers if answer.tokens} >= {SEVERAL}
    answers = {(answer.status, answer.code) for answer in shift.load.answers}
    assert answers >= {*TURNED_AWAY.values()}
    recorded = Counter(map(tuple, operators[0]("records")))
    assert all(count == 1 for count in recorded.values())
    assert Counter(map(shift.named, issued)) <= recorded

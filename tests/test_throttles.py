from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import BaseCache, caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import call_command
from django.db import connection
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.throttling import SimpleRateThrottle

from twilio_tokens.exceptions import ThrottleUnavailable
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey, IssuedToken
from twilio_tokens.throttles import TokenRateThrottle
from twilio_tokens.urls import token_urls
from twilio_tokens.views import TokenViewSet

from .databases import disconnect

VIDEO, CHAT, ALL = "/twilio/tokens/video/", "/twilio/tokens/chat/", "/twilio/tokens/"


@pytest.fixture
def api(api: APIClient, api_key: APIKey, settings: Any) -> APIClient:
    """May ask for two tokens a minute."""
    settings.TWILIO_TOKENS_THROTTLE_RATE = "2/min"
    return api


def statuses(api: APIClient, *paths: str, **body: Any) -> list[int]:
    return [api.post(path, body, format="json").status_code for path in paths]


def test_all_products_share_one_bucket_and_what_is_refused_counts(api: APIClient) -> None:
    assert statuses(api, VIDEO, CHAT, ALL) == [201, 503, 429]


def test_bad_input_counts(api: APIClient) -> None:
    assert statuses(api, VIDEO, CHAT, VIDEO, rooom="x") == [400, 400, 429]


def test_only_asking_for_a_token_counts(api: APIClient) -> None:
    for _ in range(5):
        assert api.get(VIDEO).status_code == 200
        assert api.options(VIDEO).status_code == 200
    assert statuses(api, VIDEO, VIDEO, VIDEO) == [201, 201, 429]
    assert api.get(VIDEO).status_code == 200


def test_each_user_has_an_own_bucket(api: APIClient) -> None:
    assert statuses(api, VIDEO, VIDEO, VIDEO) == [201, 201, 429]
    other = APIClient()
    other.force_login(User.objects.create_user("bob"))
    assert statuses(other, VIDEO) == [201]


def test_who_is_not_signed_in_counts_for_nobody(api: APIClient) -> None:
    assert statuses(APIClient(), VIDEO, VIDEO, VIDEO) == [401, 401, 401]
    assert statuses(api, VIDEO) == [201]


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_the_answer_tells_when_to_come_again(api: APIClient, accept: str) -> None:
    statuses(api, VIDEO, VIDEO)
    response = api.post(VIDEO, {}, format="json", headers={"accept": accept})
    assert response.status_code == 429
    assert response.data["code"] == "throttled"
    assert 0 < int(response["Retry-After"]) <= 60
    assert response["Cache-Control"] == "no-store"
    assert IssuedToken.objects.count() == 2


def test_it_does_so_also_where_the_rate_was_lowered_meanwhile(
    api: APIClient, settings: Any
) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "10/min"
    assert statuses(api, *[VIDEO] * 5) == [201] * 5
    settings.TWILIO_TOKENS_THROTTLE_RATE = "2/min"
    response = api.post(VIDEO)
    assert response.status_code == 429
    assert int(response["Retry-After"]) == 60


def test_the_bucket_empties(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(SimpleRateThrottle, "timer", lambda self: now)
    assert statuses(api, VIDEO, VIDEO, VIDEO) == [201, 201, 429]
    now += 61
    assert statuses(api, VIDEO) == [201]


def test_none_is_no_limit(api: APIClient, settings: Any) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    assert statuses(api, *[VIDEO] * 100) == [201] * 100


def test_sixty_a_minute_is_the_default(api_key: APIKey, user: User) -> None:
    api = APIClient()
    api.force_login(user)
    assert statuses(api, *[VIDEO] * 61) == [201] * 60 + [429]


def test_it_takes_the_place_of_the_sites_throttle(api: APIClient, settings: Any) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {
        "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
        "DEFAULT_THROTTLE_RATES": {"user": "1/day"},
    }
    assert statuses(api, VIDEO, VIDEO, VIDEO) == [201, 201, 429]


# What counts


class IssuesOnGet(TokenViewSet):
    """As front ends need it that ask by GET."""

    def list(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        return self.create(request)


class IssuesItself(TokenViewSet):
    def list(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        return Response(issue_access_token(user=request.user, grants=[Video()]).token)


class IssuesByAction(TokenViewSet):
    @action(detail=False)
    def bare(self, request: Any) -> Response:
        return self.create(request)


@pytest.mark.parametrize(
    ("viewset", "actions"),
    [
        (IssuesOnGet, {"get": "list"}),
        (IssuesItself, {"get": "list"}),
        (IssuesByAction, {"get": "bare"}),
        (TokenViewSet, {"get": "create"}),
        (TokenViewSet, {"put": "create"}),
    ],
)
def test_a_subclass_that_issues_by_another_method_counts(
    api: APIClient, user: User, viewset: type[TokenViewSet], actions: dict[str, str]
) -> None:
    view = viewset.as_view(actions, product="video")
    [method] = actions

    def ask() -> int:
        request = APIRequestFactory().generic(method.upper(), "/")
        request.user = user
        return view(request).status_code

    assert [ask(), ask(), ask()] in ([201, 201, 429], [200, 200, 429])


def test_a_subclass_counts_as_well(api: APIClient, settings: Any) -> None:
    settings.ROOT_URLCONF = tuple(token_urls(IssuesOnGet))
    assert [api.get("/tokens/video/").status_code for _ in range(3)] == [201, 201, 429]


# Clocks


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Of the server, which may be set."""
    clock = SimpleNamespace(now=time.time())
    monkeypatch.setattr(SimpleRateThrottle, "timer", lambda self: clock.now)
    return clock


@pytest.mark.parametrize("jump", [-86_400, -3_600, -61, 61, 3_600, 86_400])
def test_a_clock_that_is_set_never_makes_anybody_wait_longer_than_a_period(
    api: APIClient, clock: SimpleNamespace, jump: int
) -> None:
    assert statuses(api, VIDEO, VIDEO, VIDEO) == [201, 201, 429]
    clock.now += jump
    assert statuses(api, VIDEO, VIDEO) == [201, 201]
    response = api.post(VIDEO)
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 60


@pytest.mark.parametrize("jump", [-5, 5])
def test_servers_whose_clocks_differ_a_little_count_together(
    api: APIClient, clock: SimpleNamespace, jump: int
) -> None:
    assert statuses(api, VIDEO) == [201]
    clock.now += jump
    assert statuses(api, VIDEO, VIDEO) == [201, 429]


# Caches


def site_with(cache: dict[str, Any], settings: Any, folder: Path) -> None:
    if cache["BACKEND"].endswith("DatabaseCache"):
        call_command("createcachetable", "throttle_cache")
    location = {"LOCATION": str(folder)} if "LOCATION" not in cache else {}
    settings.CACHES = {"default": {**cache, **location}}


class Forgetful(LocMemCache):
    """Keeps nothing and raises nothing, as clients do that ignore a server's errors."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return False

    set = touch = add  # type: ignore[assignment]


@pytest.fixture
def memcached() -> Iterator[str]:
    server = shutil.which("memcached")
    if server is None:
        pytest.skip("There is no memcached.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([server, "-l", "127.0.0.1", "-p", str(port), "-u", "nobody"])
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait()


class Stale(LocMemCache):
    """Counts as Django does by default, and all requests read the count before one writes it."""

    incr = BaseCache.incr

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        value = super().get(key, default, version)
        return 0 if type(value) is int and ":" in key else value


class Lagging(LocMemCache):
    """What is read comes from a replica that knows of nothing yet."""

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return default


BACKENDS = "django.core.cache.backends"
FORGETFUL = [{"BACKEND": f"{BACKENDS}.dummy.DummyCache"}, {"BACKEND": f"{__name__}.Forgetful"}]


def take(number: int) -> bool:
    request = SimpleNamespace(method="POST", user=SimpleNamespace(pk="a key\nwith anything ü"))
    try:
        return TokenRateThrottle().allow_request(request, None)  # type: ignore[arg-type]
    finally:
        caches.close_all()
        disconnect()


@pytest.mark.parametrize("backend", ["locmem.LocMemCache", "filebased.FileBasedCache"])
def test_of_parallel_requests_as_many_pass_as_the_limit_says(
    settings: Any, tmp_path: Path, backend: str
) -> None:
    site_with({"BACKEND": f"{BACKENDS}.{backend}"}, settings, tmp_path)
    settings.TWILIO_TOKENS_THROTTLE_RATE = "10/hour"
    with ThreadPoolExecutor(20) as pool:
        assert Counter(pool.map(take, range(100))) == {True: 10, False: 90}


@pytest.mark.parametrize("backend", [Stale, Lagging])
def test_they_do_so_where_what_they_read_is_out_of_date(
    settings: Any, tmp_path: Path, backend: type[LocMemCache]
) -> None:
    site_with({"BACKEND": f"{__name__}.{backend.__name__}"}, settings, tmp_path)
    settings.TWILIO_TOKENS_THROTTLE_RATE = "3/hour"
    taken = []
    for number in range(5):
        taken.append(_take_here(number))
        time.sleep(0.002)  # or all would be of the same millisecond
    assert taken == [True, True, True, False, False]


def test_a_cache_in_files_that_somebody_has_deleted_is_made_again_for_nobody_else(
    settings: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "cache"
    settings.CACHES = {
        "default": {"BACKEND": f"{BACKENDS}.filebased.FileBasedCache", "LOCATION": str(folder)}
    }
    assert take(0)
    shutil.rmtree(tmp_path / "new")
    assert take(0)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.django_db(transaction=True)
def test_they_do_so_with_the_cache_in_the_database(settings: Any, tmp_path: Path) -> None:
    cache = {"BACKEND": f"{BACKENDS}.db.DatabaseCache", "LOCATION": "throttle_cache"}
    site_with(cache, settings, tmp_path)
    settings.TWILIO_TOKENS_THROTTLE_RATE = "3/hour"
    try:
        if connection.vendor == "sqlite":  # in memory it has one connection
            assert Counter(map(_take_here, range(20))) == {True: 3, False: 17}
            return
        with ThreadPoolExecutor(10) as pool:
            assert Counter(pool.map(take, range(20))) == {True: 3, False: 17}
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE throttle_cache")


def _take_here(number: int) -> bool:
    request = SimpleNamespace(method="POST", user=SimpleNamespace(pk=1))
    return TokenRateThrottle().allow_request(request, None)  # type: ignore[arg-type]


def test_they_do_so_with_memcached_whatever_a_primary_key_holds(
    memcached: str, settings: Any, tmp_path: Path
) -> None:
    cache = {"BACKEND": f"{BACKENDS}.memcached.PyMemcacheCache", "LOCATION": memcached}
    site_with(cache, settings, tmp_path)
    settings.TWILIO_TOKENS_THROTTLE_RATE = "10/hour"
    with ThreadPoolExecutor(20) as pool:
        assert Counter(pool.map(take, range(100))) == {True: 10, False: 90}


@pytest.mark.parametrize("cache", FORGETFUL, ids=lambda cache: cache["BACKEND"])
def test_a_cache_that_counts_nothing_lets_nothing_through(
    api: APIClient, settings: Any, tmp_path: Path, cache: dict[str, Any]
) -> None:
    site_with(cache, settings, tmp_path)
    assert_throttle_unavailable(api)
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    assert statuses(api, VIDEO) == [201]


@pytest.fixture
def silent_server() -> Iterator[int]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_cache_that_is_gone_or_hangs_gets_an_answer_and_the_next_request_works(
    api: APIClient, settings: Any, tmp_path: Path, silent_server: int
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    memcached = {"BACKEND": f"{BACKENDS}.memcached.PyMemcacheCache", "OPTIONS": {"timeout": 0.2}}
    working = settings.CACHES
    for cache in (
        {**memcached, "LOCATION": f"127.0.0.1:{closed}"},
        {**memcached, "LOCATION": f"127.0.0.1:{silent_server}"},
        {"BACKEND": f"{BACKENDS}.filebased.FileBasedCache", "LOCATION": "/proc/no/folder"},
        {"BACKEND": "no.such.Cache"},
    ):
        site_with(cache, settings, tmp_path)
        assert_throttle_unavailable(api)
        assert api.get(VIDEO).status_code == 200
    settings.CACHES = working
    assert statuses(api, VIDEO) == [201]


def assert_throttle_unavailable(api: APIClient) -> None:
    response = api.post(VIDEO)
    assert (response.status_code, response.json()) == (
        503,
        {"detail": str(ThrottleUnavailable.default_message), "code": "throttle_unavailable"},
    )
    assert response["Cache-Control"] == "no-store"
    assert not IssuedToken.objects.exists()


def test_another_cache_may_count(settings: Any) -> None:
    class OtherCache(TokenRateThrottle):
        cache_alias = "other"

    settings.TWILIO_TOKENS_THROTTLE_RATE = "1/hour"
    settings.CACHES = {**settings.CACHES, "other": {"BACKEND": f"{BACKENDS}.locmem.LocMemCache"}}
    request: Any = SimpleNamespace(method="POST", user=SimpleNamespace(pk=1))
    assert OtherCache().allow_request(request, None)
    assert not OtherCache().allow_request(request, None)
    assert TokenRateThrottle().cache is caches["default"]

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from opentelemetry import metrics as otel
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from rest_framework.test import APIClient

from twilio_tokens import metrics
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey, ChatService
from twilio_tokens.verification import verify_credentials, verify_key, verify_resource

from .rows import add_key, new_secret, sid
from .twilio_server import Key, TwilioServer

ALL, VIDEO = "/twilio/tokens/", "/twilio/tokens/video/"

Labels = tuple[str, ...]
Read = Callable[[str], dict[Labels, Any]]


@pytest.fixture(scope="session")
def reader() -> InMemoryMetricReader:
    """What an SDK collects. A process can have only one."""
    reader = InMemoryMetricReader()
    otel.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
    return reader


def points(reader: InMemoryMetricReader) -> dict[str, Any]:
    data = reader.get_metrics_data()
    found = data.resource_metrics if data else []
    return {
        metric.name: metric
        for resource in found
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def values(reader: InMemoryMetricReader, name: str) -> dict[Labels, Any]:
    metric = points(reader).get(name)
    return {
        tuple(str(each) for each in dict(point.attributes).values()): (
            point.count if hasattr(point, "count") else point.value
        )
        for point in (metric.data.data_points if metric else ())
    }


@pytest.fixture
def grown(reader: InMemoryMetricReader) -> Read:
    """By how much each number of a metric has grown since the test began, by its labels."""
    names = [f"twilio_tokens.{each}" for each in NAMES]
    before = {name: values(reader, name) for name in names}

    def read(name: str) -> dict[Labels, Any]:
        name = f"twilio_tokens.{name}"
        return {
            labels: number - before[name].get(labels, 0)
            for labels, number in values(reader, name).items()
            if number != before[name].get(labels, 0)
        }

    return read


NAMES = ("issued", "refused", "checks", "signing.duration", "request.duration")


@pytest.fixture(autouse=True)
def _no_keys_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_keys", {})


def test_issued_tokens_are_counted_by_product(
    api_key: APIKey, chat_service: ChatService, api: APIClient, grown: Read
) -> None:
    api.post(VIDEO)
    api.post(ALL, {"video": {}, "chat": {}}, format="json")
    assert grown("issued") == {("video",): 2, ("chat",): 1}
    assert grown("refused") == {}
    assert grown("signing.duration") == {(): 2}
    assert grown("request.duration") == {(): 2}


def test_refusals_are_counted_by_product_and_code(
    api_key: APIKey, api: APIClient, grown: Read
) -> None:
    api.post(VIDEO, {"rooom": "x"}, format="json")
    api.post(ALL, {"video": {}, "chat": {}}, format="json")
    api.post(ALL)
    APIClient().post(ALL)
    assert grown("refused") == {
        ("video", "unknown_field"): 1,
        ("video", "not_configured"): 1,
        ("chat", "not_configured"): 1,
        ("other", "required"): 1,
        ("other", "not_authenticated"): 1,
    }
    assert grown("issued") == grown("signing.duration") == {}
    assert grown("request.duration") == {
        ("unknown_field",): 1,
        ("not_configured",): 1,
        ("required",): 1,
        ("not_authenticated",): 1,
    }


def test_who_only_looks_is_not_counted(api_key: APIKey, api: APIClient, grown: Read) -> None:
    api.get(VIDEO)
    api.options(VIDEO)
    assert [grown(name) for name in NAMES] == [{}] * 5


def test_a_call_is_no_request(api_key: APIKey, user: User, grown: Read) -> None:
    issue_access_token(user=user, grants=[Video()])
    assert (grown("issued"), grown("request.duration")) == ({("video",): 1}, {})


def test_names_that_are_not_known_share_one_label(grown: Read) -> None:
    for number in range(50):
        metrics.refused([f"fax{number}", "video"], f"code{number}")
        metrics.answered(1, f"code{number}")
    assert grown("refused") == {("other", "other"): 50, ("video", "other"): 50}
    assert grown("request.duration") == {("other",): 50}


def test_the_keys_that_sign_are_told_with_their_age(
    api_key: APIKey, user: User, reader: InMemoryMetricReader
) -> None:
    assert values(reader, "twilio_tokens.key.age") == {}
    APIKey.objects.update(created_at=timezone.now() - timedelta(days=90))
    issue_access_token(user=user, grants=[Video()])
    (labels, age), *others = values(reader, "twilio_tokens.key.age").items()
    assert (labels, others) == ((api_key.sid,), [])
    assert 90 * 86_400 <= age < 90 * 86_400 + 600


def test_a_key_that_was_replaced_is_told_no_more(
    api_key: APIKey, user: User, reader: InMemoryMetricReader, settings: Any
) -> None:
    settings.TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS = 0
    issue_access_token(user=user, grants=[Video()])
    newer = add_key(api_key.account)
    issue_access_token(user=user, grants=[Video()])
    assert values(reader, "twilio_tokens.key.age").keys() == {(newer.sid,)}


def test_the_keys_of_a_hundred_accounts_are_told_at_most(reader: InMemoryMetricReader) -> None:
    for number in range(150):
        metrics.issued(["video"], APIKey(sid=f"SK{number}", account_id=number))
    assert len(metrics._keys) == 100
    metrics.issued(["video"], APIKey(sid="SKnew", account_id=99))
    assert metrics._keys[99][0] == "SKnew"
    metrics._keys.clear()


def test_what_twilio_says_of_credentials_is_counted(
    twilio: TwilioServer, api_key: APIKey, secret: str, chat_service: ChatService, grown: Read
) -> None:
    verify_credentials(sid("AC"), sid("SK"), new_secret())
    twilio.keys[api_key.sid] = Key(secret, sid("AC"))
    verify_key(api_key)
    verify_resource(chat_service)
    assert grown("checks") == {
        ("APIKey", "refused"): 1,
        ("APIKey", "verified"): 1,
        ("ChatService", "refused"): 1,
    }


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("issued", "{token}"),
        ("refused", "{token}"),
        ("checks", "{check}"),
        ("signing.duration", "s"),
        ("request.duration", "s"),
        ("key.age", "s"),
    ],
)
def test_each_metric_has_its_unit_and_says_what_it_is(
    name: str, unit: str, api_key: APIKey, api: APIClient, reader: InMemoryMetricReader
) -> None:
    api.post(VIDEO)
    api.post(VIDEO, {"rooom": "x"}, format="json")
    metrics.checked(None, "verified")
    metric = points(reader)[f"twilio_tokens.{name}"]
    assert metric.unit == unit
    assert metric.description.endswith(".")


def test_the_histograms_tell_microseconds_of_signing_from_milliseconds(
    api_key: APIKey, api: APIClient, reader: InMemoryMetricReader
) -> None:
    api.post(VIDEO)
    bounds = {
        name: points(reader)[f"twilio_tokens.{name}.duration"].data.data_points[0].explicit_bounds
        for name in ("signing", "request")
    }
    micro, milli = 1e-6, 1e-3
    assert bounds["signing"] == pytest.approx(
        [each * micro for each in (10, 25, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 1e5, 1e6)]
    )
    assert bounds["request"] == pytest.approx(
        [each * milli for each in (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4)]
    )


def test_labels_hold_neither_identities_nor_rooms_nor_secrets(
    api_key: APIKey, secret: str, api: APIClient, reader: InMemoryMetricReader
) -> None:
    room = new_secret()
    token = api.post(VIDEO, {"room": room}, format="json").data["token"]
    api.post(VIDEO, {"room": room, room: room}, format="json")
    told = reader.get_metrics_data()
    assert told is not None
    for hidden in (room, secret, "anna", *token.split(".")[1:]):
        assert hidden not in told.to_json()


def imported_anew() -> Any:
    """The module as another process would have it."""
    assert metrics.__file__
    spec = importlib.util.spec_from_file_location("twilio_tokens._metrics", metrics.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure_all(module: Any, key: APIKey) -> None:
    module.issued(["video"], key)
    module.refused(["video"], "throttled")
    module.signed(1)
    module.answered(1, "throttled")
    module.checked("APIKey", "verified")


def test_without_opentelemetry_nothing_is_measured_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, api_key: APIKey, grown: Read
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    measure_all(imported_anew(), api_key)
    assert [grown(name) for name in NAMES] == [{}] * 5


class OldMeter(otel.NoOpMeter):
    """As it was before 1.30."""

    def create_histogram(self, name: str, unit: str = "", description: str = "") -> otel.Histogram:
        return super().create_histogram(name, unit, description)


def test_an_opentelemetry_that_is_too_old_is_told_and_not_used(
    monkeypatch: pytest.MonkeyPatch,
    api_key: APIKey,
    grown: Read,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(otel, "get_meter", OldMeter)
    measure_all(imported_anew(), api_key)
    assert caplog.messages == ["Metrics are off: they need opentelemetry-api 1.30 or newer."]
    assert [grown(name) for name in NAMES] == [{}] * 5


def test_a_signature_takes_a_part_of_its_requests_time(
    reader: InMemoryMetricReader, api_key: APIKey, api: APIClient
) -> None:
    def seconds(name: str) -> float:
        metric = points(reader).get(f"twilio_tokens.{name}.duration")
        return sum(point.sum for point in metric.data.data_points) if metric else 0

    before = seconds("signing"), seconds("request")
    api.post(VIDEO)
    assert 0 < seconds("signing") - before[0] < seconds("request") - before[1]

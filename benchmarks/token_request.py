"""What issuing costs: ``POST tokens/video/`` beside a DRF view that answers a constant.

Both views have the same authentication, throttle and fields, and are called in one process
through the whole of Django, in turns. What is compared is CPU time, as a ratio; the audit is
off, so that neither writes to the database. Run ``python -m benchmarks.token_request``.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import time
from secrets import token_urlsafe
from typing import Any

import django
from django.core.cache import cache
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

REQUESTS = 1_000  # of each view in a round
ROUNDS = 9
USERS = 50  # so that no throttle's bucket overflows

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.urls import include, path  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.viewsets import ViewSet  # noqa: E402

from twilio_tokens.models import Account, APIKey  # noqa: E402
from twilio_tokens.throttles import TokenRateThrottle  # noqa: E402


class ConstantSerializer(serializers.Serializer[Any]):
    room = serializers.CharField(required=False, max_length=128)
    ttl = serializers.IntegerField(required=False, min_value=1, max_value=86_400)


class ConstantViewSet(ViewSet):
    permission_classes = [IsAuthenticated]
    throttle_classes = [TokenRateThrottle]

    def create(self, request: Request) -> Response:
        ConstantSerializer(data=request.data).is_valid(raise_exception=True)
        return Response(CONSTANT, status=201)


urlpatterns = [
    path("twilio/", include("twilio_tokens.urls")),
    path("constant/", ConstantViewSet.as_view({"post": "create"})),
]
application = get_wsgi_application()
BODY = json.dumps({"room": "DailyStandup", "ttl": 3_600}).encode()


def post(url: str, token: str) -> dict[str, Any]:
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": url,
        "SERVER_NAME": "benchmark",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(BODY)),
        "HTTP_AUTHORIZATION": f"Token {token}",
        "wsgi.input": io.BytesIO(BODY),
        "wsgi.url_scheme": "http",
    }
    statuses: list[str] = []
    answer = b"".join(application(environ, lambda status, headers: statuses.append(status)))
    if statuses != ["201 Created"]:
        raise SystemExit(f"{url} answered {statuses}: {answer.decode()}")
    result: dict[str, Any] = json.loads(answer)
    return result


def cpu_seconds(url: str, tokens: list[str]) -> float:
    """CPU time of one request."""
    cache.clear()
    start = time.process_time()
    for number in range(REQUESTS):
        post(url, tokens[number % USERS])
    return (time.process_time() - start) / REQUESTS


call_command("migrate", verbosity=0)
account = Account.objects.create(name="Benchmark", sid="AC" + "0" * 32)
APIKey.objects.create(
    account=account, name="Key", sid="SK" + "0" * 32, region="us1", secret=token_urlsafe(24)
)
tokens = [
    Token.objects.create(user=User.objects.create(username=f"user{number}")).key
    for number in range(USERS)
]
CONSTANT = post("/twilio/tokens/video/", tokens[0])

if __name__ == "__main__":
    ours, constant = [], []
    for _ in range(ROUNDS):
        constant.append(cpu_seconds("/constant/", tokens))
        ours.append(cpu_seconds("/twilio/tokens/video/", tokens))
    ratio = statistics.median(a / b for a, b in zip(constant, ours, strict=True))
    print(f"constant answer  {statistics.median(constant) * 1e6:7.0f} µs of CPU a request")
    print(f"tokens/video/    {statistics.median(ours) * 1e6:7.0f} µs of CPU a request")
    print(f"ratio            {ratio:7.2f} of the constant answer's speed")

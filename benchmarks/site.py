"""The API of the app, and beside it views that answer a constant.

They authenticate, limit and read as those of the app do.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.http.response import HttpResponseBase
from django.urls import include, path
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from twilio_tokens.throttles import TokenRateThrottle

CONSTANT = {
    "token": "e" * 400,
    "jti": "0" * 32,
    "identity": "user0",
    "account_sid": "AC" + "0" * 32,
    "grants": {"video": {"room": "DailyStandup"}},
    "issued_at": "2030-01-01T00:00:00Z",
    "expires_at": "2030-01-01T01:00:00Z",
    "expires_in": 3600,
    "refresh_at": "2030-01-01T00:55:00Z",
}


class VideoSerializer(serializers.Serializer[Any]):
    room = serializers.CharField(required=False, max_length=128)


class ChatSerializer(serializers.Serializer[Any]):
    service = serializers.CharField(required=False)


class VoiceSerializer(serializers.Serializer[Any]):
    app = serializers.CharField(required=False)


class OneSerializer(VideoSerializer):
    ttl = serializers.IntegerField(required=False, min_value=1, max_value=86_400)


class ThreeSerializer(serializers.Serializer[Any]):
    video = VideoSerializer(required=False)
    chat = ChatSerializer(required=False)
    voice = VoiceSerializer(required=False)
    ttl = serializers.IntegerField(required=False, min_value=1, max_value=86_400)


class ConstantViewSet(ViewSet):
    permission_classes = [IsAuthenticated]
    throttle_classes = [TokenRateThrottle]
    serializer_class: type[serializers.Serializer[Any]] = OneSerializer

    def create(self, request: Request) -> Response:
        self.serializer_class(data=request.data).is_valid(raise_exception=True)
        return Response(CONSTANT, status=201)


def constant(
    serializer_class: type[serializers.Serializer[Any]],
) -> Callable[..., HttpResponseBase]:
    return ConstantViewSet.as_view({"post": "create"}, serializer_class=serializer_class)


urlpatterns = [
    path("twilio/", include("twilio_tokens.urls")),
    path(
        "constant/",
        include([path("three/", constant(ThreeSerializer)), path("one/", constant(OneSerializer))]),
    ),
]
application = get_wsgi_application()


def post(url: str, token: str, fields: Mapping[str, object]) -> None:
    """A request through the whole of Django, in this process."""
    body = json.dumps(fields).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": url,
        "SERVER_NAME": "benchmark",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": f"Token {token}",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    statuses: list[str] = []
    answer = b"".join(application(environ, lambda status, headers: statuses.append(status)))
    if statuses != ["201 Created"]:
        raise SystemExit(f"{url} answered {statuses}: {answer.decode()}")

"""The API, the console, and a view of the site's own that issues several tokens at once."""

from __future__ import annotations

import asyncio

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.authtoken.models import Token

from tests.urls import urlpatterns
from twilio_tokens.exceptions import TwilioTokensError
from twilio_tokens.grants import Video
from twilio_tokens.issuing import aissue_access_token

TOKENS = 5


@csrf_exempt
async def several(request: HttpRequest) -> JsonResponse:
    key = request.headers["Authorization"].removeprefix("Token ")
    try:
        token = await Token.objects.select_related("user").aget(key=key)
        coroutines = [aissue_access_token(user=token.user, grants=[Video()]) for _ in range(TOKENS)]
        issued = await asyncio.gather(*coroutines)
    except DatabaseError:
        return JsonResponse({"code": "not_configured"}, status=503)
    except TwilioTokensError as error:
        return JsonResponse({"code": error.code}, status=503)
    return JsonResponse({"tokens": [each.token for each in issued]}, status=201)


urlpatterns = [*urlpatterns, path("several/", several)]

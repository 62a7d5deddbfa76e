"""What Twilio asks when somebody calls: the Voice URL of the TwiML App.

A call goes to another user of the site, never to a telephone: those cost money.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import VoiceResponse

from twilio_tokens.exceptions import IdentityNotAllowed
from twilio_tokens.grants import Voice
from twilio_tokens.identity import identity_for, user_for

logger = logging.getLogger(__name__)


@csrf_exempt  # Twilio signs its requests instead
@require_POST
def twiml(request: HttpRequest) -> HttpResponse:
    if not is_from_twilio(request):
        return HttpResponseForbidden()
    caller = user_for(request.POST.get("From", ""))
    callee = named(request.POST.get("To", ""))
    answer = VoiceResponse()
    if caller is None:
        answer.reject()
    elif callee is None:
        answer.say("Nobody by that name can be called.")
    else:
        # The caller hears it ring until the other answers.
        client = answer.dial(answer_on_bridge=True).client()
        client.identity(identity_for(callee, [Voice]))
        # Twilio hands it to the page that rings: nobody chooses the name that others see.
        client.parameter(name="caller", value=display_name(caller))
    return HttpResponse(str(answer), content_type="text/xml")


def is_from_twilio(request: HttpRequest) -> bool:
    auth_token: str = settings.TWILIO_AUTH_TOKEN  # type: ignore[misc]  # of the example only
    if not auth_token:
        logger.error("No call is connected: set TWILIO_AUTH_TOKEN, with which Twilio signs.")
        return False
    validator = RequestValidator(auth_token)
    signature = request.headers.get("X-Twilio-Signature", "")
    # The address that Twilio called: behind a proxy SECURE_PROXY_SSL_HEADER makes it https.
    genuine: bool = validator.validate(request.build_absolute_uri(), request.POST, signature)
    if not genuine:
        logger.warning("A request for TwiML was not signed by Twilio for this address.")
    return genuine


def named(to: str) -> User | None:
    """The active user of that username who can be called."""
    user = User.objects.filter(username=to.removeprefix("client:"), is_active=True).first()
    try:
        return user if user and identity_for(user, [Voice]) else None
    except IdentityNotAllowed:
        return None


def display_name(user: User) -> str:
    return user.get_full_name() or user.get_username()

"""The response to an error: REST framework's own, plus a stable code."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework import exceptions as drf
from rest_framework import status
from rest_framework.response import Response
from rest_framework.utils.serializer_helpers import ReturnDict
from rest_framework.views import exception_handler

from .exceptions import NotAuthenticated, PermissionDenied, TwilioTokensError, Unavailable
from .outcomes import UNKNOWN
from .serializers import MOST_ERRORS, NON_FIELD_ERRORS

#: Our errors, and what Django REST framework and Django answer.
ANSWERED = (
    TwilioTokensError,
    drf.APIException,
    Http404,
    DjangoPermissionDenied,
    BadRequest,
    SuspiciousOperation,
    MultiPartParserError,
)


def api_exception(error: Exception) -> Exception:
    """Our errors as errors that DRF can answer; others unchanged."""
    if not isinstance(error, TwilioTokensError):
        return error
    if isinstance(error, NotAuthenticated):
        return drf.NotAuthenticated(error.message)
    answer = drf.APIException(error.message, error.code)
    answer.status_code = status.HTTP_400_BAD_REQUEST
    if isinstance(error, Unavailable):
        error.log()
        answer.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    elif isinstance(error, PermissionDenied):
        answer.status_code = status.HTTP_403_FORBIDDEN
    return answer


def error_answer(error: Exception, context: dict[str, object]) -> Response | None:
    """DRF's response plus the code. The site's own exception handler could change the format."""
    response = exception_handler(error, context)
    if response is None:
        return None
    # Errors of a site's own authentication may have any format, and may be raised again.
    answer = response.data
    answer = answer.copy() if isinstance(answer, dict) else {NON_FIELD_ERRORS: answer}
    codes = [detail.code for detail in _details(answer)]
    if len(codes) > MOST_ERRORS and isinstance(answer, ReturnDict):
        answer = _first_errors(answer)
    several: str = getattr(error, "default_code", drf.ValidationError.default_code)
    answer["code"] = codes[0] if len(set(codes)) == 1 else several
    response.data = answer
    return response


def code_of(response: HttpResponseBase) -> str | None:
    """The code of a refusal. A response made by the site's own code may have none."""
    if response.status_code < status.HTTP_400_BAD_REQUEST:
        return None
    data = getattr(response, "data", None)
    return str(data["code"]) if isinstance(data, dict) and "code" in data else UNKNOWN


def _details(answer: object) -> Iterator[drf.ErrorDetail]:
    """Every message in an error response, at any depth."""
    if isinstance(answer, drf.ErrorDetail):
        yield answer
    elif isinstance(answer, (dict, list)):
        for part in answer.values() if isinstance(answer, dict) else answer:
            yield from _details(part)


def _first_errors(answer: ReturnDict[str, object]) -> ReturnDict[str, object]:
    """The first few, which are enough to fix the request."""
    places = iter(range(MOST_ERRORS))

    def kept(part: object) -> object:
        if isinstance(part, dict):
            return {name: rest for name, each in part.items() if (rest := kept(each))}
        if isinstance(part, list):
            return [rest for each in part if (rest := kept(each))]
        return part if next(places, None) is not None else None

    first = {name: rest for name, each in answer.items() if (rest := kept(each))}
    general = first.get(NON_FIELD_ERRORS)
    first[NON_FIELD_ERRORS] = [
        *(general if isinstance(general, list) else []),
        _("There are more errors."),
    ]
    return ReturnDict(first, serializer=answer.serializer)

"""What a web server does before Django sees a request."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


def without_the_prefix(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    def respond(request: HttpRequest) -> HttpResponse:
        request.path = request.path_info
        request.path_info = request.path.removeprefix(settings.FORCE_SCRIPT_NAME)
        return get_response(request)

    return respond

"""What the HTTP API writes: JSON, a page of the browsable API, or the bare token as text."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer, JSONRenderer
from rest_framework.serializers import BaseSerializer

from .serializers import NON_FIELD_ERRORS, TokenRequestSerializer

logger = logging.getLogger(__name__)


class TokenJSONRenderer(JSONRenderer):
    compact = True
    ensure_ascii = False
    strict = True


class TokenTextRenderer(BaseRenderer):
    """The bare token, for front ends that take the whole answer for it.

    An error is its code, a colon and a sentence, so it is not mistaken for a token; whatever else
    is answered is JSON.
    """

    media_type = "text/plain"
    format = "txt"

    def render(
        self,
        data: object,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str | bytes:
        response = (renderer_context or {}).get("response")
        if isinstance(data, Mapping):
            if getattr(response, "exception", False):
                return f"{data.get('code')}: {' '.join(_sentences(data))}"
            if isinstance(token := data.get("token"), str):
                return token
        return TokenJSONRenderer().render(data)


def _sentences(answer: object, field: str = "") -> Iterator[str]:
    """The messages of an error answer, each with its field, if it has one."""
    if isinstance(answer, Mapping):
        for name, part in answer.items():
            if not (field == "" and name == "code"):
                is_general = name in ("detail", NON_FIELD_ERRORS)
                yield from _sentences(part, field if is_general else f"{field}{name}: ")
    elif isinstance(answer, list):
        for part in answer:
            yield from _sentences(part, field)
    else:
        yield f"{field}{answer}"


class _Unreported(str):
    """Error reports that show a page's variables do not show this text."""

    __slots__ = ()
    __repr__ = object.__repr__


class TokenBrowsableAPIRenderer(BrowsableAPIRenderer):
    def get_content(self, *args: Any, **kwargs: Any) -> str:
        return _Unreported(super().get_content(*args, **kwargs))

    def show_form_for_method(self, *args: Any) -> bool | None:
        try:
            return super().show_form_for_method(*args)
        except (DjangoPermissionDenied, Http404):
            return False
        except Exception:  # whatever permissions of the site's own raise
            logger.exception("A form is not shown because its permissions could not be checked.")
            return False

    def render_form_for_serializer(self, serializer: BaseSerializer[Any]) -> str | bytes | None:
        show_menus(serializer)
        return super().render_form_for_serializer(serializer)


def show_menus(serializer: BaseSerializer[Any]) -> None:
    """Only if a form is shown to someone who is signed in: others must not learn names."""
    if isinstance(serializer, TokenRequestSerializer):
        serializer.offer_menus(serializer.context["offers"]())


@lru_cache(maxsize=8)  # needed several times per request
def renderer_classes(of_the_site: tuple[Any, ...]) -> Sequence[type[BaseRenderer]]:
    """JSON always, and the browsable API if the site's own views have it."""
    is_browsable = any(issubclass(each, BrowsableAPIRenderer) for each in of_the_site)
    return (TokenJSONRenderer, TokenBrowsableAPIRenderer) if is_browsable else (TokenJSONRenderer,)

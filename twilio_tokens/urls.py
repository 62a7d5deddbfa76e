from __future__ import annotations

from django.urls import URLPattern, path

from .grants import registered
from .views import TokenViewSet

app_name = "twilio_tokens"


def token_urls(viewset: type[TokenViewSet]) -> list[URLPattern]:
    """``tokens/`` and ``tokens/<product>/`` for every registered product."""
    actions = {"get": "list", "post": "create"}
    return [
        path("tokens/", viewset.as_view(actions), name="tokens"),
        *(
            path(f"tokens/{product}/", viewset.as_view(actions, product=product), name=product)
            for product in registered()
        ),
    ]


urlpatterns = token_urls(TokenViewSet)

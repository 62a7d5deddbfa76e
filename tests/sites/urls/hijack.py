"""The API by the viewset in docs/products.md that records who really asks."""

import re
from pathlib import Path
from typing import Any

from django.urls import include, path

from tests import urls
from twilio_tokens.urls import token_urls

PAGE = Path(__file__).parents[3] / "docs" / "products.md"

block = re.search(r"```python\n# mysite/views\.py\n(.*?)```", PAGE.read_text(), re.DOTALL)
assert block is not None
views: dict[str, Any] = {}
exec(block[1], views)  # noqa: S102 - the page's own code

urlpatterns = [
    path("hijack/", include("hijack.urls")),
    path("twilio/", include((token_urls(views["RecordingTokenViewSet"]), "twilio_tokens"))),
    *urls.urlpatterns,
]

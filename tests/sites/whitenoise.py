"""Static files have hashes in their names, and WhiteNoise serves them."""

from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import MIDDLEWARE

NEEDS = ["whitenoise"]
MIDDLEWARE = ["whitenoise.middleware.WhiteNoiseMiddleware", *MIDDLEWARE]
STATIC_ROOT = Path(__file__).resolve().parents[2] / "var" / "sites-static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

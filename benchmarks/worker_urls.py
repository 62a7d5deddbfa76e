"""The addresses of the site of ``worker``."""

from django.apps import apps
from django.contrib import admin
from django.urls import include, path

# What a site with an API of its own has.
import rest_framework.authentication  # isort: skip
import rest_framework.serializers  # isort: skip
import rest_framework.throttling  # isort: skip
import rest_framework.viewsets  # noqa: F401  # isort: skip

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api-auth/", include("rest_framework.urls")),
    *([path("", include("twilio_tokens.urls"))] if apps.is_installed("twilio_tokens") else []),
]

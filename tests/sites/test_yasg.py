"""Schemas without drf-spectacular: by drf-yasg, and by REST framework itself.

No test here may ask the database.
"""

from __future__ import annotations

import sys
from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from drf_yasg import openapi
from drf_yasg.generators import OpenAPISchemaGenerator

from twilio_tokens.grants import fields_of, registered


@pytest.fixture(autouse=True)
def _account_of_a_real_user(settings: Any) -> None:
    settings.TWILIO_TOKENS_ACCOUNT = lambda user: user.company.account


def test_drf_spectacular_is_not_imported() -> None:
    assert not [name for name in sys.modules if name.startswith("drf_spectacular")]


def test_drf_yasg_describes_the_fields_of_each_product() -> None:
    info = openapi.Info(title="Site", default_version="v1")
    schema = OpenAPISchemaGenerator(info).get_schema(None, public=True)
    for product, grant in registered().items():
        body = schema.paths[f"/tokens/{product}/"].post.parameters[0].schema
        assert body["$ref"] == f"#/definitions/{grant.__name__}TokenRequest"
    fields = schema.definitions["VoiceTokenRequest"].properties
    assert {name: field["type"] for name, field in fields.items()} == {
        "app": "string",
        "incoming": "boolean",
        "push_credential": "string",
        "params": "object",
        "platform": "string",
        "sandbox": "boolean",
        "ttl": "integer",
    }


@pytest.mark.filterwarnings("ignore:.*OpenAPI schema generation:Warning")
def test_rest_framework_describes_the_fields_of_each_product() -> None:
    written = StringIO()
    call_command("generateschema", stdout=written)
    schema = yaml.safe_load(written.getvalue())
    for product, grant in registered().items():
        body = schema["paths"][f"/twilio/tokens/{product}/"]["post"]["requestBody"]
        name = f"{grant.__name__}TokenRequest"
        reference = body["content"]["application/json"]["schema"]["$ref"]
        assert reference == f"#/components/schemas/{name}"
        fields = schema["components"]["schemas"][name]["properties"]
        assert fields.keys() == {*(each.name for each in fields_of(grant)), "ttl"}

"""django-auditlog writes down every change of every model, and whole rows."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE

NEEDS = ["auditlog"]
INSTALLED_APPS = [*INSTALLED_APPS, "auditlog"]
MIDDLEWARE = [*MIDDLEWARE, "auditlog.middleware.AuditlogMiddleware"]
AUDITLOG_INCLUDE_ALL_MODELS = True
AUDITLOG_INCLUDE_TRACKING_MODELS = [
    {"model": f"twilio_tokens.{name}", "serialize_data": True}
    for name in ("APIKey", "IssuedToken", "Account", "ChatService", "TwiMLApp", "PushCredential")
]
AUDITLOG_STORE_JSON_CHANGES = True

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.i18n import JavaScriptCatalog
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from health_check.views import HealthCheckView
from rest_framework.authtoken.views import ObtainAuthToken

from .calls import twiml
from .views import HomeView, PhoneView, SDKView, SignInView, TokenView, VideoView

accounts = [
    path("login/", SignInView.as_view(), name="login"),
    path(
        "logout/",
        LogoutView.as_view(template_name="example_project/signed_out.html"),
        name="logout",
    ),
]

urlpatterns = [
    path("", HomeView.as_view(), name="home"),
    path("video/", VideoView.as_view(), name="video"),
    path("chat/", SDKView.as_view(template_name="example_project/chat.html"), name="chat"),
    path("phone/", PhoneView.as_view(), name="phone"),
    path("phone/twiml/", twiml, name="twiml"),
    path("token/", TokenView.as_view(), name="token"),
    path("twilio/", include("twilio_tokens.urls")),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/", SpectacularSwaggerSplitView.as_view(), name="api"),
    path("api-token/", ObtainAuthToken.as_view(schema=None), name="api-token"),
    # Under this namespace the browsable API looks for its “Log in” and “Log out”.
    path("accounts/", include((accounts, "rest_framework"))),
    # The switch of languages, and the messages of the pages' scripts.
    path("i18n/", include("django.conf.urls.i18n")),
    path(
        "jsi18n/", JavaScriptCatalog.as_view(packages=["example_project"]), name="script-messages"
    ),
    path("admin/", admin.site.urls),
    path("health/", HealthCheckView.as_view(checks=["twilio_tokens.health.TokensCanBeIssued"])),
]

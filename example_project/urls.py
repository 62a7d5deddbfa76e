from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from health_check.views import HealthCheckView
from rest_framework.authtoken.views import ObtainAuthToken

from .views import HomeView, SDKView

accounts = [
    path("login/", LoginView.as_view(template_name="example_project/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]

urlpatterns = [
    path("", HomeView.as_view(), name="home"),
    *(
        path(f"{name}/", SDKView.as_view(template_name=f"example_project/{name}.html"), name=name)
        for name in ("video", "chat", "phone", "token")
    ),
    path("twilio/", include("twilio_tokens.urls")),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/", SpectacularSwaggerSplitView.as_view(), name="api"),
    path("api-token/", ObtainAuthToken.as_view(schema=None), name="api-token"),
    # Under this namespace the browsable API looks for its “Log in” and “Log out”.
    path("accounts/", include((accounts, "rest_framework"))),
    path("admin/", admin.site.urls),
    path("health/", HealthCheckView.as_view(checks=["twilio_tokens.health.TokensCanBeIssued"])),
]

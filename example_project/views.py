from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import LoginView
from django.urls import reverse
from django.views.generic import TemplateView

from twilio_tokens.offers import offers

from . import demo_credentials
from .meetings import open_to
from .models import Meeting


class SignInView(LoginView):
    template_name = "example_project/login.html"
    redirect_authenticated_user = True
    # The terminal of "make demo" has the passwords.
    extra_context = {"is_local": settings.DEBUG}


class HomeView(TemplateView):
    template_name = "example_project/home.html"
    extra_context = {"is_local": settings.DEBUG}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs, demo_credentials=demo_credentials.in_use())
        if self.request.user.is_authenticated:
            context["problems"] = {
                product: offer.problem for product, offer in offers(self.request.user).items()
            }
            context["open"] = open_to(self.request.user)
        return context


class SDKView(LoginRequiredMixin, TemplateView):
    """A page whose script asks for a token; ``template_name`` says which."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, demo_credentials=demo_credentials.in_use())


class VideoView(SDKView):
    template_name = "example_project/video.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        meetings = [*Meeting.objects.of(self.request.user)]
        asked = self.request.GET.get("room", "")
        rooms = [meeting.room for meeting in meetings if meeting.is_open]
        closed = asked if asked and asked not in rooms else None
        return super().get_context_data(**kwargs, meetings=meetings, asked=asked, closed=closed)


class PhoneView(SDKView):
    template_name = "example_project/phone.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        url = self.request.build_absolute_uri(reverse("twiml"))
        return super().get_context_data(**kwargs, twiml_url=url)


class TokenView(SDKView):
    template_name = "example_project/token.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, open=open_to(self.request.user))

from __future__ import annotations

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.views.generic import TemplateView

from . import demo_credentials


class HomeView(TemplateView):
    template_name = "example_project/home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs, demo_credentials=demo_credentials.in_use())


class SDKView(LoginRequiredMixin, HomeView):
    """A page whose script asks for a token; ``template_name`` says which."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from .models import APIKey


class APIKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = APIKey
        fields = ("account", "name", "sid", "region", "secret", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding and "secret" in self.fields:
            self.fields["secret"].help_text = _(
                "Leave empty to keep the stored secret. It is never shown."
            )

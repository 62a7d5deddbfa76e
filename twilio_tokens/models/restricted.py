"""Who may use a resource: the members of its groups, or everyone.

Deleting a group must not open a resource that only its members could use. So a resource remembers
that it is restricted until someone removes its last group on purpose.
"""

from __future__ import annotations

from django.apps import apps
from django.contrib.auth.models import Group
from django.db import models
from django.db.models.signals import m2m_changed, pre_delete
from django.utils.translation import gettext_lazy as _

from twilio_tokens.saving import SavesChanges


class Restricted(SavesChanges):
    groups = models.ManyToManyField(
        "auth.Group",
        blank=True,
        related_name="+",
        verbose_name=_("groups"),
        help_text=_(
            "If you choose groups, only their members may use it, and superusers must be members "
            "too. Without groups, every signed-in user may use it."
        ),
    )
    is_restricted = models.BooleanField(default=False, editable=False)

    class Meta:
        abstract = True

    @property
    def is_closed(self) -> bool:
        """Whether nobody may use it because its last group was deleted."""
        return self.is_restricted and not self.groups.exists()

    def open_to_everyone(self) -> None:
        self.groups.clear()


def watch_groups() -> None:
    for model in apps.get_models():
        if issubclass(model, Restricted):
            m2m_changed.connect(_note_decision, sender=model.groups.through)
        if issubclass(model, Group):
            pre_delete.connect(_keep_restricted, sender=model)


def _note_decision(
    instance: Restricted, action: str, reverse: bool, using: str, **kwargs: object
) -> None:
    """Someone has added or removed groups."""
    if reverse or not action.startswith("post_"):
        return
    row = type(instance)._base_manager.using(using).filter(pk=instance.pk)
    is_restricted = row.exclude(groups=None).exists()
    row.exclude(is_restricted=is_restricted).update(is_restricted=is_restricted)
    instance.is_restricted = is_restricted
    instance.remember(using, {"is_restricted"})


def _keep_restricted(instance: Group, using: str, **kwargs: object) -> None:
    """Also where groups were added without a signal, as ``bulk_create()`` does."""
    for model in apps.get_models():
        if issubclass(model, Restricted) and not model._meta.proxy:
            model._base_manager.using(using).filter(groups=instance).update(is_restricted=True)

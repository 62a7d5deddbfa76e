from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class MeetingQuerySet(models.QuerySet["Meeting"]):
    def of(self, user: AbstractBaseUser | AnonymousUser) -> MeetingQuerySet:
        """Those to which the user is invited, by name or as a member of a group, until they end."""
        invited = Q(users=user.pk) | Q(groups__user=user.pk)
        not_over = Q(ends=None) | Q(ends__gt=timezone.now())
        return self.filter(invited, not_over).distinct()


class Meeting(models.Model):
    """Who may join a Video room, and when."""

    room = models.CharField(_("room"), max_length=128, unique=True)
    users = models.ManyToManyField(User, verbose_name=_("users"), blank=True)
    groups = models.ManyToManyField(Group, verbose_name=_("groups"), blank=True)
    starts = models.DateTimeField(_("starts"), default=timezone.now)
    ends = models.DateTimeField(
        _("ends"), null=True, blank=True, help_text=_("Leave it empty for a room that stays open.")
    )

    objects = MeetingQuerySet.as_manager()

    class Meta:
        ordering = ("starts", "room")
        verbose_name = _("meeting")
        verbose_name_plural = _("meetings")
        constraints = (
            models.CheckConstraint(
                name="%(app_label)s_%(class)s_ends_after_it_starts",
                condition=Q(ends=None) | Q(ends__gt=F("starts")),
                violation_error_message=_("A meeting ends after it starts."),
            ),
        )

    def __str__(self) -> str:
        return self.room

    @property
    def is_open(self) -> bool:
        now = timezone.now()
        return self.starts <= now and (self.ends is None or now < self.ends)

"""TaskRouter: workers who receive tasks. SDK: twilio-taskrouter 2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext_lazy as _

from twilio_tokens import sids
from twilio_tokens.conf import answer_of, settings
from twilio_tokens.exceptions import NotConfigured, PermissionDenied, SettingError
from twilio_tokens.models import Workspace

from .base import Grant, Note, register
from .fields import Example, PayloadField

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise
    from twilio.jwt.access_token.grants import TaskRouterGrant

ROLES = ("worker", "supervisor")


@dataclass(frozen=True)
class WorkerGrant:
    """Who a user is in a workspace: the worker's SID (WK…), and ``worker`` or ``supervisor``."""

    sid: str
    role: str = "worker"


@register
@dataclass(frozen=True)
class TaskRouter(Grant):
    """The function in ``TWILIO_TOKENS_WORKER`` says which worker the user is."""

    product = "taskrouter"
    label = _("TaskRouter")
    twilio_key = "task_router"
    default_ttl = 3_600
    resources = MappingProxyType({"workspace": Workspace})
    needed = "workspace"
    example = Example(
        {"workspace": "support"},
        {"workspace_sid": "WS…", "worker_sid": "WK…", "role": "worker"},
    )
    payload_fields = (
        PayloadField("workspace_sid", sids.WORKSPACE),
        PayloadField("worker_sid", sids.WORKER),
        PayloadField("role", ROLES),
    )

    workspace: str | None = field(
        default=None,
        metadata={
            "label": _("Workspace"),
            "help_text": _("If omitted, the default workspace is used."),
        },
    )

    @classmethod
    def missing(cls) -> _StrOrPromise | None:
        if settings.worker is not None:
            return None
        return _(
            "TWILIO_TOKENS_WORKER is not set. Set it to a function that returns the user's worker."
        )

    def to_twilio(self, user: AbstractBaseUser, resources: Mapping[str, Any]) -> TaskRouterGrant:
        from twilio.jwt.access_token.grants import TaskRouterGrant

        choose = settings.worker
        if choose is None:
            raise NotConfigured(self.missing() or "")
        worker = answer_of("WORKER", choose, user, resources["workspace"])
        if worker is None:
            raise PermissionDenied(_("You are not a worker in this workspace."))
        if not isinstance(worker, WorkerGrant):
            raise SettingError(
                _("The function in TWILIO_TOKENS_WORKER should return a WorkerGrant or None.")
            )
        grant = TaskRouterGrant(
            workspace_sid=resources["workspace"].sid, worker_sid=worker.sid, role=worker.role
        )
        for each in self.payload_fields:
            problem = each.problem(grant.to_payload())
            if problem is not None:
                raise SettingError(
                    _(
                        "The function in TWILIO_TOKENS_WORKER returned a WorkerGrant that "
                        "Twilio would not accept. {field}: {problem}"
                    ),
                    field=each.path,
                    problem=problem,
                )
        return grant

    @classmethod
    def sdk_notes(
        cls, payload: Mapping[str, Any], *, identity: str, issued_at: datetime, expires_at: datetime
    ) -> Iterator[Note]:
        yield Note(
            _("Acts as the %(role)s %(sid)s in the workspace %(workspace)s.")
            % {
                "role": payload["role"],
                "sid": payload["worker_sid"],
                "workspace": payload["workspace_sid"],
            }
        )
        yield Note(
            _(
                "When the token expires at %(at)s, the Worker emits tokenExpired. Before that, "
                "call worker.updateToken() with a new token."
            ),
            expires_at,
        )

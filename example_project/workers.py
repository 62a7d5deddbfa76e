"""Which TaskRouter worker a user is: in the demo everyone is one, with a SID that is made up."""

from __future__ import annotations

from hashlib import sha256

from django.contrib.auth.models import User

from twilio_tokens.grants import WorkerGrant
from twilio_tokens.models import Workspace

from . import demo_credentials


def worker(user: User, workspace: Workspace) -> WorkerGrant | None:
    if not demo_credentials.in_use():
        return None  # who is a worker in a real workspace, a real site knows
    sid = "WK" + sha256(user.username.encode()).hexdigest()[:32]
    return WorkerGrant(sid, role="supervisor" if user.is_staff else "worker")

"""Settings of a site that a test breaks while it is served.

``SITE_SETTINGS`` has settings in JSON. What stands in the file ``fault``, a place and what happens
there, is read at each request: ``identity hangs``.
"""

from __future__ import annotations

import json
import os
import resource
import threading
from typing import Any, NoReturn

from django.core.signals import request_started
from django.db.models.signals import post_save, pre_save

from tests.servers.settings import *  # noqa: F403
from tests.servers.settings import FOLDER
from twilio_tokens.signals import access_token_issued

#: A row that was changed is known at once, also in another process.
TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS = 0
TWILIO_TOKENS_THROTTLE_RATE = None
globals().update(json.loads(os.environ.get("SITE_SETTINGS", "{}")))

FAULT, HANGS = FOLDER / "fault", FOLDER / "hangs"
NO_LIMIT = resource.getrlimit(resource.RLIMIT_FSIZE)


def _raise() -> NoReturn:
    raise RuntimeError("a mistake of the site")


def _hang() -> None:
    HANGS.touch()
    threading.Event().wait()


def _fill_disk() -> None:
    """No file grows from here on, nor can any be begun."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, NO_LIMIT[1]))


def reach(place: str) -> None:
    here, _, what = (FAULT.read_text() if FAULT.exists() else "").partition(" ")
    if here == place:
        {"raises": _raise, "hangs": _hang, "fills the disk": _fill_disk}[what]()


def at_the_start(**kwargs: Any) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, NO_LIMIT)
    reach("request")


def identity(user: Any) -> str:
    reach("identity")
    return str(user.get_username())


def room_policy(user: Any, room: str) -> bool:
    reach("room_policy")
    return True


def before_the_record(**kwargs: Any) -> None:
    reach("pre_save")


def after_the_record(**kwargs: Any) -> None:
    reach("post_save")


def after_the_token(**kwargs: Any) -> None:
    reach("access_token_issued")


TWILIO_TOKENS_IDENTITY, TWILIO_TOKENS_ROOM_POLICY = identity, room_policy
request_started.connect(at_the_start)
pre_save.connect(before_the_record, sender="twilio_tokens.IssuedToken")
post_save.connect(after_the_record, sender="twilio_tokens.IssuedToken")
access_token_issued.connect(after_the_token)

"""What schemathesis has to know of the site beside its document; named in SCHEMATHESIS_HOOKS."""

from __future__ import annotations

from typing import Any

import schemathesis

#: All rows of the site have it. Which names there are, no document tells.
NAME = "support"
NAMES = {"service", "app", "workspace", "push_credential"}
PRODUCTS = {"video", "chat", "voice", "sync", "taskrouter"}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """What should be accepted asks for what is there; what should be refused stays as it is."""
    if case.method != "POST" or not case.meta.generation.mode.is_positive:
        return
    body = case.body if isinstance(case.body, dict) else {}
    if case.operation.path == "/twilio/tokens/":
        known = {name: _known(each) if name in PRODUCTS else each for name, each in body.items()}
        # "One of these, at least" makes the types of a client's language unreadable.
        case.body = known if PRODUCTS & known.keys() else {**known, "video": {}}
        case.media_type = "application/json"
    elif body:
        case.body = _known(body)


def _known(asked_for: dict[str, Any]) -> dict[str, Any]:
    known = {name: NAME if name in NAMES else value for name, value in asked_for.items()}
    # So does "either this or that".
    if "platform" in known:
        known |= {"platform": "ios", "sandbox": False}
        known.pop("push_credential", None)
    else:
        known.pop("sandbox", None)
    return known

"""Our tokens beside those of Twilio's own library for Node, made of the same input."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.rows import new_secret, sid
from twilio_tokens.grants import Chat, Grant, Sync, TaskRouter, Video, Voice, WorkerGrant
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, SyncService, Workspace

NODE = Path(__file__).parent / "node"


def verified(**asked: Any) -> Any:
    assert (NODE / "node_modules/twilio").is_dir(), (
        "Twilio's library for Node is not installed. Run “npm ci” in tests/node."
    )
    return subprocess.run(
        ["node", NODE / "verify.mjs"],  # noqa: S607 - the node of the path
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def sync_service(account: Account) -> SyncService:
    return SyncService.objects.create(account=account, name="documents", sid=sid("IS", "5"))


@pytest.fixture
def workspace(account: Account, settings: Any) -> Workspace:
    settings.TWILIO_TOKENS_WORKER = lambda user, workspace: WorkerGrant(sid("WK"), "supervisor")
    return Workspace.objects.create(account=account, name="desk", sid=sid("WS"))


ASKED = {"account": sid("AC"), "key": sid("SK"), "identity": "anna", "ttl": 600}
VOICE = {"incomingAllow": True, "outgoingApplicationSid": sid("AP")}


@pytest.mark.usefixtures(
    "api_key", "chat_service", "twiml_app", "push_credential", "sync_service", "workspace"
)
@pytest.mark.parametrize(
    ("grants", "options"),
    [
        ([Video()], {"video": {}}),
        ([Video("Ärzte 会議室")], {"video": {"room": "Ärzte 会議室"}}),
        ([Video("🎉" * 128)], {"video": {"room": "🎉" * 128}}),
        ([Chat()], {"chat": {"serviceSid": sid("IS")}}),
        (
            [Chat(push_credential="ios")],
            {"chat": {"serviceSid": sid("IS"), "pushCredentialSid": sid("CR")}},
        ),
        ([Voice()], {"voice": VOICE}),
        (
            [Voice(incoming=False, push_credential="ios", params={"queue": "sales"})],
            {
                "voice": {
                    "outgoingApplicationSid": sid("AP"),
                    "outgoingApplicationParams": {"queue": "sales"},
                    "pushCredentialSid": sid("CR"),
                }
            },
        ),
        (
            [TaskRouter("desk")],
            {
                "task_router": {
                    "workspaceSid": sid("WS"),
                    "workerSid": sid("WK"),
                    "role": "supervisor",
                }
            },
        ),
        (
            [Video("a"), Chat(), Voice(), Sync("documents")],
            {
                "video": {"room": "a"},
                "chat": {"serviceSid": sid("IS")},
                "voice": VOICE,
                "data_sync": {"serviceSid": sid("IS", "5")},
            },
        ),
    ],
)
def test_a_token_says_what_twilios_library_says(
    user: User, secret: str, grants: list[Grant], options: dict[str, Any]
) -> None:
    issued = issue_access_token(user=user, grants=grants, ttl=600)
    node = verified(**ASKED, token=issued.token, secret=secret, grants=options)
    assert node.returncode == 0, node.stderr
    ours, theirs, their_length = json.loads(node.stdout).values()
    assert ours["header"] == theirs["header"]
    # These differ from token to token.
    moments = {"iat": None, "exp": None, "jti": None}
    assert {**ours["payload"], **moments} == {**theirs["payload"], **moments}
    assert ours["payload"].keys() == theirs["payload"].keys()
    # Theirs has a longer token ID.
    extra = len(theirs["payload"]["jti"]) - len(ours["payload"]["jti"])
    assert abs(len(issued.token) - (their_length - extra * 4 / 3)) <= 4
    for token in (ours, theirs):
        assert token["payload"]["exp"] - token["payload"]["iat"] == 600


def test_their_verification_tells_a_wrong_secret(api_key: Any, user: User) -> None:
    """Without this the test above might verify nothing."""
    issued = issue_access_token(user=user, grants=[Video()], ttl=600)
    node = verified(**ASKED, token=issued.token, secret=new_secret(), grants={})
    assert node.returncode != 0
    assert "invalid signature" in node.stderr

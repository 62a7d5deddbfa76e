"""What operators do to a site while clients ask it for tokens, and what its answers then may be."""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from contextlib import closing
from typing import Any

import httpx
import jwt

from tests.rows import new_secret, sid
from tests.servers.load import Answer, History, Load
from tests.servers.operator import Operator, at_once
from tests.servers.site import Site
from twilio_tokens.crypto import generate_key

CACHE_SECONDS = 0.1
VIDEO, CHAT, SEVERAL = "/twilio/tokens/video/", "/twilio/tokens/chat/", "/several/"
#: What the clients of each server ask for.
REQUESTS: list[list[tuple[str, dict[str, Any]]]] = [
    [(VIDEO, {"room": "staff"}), (SEVERAL, {})],
    [(CHAT, {"service": "staff"}), (SEVERAL, {})],
]
#: The answers to who is no member of the group.
TURNED_AWAY = {VIDEO: (403, "permission_denied"), CHAT: (400, "does_not_exist")}
NONE: frozenset[str] = frozenset()
LOCKED = frozenset({"not_configured", "audit_unavailable"})


class Shift:
    """``history`` knows the secret that signs, whether anna is one of the staff, and the codes of
    the 503 answers that may come."""

    def __init__(self, site: Site, operators: list[Operator], is_locked_at_times: bool) -> None:
        self.site = site
        self.operators = operators
        #: SQLite, as it is set up by default, may tell the console that it is locked.
        self.is_locked_at_times = is_locked_at_times
        self.checked = 0
        self.secrets: dict[str, list[str]] = defaultdict(list)
        first = self.new_secret("0")
        operators[0]("begin", secret=first)
        operators[0]("add_service_for_staff")
        faults = LOCKED if is_locked_at_times else NONE
        self.history = History(secret=first, is_member=True, faults=faults)

    def serve(self, clients: list[httpx.Client]) -> None:
        """All steps, and after each every server has answered by what is true then."""
        requests = [
            (client, *request)
            for client, of_client in zip(clients, REQUESTS, strict=True)
            for request in of_client
        ]
        time.sleep(CACHE_SECONDS)  # the servers may remember what was there before
        with self.site.console(clients[0]) as self.console, Load(requests) as self.load:
            for step in STEPS:
                step(self)
                self.settle()
                self._check_answers()
        self._check_answers()

    def settle(self) -> None:
        time.sleep(CACHE_SECONDS)
        self.load.go_on()

    def new_secret(self, digit: str) -> str:
        secret = new_secret()
        self.secrets[sid("SK", digit)].append(secret)
        return secret

    def post(self, page: str, **data: str) -> int:
        for _ in range(50):
            response = self.console.post(f"/admin/twilio_tokens/{page}/", data=data)
            if response.status_code < 500 or not self.is_locked_at_times:
                break
        assert response.status_code < 400, response.text
        return response.status_code

    def pk(self, model: str, digit: str) -> str:
        return str(self.operators[0]("pk", model=model, sid=sid(PREFIXES[model], digit)))

    def reencrypt(self) -> None:
        said = at_once(self.operators, "run", [{"line": ["twilio_reencrypt"]}] * 2)
        assert all(" 0 unreadable" in each for each in said), said

    def _check_answers(self) -> None:
        answers = self.load.answers[self.checked :]
        for answer in answers:
            self._check(answer)
        self.checked += len(answers)

    def _check(self, answer: Answer) -> None:
        began, ended = answer.began, answer.ended
        signing = self.history.between(began - CACHE_SECONDS, ended, "secret")
        is_member = self.history.between(began, ended, "is_member")
        if answer.status == 201:
            assert {self.signer(token) for token in answer.tokens} <= signing
            assert answer.path == SEVERAL or True in is_member
        elif answer.status == 503:
            faults = self.history.between(began - CACHE_SECONDS, ended, "faults")
            assert answer.code in frozenset().union(*faults)
        else:
            assert (answer.status, answer.code) == TURNED_AWAY[answer.path]
            assert False in is_member

    def named(self, token: str) -> tuple[str, str]:
        """As the record names it."""
        claims = jwt.decode(token, options={"verify_signature": False})
        return claims["jti"], claims["iss"]

    def signer(self, token: str) -> str:
        """The secret that it verifies with, of the key that it names."""
        _jti, issuer = self.named(token)
        for secret in self.secrets[issuer]:
            try:
                jwt.decode(token, secret, algorithms=["HS256"])
            except jwt.InvalidSignatureError:
                continue
            return secret
        raise AssertionError("The token verifies with no secret of its key.")


PREFIXES = {"Account": "AC", "APIKey": "SK"}


def add_a_key(shift: Shift) -> None:
    secret = shift.new_secret("1")
    with shift.history.change(secret=secret):
        shift.operators[0]("add_key", sid=sid("SK", "1"), secret=secret)


def retire_it(shift: Shift) -> None:
    [first] = shift.secrets[sid("SK", "0")]
    with shift.history.change(secret=first):
        assert shift.post(f"apikey/{shift.pk('APIKey', '1')}/change", name="1", _save="") == 302


def activate_it_again(shift: Shift) -> None:
    page = f"apikey/{shift.pk('APIKey', '1')}/change"
    [second] = shift.secrets[sid("SK", "1")]
    with shift.history.change(secret=second):
        assert shift.post(page, name="1", is_active="on", _save="") == 302


def replace_it(shift: Shift) -> None:
    page, secret = f"apikey/{shift.pk('APIKey', '1')}/replace", shift.new_secret("2")
    with shift.history.change(secret=secret):
        data = {"name": "2", "sid": sid("SK", "2"), "region": "us1", "secret": secret}
        assert shift.post(page, **data) == 302


def change_the_encryption_key(shift: Shift) -> None:
    """As docs/secrets.md says, by two operators at once. Nobody notices."""
    site, [old], new = shift.site, shift.site.encryption_keys, generate_key()
    site.change_encryption_keys(old, new)
    shift.load.go_on()
    site.change_encryption_keys(new, old)
    shift.load.go_on()
    shift.reencrypt()
    shift.settle()
    site.change_encryption_keys(new)


def correct_its_secret_while_the_encryption_key_is_changed(shift: Shift) -> None:
    site, [old], new = shift.site, shift.site.encryption_keys, generate_key()
    one, other = shift.operators
    corrected = shift.new_secret("2")
    site.change_encryption_keys(new, old)
    with shift.history.change(secret=corrected):
        one.begin("run", line=["twilio_reencrypt"])
        other("save_secret", sid=sid("SK", "2"), secret=corrected)
        one.end()
    shift.settle()
    site.change_encryption_keys(new)


def import_another_key_twice_at_once(shift: Shift) -> None:
    secret = shift.new_secret("3")
    variables = {
        "TWILIO_ACCOUNT_SID": sid("AC"),
        "TWILIO_API_KEY": sid("SK", "3"),
        "TWILIO_API_SECRET": secret,
    }
    line = {"line": ["twilio_import_env"], "variables": variables}
    with shift.history.change(secret=secret):
        said = at_once(shift.operators, "run", [line, line])
    assert sorted("created: API key" in each for each in said) == [False, True]


def turn_the_user_away(shift: Shift) -> None:
    with shift.history.change(is_member=False):
        shift.operators[0]("turn_away")
    shift.load.go_on()
    with shift.history.change(is_member=True):
        shift.operators[0]("let_in")


def purge_old_records(shift: Shift) -> None:
    one, other = shift.operators
    one("add_old_records", number=1_000)
    line = {"line": ["twilio_purge", "--days", "1"]}
    at_once([one, other], "run", [line, line])
    assert not [jti for jti, _ in one("records") if jti.startswith("old-")]


def delete_what_has_signed(shift: Shift) -> None:
    for page in (
        f"account/{shift.pk('Account', '0')}/delete",
        f"apikey/{shift.pk('APIKey', '0')}/delete",
        f"apikey/{shift.pk('APIKey', '3')}/delete",
    ):
        assert shift.post(page, post="yes") == 200  # it says why not


def delete_a_key_at_once(shift: Shift) -> None:
    """Whether or not it has signed by then. Processes that remember it issue nothing meanwhile."""
    before, secret = shift.history.now["secret"], shift.new_secret("4")
    with shift.history.change(secret=secret):
        shift.operators[0]("add_key", sid=sid("SK", "4"), secret=secret)
        page = f"apikey/{shift.pk('APIKey', '4')}/delete"
    faults = shift.history.now["faults"]
    with shift.history.change(faults=faults | {"audit_unavailable"}) as changes:
        if shift.post(page, post="yes") == 302:
            changes["secret"] = before
    shift.settle()
    with shift.history.change(faults=faults):
        pass


def lock_the_database(shift: Shift) -> None:
    """Longer than requests wait for it, where there is a lock for all of it."""
    if not shift.is_locked_at_times:
        return
    file = shift.site.folder / "db.sqlite3"
    with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        answers = len(shift.load.answers)
        shift.load.wait_until(lambda: {a.status for a in shift.load.answers[answers:]} >= {503})
        database.execute("ROLLBACK")


STEPS = [
    add_a_key,
    retire_it,
    activate_it_again,
    replace_it,
    change_the_encryption_key,
    correct_its_secret_while_the_encryption_key_is_changed,
    import_another_key_twice_at_once,
    turn_the_user_away,
    purge_old_records,
    delete_what_has_signed,
    delete_a_key_at_once,
    lock_the_database,
]

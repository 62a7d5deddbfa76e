"""What secrets and tokens go through: operators type them, users get them, commands print them."""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from tests.console import filled, url
from tests.rows import new_secret, sid
from tests.twilio_server import Key, TwilioServer
from twilio_tokens.credential_cache import cache as credential_cache
from twilio_tokens.crypto import generate_key
from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken, TwiMLApp

from .canaries import TOKEN, leaked

API = "/twilio/tokens/"
JSON = "application/json"
KEY = re.compile(r"[\w-]{43}=\n")


class Recorder(Client):
    """Keeps every answer."""

    def __init__(self, user: User) -> None:
        super().__init__(raise_request_exception=False)
        self.force_login(user)
        self.answers: list[Any] = []

    def request(self, **request: Any) -> Any:
        answer = super().request(**request)
        self.answers.append(answer)
        return answer


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def every_logger() -> Iterator[list[logging.LogRecord]]:
    """What they all say, from DEBUG on. It is kept here only: records hold what frames hold."""
    handler, root = Records(), logging.root
    names = [name for name in root.manager.loggerDict if not name.startswith("_")]
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    levels[root] = root.level
    handlers, root.handlers = root.handlers, [handler]
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    try:
        yield handler.records
    finally:
        root.handlers = handlers
        for logger, level in levels.items():
            logger.setLevel(level)


class Story:
    def __init__(
        self,
        settings: Any,
        twilio: TwilioServer,
        records: list[logging.LogRecord],
        folder: Path,
    ) -> None:
        self.settings, self.twilio, self.records, self.folder = settings, twilio, records, folder
        self.secrets: list[str] = []
        self.tokens: list[str] = []
        self.encryption_keys = [generate_key()]
        settings.TWILIO_TOKENS_ENCRYPTION_KEYS = list(self.encryption_keys)
        self.user = User.objects.create_user("anna")
        self.operator = Recorder(User.objects.create_superuser("root"))
        self.caller = Recorder(self.user)
        #: What the commands have said.
        self.said = ""

    @property
    def key(self) -> APIKey:
        return APIKey.objects.get(is_active=True)

    @property
    def answers(self) -> list[Any]:
        return [*self.operator.answers, *self.caller.answers]

    def leaked(self, text: str) -> set[str]:
        return leaked(text, secrets=self.secrets, tokens=self.tokens, keys=self.encryption_keys)

    def unasked(self, answer: Any) -> str:
        """All of an answer but the token that it was asked for."""
        text = answer.getvalue().decode()
        if answer.status_code == 201 or answer.request["PATH_INFO"] == url(IssuedToken, "test"):
            for token in TOKEN.findall(text)[:1]:
                text = text.replace(token, "")
        return text

    def without_ciphertext(self, text: str) -> str:
        assert not any(key.secret.text in text for key in APIKey.objects.all())
        return text

    def forget(self) -> None:
        self.records.clear()
        self.operator.answers.clear()
        self.caller.answers.clear()

    def tell(self) -> None:
        self.stock()
        self.type_in()
        self.correct()
        self.replace()
        self.ask()
        self.try_out()
        self.run_commands()

    def stock(self) -> None:
        account = Account.objects.create(name="Main", sid=sid("AC"))
        ChatService.objects.create(account=account, name="s", sid=sid("IS"), is_default=True)
        TwiMLApp.objects.create(account=account, name="a", sid=sid("AP"), is_default=True)

    # In the console

    def secret(self, key_sid: str = "") -> str:
        """A new one, which Twilio knows as that of the key."""
        secret = new_secret()
        self.secrets.append(secret)
        if key_sid:
            self.twilio.keys[key_sid] = Key(secret, sid("AC"))
        return secret

    def post(self, address: str, **typed: Any) -> str:
        answer = self.operator.post(address, typed, follow=True)
        assert answer.status_code == 200, answer.content
        return str(answer.getvalue().decode())

    def type_in(self) -> None:
        secret = self.secret(sid("SK", "1"))
        add = url(APIKey, "add")
        for mistake in (
            {"name": ""},
            {"sid": secret},
            {"name": secret},
            {"region": "ie1"},
            {"secret": f"{secret};"},
            {"secret": self.secret(), "check_with_twilio": "on"},
        ):
            self.post(add, **filled(APIKey, secret=secret) | mistake)
        assert not APIKey.objects.exists()
        self.post(add, **filled(APIKey, secret=secret, check_with_twilio="on"))
        for model in (Account, ChatService, TwiMLApp):
            self.post(url(model, "add"), **filled(model, sid=secret, name=secret))

    def correct(self) -> None:
        change = url(APIKey, "change", self.key.pk)
        for typed in ({"name": ""}, {"sid": self.secret()}, {}):
            values = {"name": "Key", "secret": self.secret(), "is_active": "on", "_save": "Save"}
            self.post(change, **values | typed)
        self.twilio.keys[self.key.sid] = Key(self.secrets[-1], sid("AC"))
        self.act(APIKey, "check_with_twilio", self.key.pk)
        self.twilio.fail(401)
        self.act(APIKey, "check_with_twilio", self.key.pk)
        self.twilio.recover()

    def save(self) -> None:
        """Without the page that follows, and takes the messages."""
        key = self.key
        typed = {"name": "Key", "secret": self.secret(key.sid), "is_active": "on", "_save": "Save"}
        assert self.operator.post(url(APIKey, "change", key.pk), typed).status_code == 302

    def replace(self) -> None:
        page = url(APIKey, "replace", self.key.pk)
        typed = {"name": "New", "sid": sid("SK", "2"), "region": "us1"}
        typed["secret"] = self.secret(sid("SK", "2"))
        for mistake in ({"name": ""}, {"sid": typed["secret"]}, {}):
            self.post(page, **typed | mistake)
        assert self.key.sid == sid("SK", "2")

    def act(self, model: Any, action: str, row: Any) -> None:
        page = url(model, "changelist")
        self.post(page, action=action, _selected_action=str(row), index="0")

    def try_out(self) -> None:
        """A test token is issued, and decoded; tokens are pasted where they do not belong."""
        test, decode = url(IssuedToken, "test"), url(IssuedToken, "decode")
        self.tokens += set(TOKEN.findall(self.post(test, username="anna", video="on")))
        token = self.tokens[-1]
        for pasted in (token, token[:-9] + "A" * 9, token[:-9], f"Bearer {token}", "x" + token):
            self.post(decode, token=pasted)
        for field in ("name", "sid", "secret"):
            self.post(url(APIKey, "add"), **filled(APIKey) | {field: token})
        self.post(url(Account, "import", Account.objects.get().pk))
        self.act(IssuedToken, "export_csv", IssuedToken.objects.latest("pk").pk)

    # Over HTTP

    def ask(self) -> None:
        bodies: dict[str, Any] = {"video/": {}, "chat/": {}, "voice/": {}, "": {"video": {}}}
        for page, body in bodies.items():
            answer = self.caller.post(API + page, body, JSON)
            self.tokens.append(answer.json()["token"])
            self.caller.post(API + page, {"x": 1, "token": self.tokens[0]}, JSON)
            for method in (self.caller.get, self.caller.options):
                for accept in (JSON, "text/html"):
                    method(API + page, headers={"accept": accept})
        answer = self.caller.post(f"{API}video/", headers={"accept": "text/html"})
        self.tokens += set(TOKEN.findall(answer.content.decode()))
        self.caller.get(f"{API}video")  # is redirected
        self.remembered = [value for _loaded_at, value in credential_cache._entries.values()]
        self.cached = [pickle.loads(value) for value in cache._cache.values()]  # noqa: S301
        Client().get(reverse("admin:index"))

    # On the command line

    def run_commands(self) -> None:
        environment = self.folder / ".env"
        secret = self.secret(sid("SK", "3"))
        environment.write_text(
            f"TWILIO_ACCOUNT_SID={sid('AC')}\nTWILIO_API_KEY={sid('SK', '3')}\n"
            f"TWILIO_API_SECRET={secret}\nTWILIO_AUTH_TOKEN={self.secret()}\n"
        )
        self.run("twilio_import_env", f"--env-file={environment}", "--retire-others")
        environment.write_text(environment.read_text().replace(secret, f"${{{self.secret()}}}"))
        self.run("twilio_import_env", f"--env-file={environment}")
        for option in ("--video", "--json"):
            self.tokens += TOKEN.findall(self.run("twilio_token", "anna", "--video", option))
        token = self.tokens[-1]
        for pasted in (token, token[:-9], f"x{token}"):
            self.run("twilio_decode", pasted)
        self.run("twilio_verify")
        self.twilio.fail(500)
        self.run("twilio_verify")
        self.encryption_keys.append(self.run("twilio_generate_key").strip())
        self.settings.TWILIO_TOKENS_ENCRYPTION_KEYS = self.encryption_keys[::-1]
        self.run("twilio_reencrypt")
        self.settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [self.encryption_keys[1] + "x"]
        self.run("twilio_reencrypt")
        self.settings.TWILIO_TOKENS_ENCRYPTION_KEYS = self.encryption_keys[1:]
        self.run("twilio_purge", "--days=0")
        self.run("check")

    def run(self, *command: str) -> str:
        """What the command prints, also what it is asked to print."""
        printed, told = StringIO(), StringIO()
        with patch("sys.stdout", printed), patch("sys.stderr", told):
            try:
                call_command(*command, verbosity=3)
            except CommandError as error:
                told.write(f"{error!r} {error}")
        text = printed.getvalue()
        asked_for = {"twilio_token": TOKEN, "twilio_generate_key": KEY}.get(command[0])
        unasked = text if asked_for is None else asked_for.sub("", text, count=1)
        self.said += f"{command[0]} {unasked} {told.getvalue()}\n"
        return text

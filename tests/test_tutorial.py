"""The README's first token and the tutorial, word for word: in an empty folder, with an empty
virtual environment, what pip and npm fetch, and real servers."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .issued import decoded
from .prose import REPOSITORY
from .rows import new_secret, sid
from .terminal import PATIENCE, Terminal

#: The database of a page's site is SQLite, whatever these tests run on.
pytestmark = pytest.mark.skipif("DATABASE_URL" in os.environ, reason="It has run on SQLite.")

PASSWORD = new_secret()
TUTORIAL, README = "docs/tutorial.md", "README.md"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The package's files as they are here, without what lies beside them."""
    folder = tmp_path / "django-twilio-tokens"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(listed, cwd=REPOSITORY, text=True).split("\0")
    for name in filter(None, names):
        if (REPOSITORY / name).is_file() and not name.startswith(("docs/images", "tests")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, folder / name)
    return folder


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


class Reader:
    """Does what a page says, in its order, on another port than that of the page."""

    def __init__(self, page: str, folder: Path, port: int) -> None:
        text = (REPOSITORY / page).read_text()
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        self.blocks = re.findall(
            r"<!-- run by [^>]*test_tutorial\.py[^>]*-->\n```(\w+)\n(.*?)^```$",
            text.replace("manage.py runserver\n", f"manage.py runserver 127.0.0.1:{port}\n"),
            re.DOTALL | re.MULTILINE,
        )
        self.folder = folder
        folder.mkdir()
        foreign = ("DATABASE_", "DJANGO_", "TWILIO_", "PYTHON", "VIRTUAL_ENV", "COV_", "PYTEST_")
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(foreign)
        }
        # What nobody types twice: these bytes would be compiled, and thrown away with the folder.
        self.environment |= {"PIP_NO_COMPILE": "1", "PYTHONUNBUFFERED": "1"}
        self.terminals: list[Terminal] = []
        self.console: Console | None = None

    def open_terminal(self) -> Terminal:
        self.terminals.append(Terminal(self.folder, self.environment))
        return self.terminals[-1]

    def next(self, language: str) -> str:
        kind, text = self.blocks.pop(0)
        assert kind == language, text
        return str(text)

    def write_down(self, language: str = "python", into: str = "") -> None:
        """At the end of the file that the block names in its first line, or in each part's."""
        text = self.next(language)
        for name, part in re.findall(
            r"^(?:#|//|<!--) (\S+\.(?:py|js|html))(?: -->)?\n(.*?)(?=^# \w+\.py$|\Z)",
            text,
            re.DOTALL | re.MULTILINE,
        ):
            file = self.folder / into / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a") as stream:
                stream.write(f"\n{part}")

    def close(self) -> None:
        for terminal in self.terminals:
            terminal.close()
        if self.console:
            self.console.client.close()


@pytest.fixture
def read(tmp_path: Path, port: int) -> Iterator[Any]:
    readers = []

    def begin(page: str) -> Reader:
        readers.append(Reader(page, tmp_path / "empty", port))
        return readers[-1]

    yield begin
    for reader in readers:
        reader.close()


def serve(terminal: Terminal, block: str, port: int, **answers: str) -> str:
    """Its last command serves until the terminal is closed."""
    *before, last = block.rstrip().splitlines()
    said = terminal.run("\n".join(before), **answers)
    terminal.type(last)
    return said + terminal.read_until("Quit the server")


def first_object(said: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(said[said.index("{") : said.rindex("}") + 1])
    return answer


def test_the_first_token_of_the_readme(
    tmp_path: Path, read: Any, port: int, checkout: Path
) -> None:
    wheels = tmp_path / "wheels"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", wheels, checkout], check=True)
    reader = read(README)
    secret = new_secret()
    reader.environment |= {
        "PIP_FIND_LINKS": str(wheels),
        "TWILIO_ACCOUNT_SID": sid("AC"),
        "TWILIO_API_KEY": sid("SK"),
        "TWILIO_API_SECRET": secret,
    }
    terminal = reader.open_terminal()
    terminal.run(f"{sys.executable} -m venv .venv\n. .venv/bin/activate")
    terminal.run(reader.next("sh"))
    terminal.run("django-admin startproject mysite .")
    reader.write_down(into="mysite")
    serve(terminal, reader.next("sh"), port, Email="", Password=PASSWORD)
    said = reader.open_terminal().run(reader.next("sh"), Enter=PASSWORD)
    assert reader.blocks == []
    claims = decoded(first_object(said)["token"], secret)
    assert claims["grants"] == {"identity": "anna", "video": {"room": "DailyStandup"}}


class Console:
    """The admin, for who is signed in."""

    def __init__(self, address: str) -> None:
        self.client = httpx.Client(base_url=address, follow_redirects=True, timeout=PATIENCE)
        self.send("/admin/login/?next=/admin/", username="anna", password=PASSWORD)

    def send(self, path: str, **fields: str) -> str:
        self.client.get(path)
        data = {**fields, "csrfmiddlewaretoken": self.client.cookies["csrftoken"]}
        answer = self.client.post(path, data=data)
        assert answer.status_code == 200
        assert "errornote" not in answer.text
        return answer.text

    def text(self, path: str) -> str:
        return " ".join(re.sub(r"<[^>]+>", " ", self.client.get(path).text).split())


def test_the_tutorial(read: Any, port: int, checkout: Path) -> None:
    reader = read(TUTORIAL)
    reader.environment["TMPDIR"] = str(reader.folder.parent)
    terminal = reader.open_terminal()
    terminal.run(f'python3() {{ {sys.executable} "$@"; }}')
    terminal.run(reader.next("sh"))
    reader.write_down()
    reader.write_down()
    terminal.run(reader.next("sh"))
    said = serve(terminal, reader.next("sh"), port, Email="", Password=PASSWORD)
    [key] = re.findall(r"Generated token (\w+) for user anna", said)

    address, secret = f"http://127.0.0.1:{port}", new_secret()
    reader.console = console = Console(address)
    console.send("/admin/twilio_tokens/account/add/", name="Ours", sid=sid("AC"), is_default="on")
    # Without “Check with Twilio”: its servers cannot be reached, and would not know this key.
    fields = {"account": "1", "name": "Ours", "sid": sid("SK"), "region": "us1"}
    console.send("/admin/twilio_tokens/apikey/add/", **fields, secret=secret, is_active="on")
    assert re.search(r"Video\W+ready", console.text("/admin/twilio_tokens/"))

    other = reader.open_terminal()
    answer = first_object(other.run(reader.next("sh"), **{"REST framework": key}))
    claims = decoded(answer["token"], secret)
    assert claims["grants"] == {"identity": "anna", "video": {"room": "DailyStandup"}}
    assert answer.keys() == json.loads(reader.next("json")).keys()

    other.run(reader.next("sh"))
    reader.write_down()
    reader.write_down("html")
    reader.write_down("js")
    assert reader.blocks == []
    terminal.read_until("Quit the server")  # it has seen the change, and begun again
    page = console.client.get("/call/").text
    scripts = re.findall(r'(?:src|django-twilio-tokens)(?:=|": )"([^"]+)"', page)
    assert len(scripts) == 3
    for script in scripts:
        assert console.client.get(script).status_code == 200, script
    assert 'data-tokens="/twilio/tokens/video/"' in page
    for command, seconds in {**terminal.took, **other.took}.items():
        sys.stdout.write(f"{seconds:6.1f} s  {command}\n")

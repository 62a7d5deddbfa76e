from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from twilio_tokens.crypto import generate_key
from twilio_tokens.grants import Chat, Video, Voice
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.management.commands.twilio_import_env import VARIABLES
from twilio_tokens.models import Account, APIKey, ChatService, TwiMLApp

from .conftest import decoded, new_secret, sid

pytestmark = pytest.mark.django_db

ROWS = (Account, APIKey, ChatService, TwiMLApp)
FIRST_NAMES = [names[0] for names in VARIABLES.values()]
ALIASES = [names[1] for names in VARIABLES.values()]


def counts() -> list[int]:
    return [model.objects.count() for model in ROWS]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWILIO_REGION", *FIRST_NAMES, *ALIASES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def values(secret: str) -> list[str]:
    """In the order of ``VARIABLES``."""
    return [sid("AC"), sid("SK"), secret, sid("IS"), sid("AP")]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command in this environment, and returns what it printed."""

    def run(**environment: str) -> str:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            call_command("twilio_import_env")
        return capsys.readouterr().out

    return run


@pytest.fixture
def environment(values: list[str]) -> dict[str, str]:
    return dict(zip(FIRST_NAMES, values, strict=True))


@pytest.fixture
def refused(run: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """The message of a refusal, which leaves everything as it was, and shows no value."""

    def refused(**environment: str) -> str:
        before = [list(model.objects.order_by("pk").values()) for model in ROWS]
        with pytest.raises(CommandError) as caught:
            run(**environment)
        assert [list(model.objects.order_by("pk").values()) for model in ROWS] == before
        output = capsys.readouterr()
        assert output.out == ""
        said = str(caught.value) + output.err
        assert not [value for value in environment.values() if len(value) > 8 and value in said]
        return said

    return refused


# From the environment


@pytest.mark.parametrize("names", [FIRST_NAMES, ALIASES], ids=["first", "alias"])
def test_after_an_import_tokens_of_every_product_verify_with_the_secret(
    names: list[str], run: Any, values: list[str], secret: str, user: User
) -> None:
    printed = run(**dict(zip(names, values, strict=True)))
    assert printed.splitlines() == [
        "created: account default",
        f"created: API key default ({sid('SK')})",
        "created: Chat service default",
        "created: TwiML app default",
    ]
    claims = decoded(issue_access_token(user=user, grants=[Video(), Chat(), Voice()]).token, secret)
    assert (claims["sub"], claims["iss"]) == (sid("AC"), sid("SK"))
    assert claims["grants"]["chat"]["service_sid"] == sid("IS")
    assert claims["grants"]["voice"]["outgoing"]["application_sid"] == sid("AP")


def test_services_and_apps_may_be_left_out(run: Any, environment: dict[str, str]) -> None:
    run(**dict(list(environment.items())[:3]))
    assert counts() == [1, 1, 0, 0]


def test_white_space_around_a_value_is_dropped(run: Any, environment: dict[str, str]) -> None:
    run(**{name: f" {value}\t" for name, value in environment.items()})
    assert [model.objects.get().sid for model in ROWS] == [
        value for name, value in environment.items() if name.endswith(("SID", "KEY"))
    ]


def test_the_second_import_changes_nothing(run: Any, environment: dict[str, str]) -> None:
    run(**environment)
    before = [list(model.objects.values()) for model in ROWS]
    printed = run(**environment).splitlines()
    assert [line.split(":")[0] for line in printed] == ["unchanged"] * 4
    assert [list(model.objects.values()) for model in ROWS] == before


def test_a_changed_secret_updates_the_key_alone(
    run: Any, environment: dict[str, str], user: User
) -> None:
    run(**environment)
    environment["TWILIO_API_SECRET"] = new_secret()
    outcomes = [line.split(":")[0] for line in run(**environment).splitlines()]
    assert outcomes == ["unchanged", "updated", "unchanged", "unchanged"]
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, environment["TWILIO_API_SECRET"])


@pytest.mark.parametrize("harm", ["another key ring", "damaged", "of another row"])
def test_a_stored_secret_that_does_not_open_is_healed(
    harm: str, run: Any, environment: dict[str, str], settings: Any, user: User, secret: str
) -> None:
    run(**environment)
    if harm == "another key ring":
        settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]
    else:
        other = APIKey.objects.create(
            account=Account.objects.get(),
            name="Other",
            sid=sid("SK", "1"),
            region="us1",
            secret=new_secret(),
            is_active=False,
        )
        text = other.secret.text if harm == "of another row" else other.secret.text[:60]
        APIKey.objects.filter(sid=sid("SK")).update(secret=type(other.secret)(text))
    assert "updated: API key" in run(**environment)
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, secret)
    assert "unchanged: API key" in run(**environment)


def test_rows_of_the_same_sid_are_adopted_and_become_the_defaults(
    run: Any, environment: dict[str, str], api_key: APIKey
) -> None:
    other = Account.objects.create(name="Other", sid=sid("AC", "1"), is_default=True)
    ChatService.objects.create(account=other, name="default", sid=sid("IS", "1"), is_default=False)
    printed = run(**environment).splitlines()
    assert printed == [
        "updated: account Main",
        f"unchanged: API key Key ({sid('SK')})",
        "updated: Chat service default",
        "created: TwiML app default",
    ]
    assert Account.objects.get(is_default=True).sid == sid("AC")
    service = ChatService.objects.get()
    assert (service.account.sid, service.sid, service.is_default) == (sid("AC"), sid("IS"), True)


def test_a_new_key_signs_from_then_on(run: Any, environment: dict[str, str], user: User) -> None:
    run(**environment)
    environment |= {"TWILIO_API_KEY": sid("SK", "1"), "TWILIO_API_SECRET": new_secret()}
    assert "created: API key" in run(**environment)
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, environment["TWILIO_API_SECRET"])["iss"] == sid("SK", "1")


def test_a_key_that_is_not_active_stays_so_and_is_told_of(
    run: Any, environment: dict[str, str], api_key: APIKey, monkeypatch: Any, capsys: Any
) -> None:
    APIKey.objects.update(is_active=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    call_command("twilio_import_env")
    assert f"API key Key ({sid('SK')}) is not active; activate it" in capsys.readouterr().err
    assert not APIKey.objects.get().is_active


# What is refused


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ([], ["TWILIO_ACCOUNT_SID", "TWILIO_API_KEY", "TWILIO_API_SECRET"]),
        (["TWILIO_ACCOUNT_SID", "TWILIO_API_SECRET"], ["TWILIO_API_KEY"]),
        (["TWILIO_API_KEY"], ["TWILIO_ACCOUNT_SID", "TWILIO_API_SECRET"]),
        (FIRST_NAMES[3:], ["TWILIO_ACCOUNT_SID", "TWILIO_API_KEY", "TWILIO_API_SECRET"]),
    ],
    ids=lambda names: "-".join(names) or "nothing",
)
@pytest.mark.parametrize("rest", [None, " "], ids=["unset", "blank"])
def test_a_half_set_environment_names_what_is_missing(
    given: list[str],
    missing: list[str],
    rest: str | None,
    refused: Any,
    environment: dict[str, str],
) -> None:
    half = {name: environment[name] for name in given}
    if rest is not None:
        half = dict.fromkeys(environment, rest) | half
    assert refused(**half) == f"Nothing was imported. Not set: {', '.join(missing)}."


BAD = [
    ("TWILIO_ACCOUNT_SID", sid("SK"), "This is an API key SID (SK…). Needed here is an Acc"),
    ("TWILIO_ACCOUNT_SID", sid("AC")[:-1], "This has 33 characters"),
    ("TWILIO_API_KEY", sid("AC"), "This is an Account SID (AC…)"),
    ("TWILIO_API_KEY", "f" * 32, "This looks like an auth token"),
    ("TWILIO_API_KEY", new_secret() + "!", "This looks like a secret, not a SID"),
    ("TWILIO_API_SECRET", sid("SK"), "This is a SID."),
    ("TWILIO_API_SECRET", "f" * 32, "This looks like the Account's auth token."),
    ("TWILIO_API_SECRET", new_secret()[:15], "A secret has 16 to 128 letters"),
    ("TWILIO_CHAT_SERVICE_SID", sid("AP"), "This is a TwiML App SID (AP…)"),
    ("TWILIO_TWIML_APP_SID", sid("AP", "g"), "After AP only the digits 0–9"),
]


@pytest.mark.parametrize(
    ("name", "value", "says"), BAD, ids=[f"{name}-{says}" for name, _, says in BAD]
)
def test_a_bad_value_is_told_by_its_variable_and_takes_everything_back(
    name: str, value: str, says: str, refused: Any, environment: dict[str, str]
) -> None:
    said = refused(**environment | {name: value})
    assert said.startswith(f"Nothing was imported. {name}: {says}")
    assert counts() == [0, 0, 0, 0]


def test_a_bad_value_at_the_end_takes_the_changes_back_as_well(
    run: Any, refused: Any, environment: dict[str, str], user: User, secret: str
) -> None:
    run(**environment)
    changed = {"TWILIO_API_SECRET": new_secret(), "TWILIO_TWIML_APP_SID": sid("AC")}
    assert "TWILIO_TWIML_APP_SID: This is an Account SID" in refused(**environment | changed)
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, secret)


def test_the_message_names_the_alias_that_was_used(refused: Any, values: list[str]) -> None:
    aliased = dict(zip(ALIASES, values, strict=True)) | {"SERVICE_SID": sid("AC")}
    assert refused(**aliased).startswith("Nothing was imported. SERVICE_SID: ")


@pytest.mark.parametrize(("name", "alias"), list(VARIABLES.values()))
def test_two_names_of_one_value_may_agree_but_not_differ(
    name: str, alias: str, run: Any, refused: Any, environment: dict[str, str]
) -> None:
    said = refused(**environment, **{alias: new_secret()})
    assert said == f"{name} and {alias} differ; unset one of them."
    assert "created" in run(**environment, **{alias: environment[name]})


@pytest.mark.parametrize("region", ["ie1", " IE1 ", "au1"])
def test_a_region_other_than_us1_is_refused(
    region: str, refused: Any, environment: dict[str, str]
) -> None:
    said = refused(**environment, TWILIO_REGION=region)
    assert f"TWILIO_REGION is {region.strip().lower()}: Access Tokens need an API key" in said
    assert "Make one in the Twilio Console, and unset TWILIO_REGION." in said


@pytest.mark.parametrize("region", ["", "us1", "US1"])
def test_us1_and_no_region_are_imported(region: str, run: Any, environment: dict[str, str]) -> None:
    run(**environment, TWILIO_REGION=region)
    assert counts() == [1, 1, 1, 1]


def test_a_key_that_is_stored_with_another_account_is_refused(
    refused: Any, environment: dict[str, str], api_key: APIKey
) -> None:
    said = refused(**environment | {"TWILIO_ACCOUNT_SID": sid("AC", "1")})
    assert "The API key of TWILIO_API_KEY is stored with another account" in said
    assert "TWILIO_ACCOUNT_SID" in said


@pytest.mark.parametrize(
    ("ring", "problem"), [(None, "is not set"), (["nonsense"], "Key 1 of")], ids=["none", "bad"]
)
@pytest.mark.parametrize("is_known", [False, True])
def test_without_a_usable_key_ring_nothing_is_imported(
    ring: Any,
    problem: str,
    is_known: bool,
    run: Any,
    refused: Any,
    environment: dict[str, str],
    settings: Any,
) -> None:
    if is_known:
        run(**environment)
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = ring
    said = refused(**environment)
    assert said.startswith("Nothing was imported. TWILIO_API_SECRET: The secret cannot be stored")
    assert problem in said


# From a file


def import_file(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    call_command("twilio_import_env", env_file=path)


@pytest.mark.parametrize(
    "line",
    [
        "{name}={value}",
        "export {name}={value}",
        "\t{name}='{value}'  ",
        'export   {name}="{value}"',
        "{name}={value} # it's from the Console",
        "# don't commit this\n#it's secret\n\n{name}={value}",
        "\ufeff{name}={value}",
        "{name}=nonsense\n{name}={value}",
        "UNRELATED=1 {name}={value}\n= \nNO_VALUE",
    ],
)
def test_a_file_is_read_as_a_shell_reads_it(
    line: str, tmp_path: Path, environment: dict[str, str], secret: str, user: User
) -> None:
    first, *rest = environment.items()
    lines = [line.format(name=first[0], value=first[1]), *map("=".join, rest)]
    import_file(tmp_path / ".env", "\n".join(lines))
    assert counts() == [1, 1, 1, 1]
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, secret)["sub"] == sid("AC")


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_secret_keeps_its_number_sign(
    quote: str, tmp_path: Path, environment: dict[str, str], secret: str, user: User
) -> None:
    environment["TWILIO_API_SECRET"] = whole = f"{secret}#{secret}"
    import_file(
        tmp_path / ".env",
        "\n".join(f"{name}={quote}{value}{quote}" for name, value in environment.items()),
    )
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, whole)


def test_a_file_replaces_the_environment(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CommandError, match="Not set: TWILIO_API_KEY, TWILIO_API_SECRET"):
        import_file(tmp_path / ".env", f"TWILIO_ACCOUNT_SID={sid('AC')}")
    assert counts() == [0, 0, 0, 0]


def test_a_quotation_mark_that_is_not_closed_is_told_by_its_line(
    tmp_path: Path, secret: str
) -> None:
    with pytest.raises(CommandError, match="line 2: a quotation mark is not closed") as caught:
        import_file(tmp_path / ".env", f"\nTWILIO_API_SECRET='{secret}\n")
    assert secret not in str(caught.value)


@pytest.mark.parametrize("case", ["missing", "folder", "binary"])
def test_a_file_that_cannot_be_read_is_told(case: str, tmp_path: Path) -> None:
    path = tmp_path if case == "folder" else tmp_path / ".env"
    if case == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("twilio_import_env", env_file=path)

"""Finds Twilio's credentials in environment variables, under the names that Twilio's guides and
samples use."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from django.core.management.base import CommandError

from twilio_tokens import sids
from twilio_tokens.defaults import WithDefault
from twilio_tokens.fields import SIDField
from twilio_tokens.models import Region, Resource, SIDVariable, resource_kinds

PREFIX = "TWILIO_"

#: The name of an imported row, unless it has its own.
NAME = "default"

#: Settings of this app, which are not imported.
OWN_PREFIX = "TWILIO_TOKENS_"

#: Bytes. An .env file is much smaller.
LARGEST_FILE = 1_048_576


@dataclass(frozen=True, eq=False)
class Purpose:
    """What a variable is for; ``kind`` is None for a secret.

    Each name counts with Twilio's prefix, or without it if no variable has the prefixed name.
    """

    kind: sids.SIDKind | None
    names: tuple[str, ...]
    #: Names that have other uses too, even with the prefix.
    ambiguous: tuple[str, ...] = ()

    @property
    def first_name(self) -> str:
        return PREFIX + self.names[0]

    def problem(self, value: str) -> str | None:
        """What is wrong with the value. The message does not repeat it."""
        if value[0] == value[-1] and value[0] in "\"'":
            return "The value includes quotation marks. Remove them."
        if self.kind is None:
            problem = sids.secret_problem(value)
            return None if problem is None else str(problem)
        return self.kind.problem(value)


ACCOUNT = Purpose(sids.ACCOUNT, ("ACCOUNT_SID",))
API_KEY = Purpose(sids.API_KEY, ("API_KEY", "API_KEY_SID"))
API_SECRET = Purpose(None, ("API_SECRET", "API_KEY_SECRET"))  # in the order of their keys
REQUIRED = (ACCOUNT, API_KEY, API_SECRET)


@dataclass(frozen=True, eq=False)
class ResourcePurpose(Purpose):
    """A resource, and its values besides the SID when it is created."""

    model: type[Resource] = field(kw_only=True)
    made_with: Mapping[str, object] = field(kw_only=True)


def _purpose(model: type[Resource], variable: SIDVariable) -> ResourcePurpose:
    [sid] = [each for each in model._meta.get_fields() if isinstance(each, SIDField)]
    default = {"is_default": True} if issubclass(model, WithDefault) else {}
    return ResourcePurpose(
        sid.kind,
        variable.names,
        variable.ambiguous,
        model=model,
        made_with={"name": NAME, **default, **variable.made_with},
    )


RESOURCES = tuple(_purpose(model, each) for model in resource_kinds() for each in model.variables)
PURPOSES = (*REQUIRED, *RESOURCES)

#: A push credential in Twilio's samples, which do not say for which platform it is.
NOT_IMPORTED = "PUSH_CREDENTIAL_SID"

_KNOWN = sorted({NOT_IMPORTED, *(name for each in PURPOSES for name in each.names)})
_OURS = re.compile(
    rf"^[^\S\n]*(?:export[^\S\n]+)?'?((?:{PREFIX})?(?:{'|'.join(_KNOWN)}))'?\s*=", re.MULTILINE
)


@dataclass(frozen=True)
class Variable:
    name: str
    value: str = field(repr=False)
    #: Whether the name alone says that this is Twilio's, and what it is for.
    is_certain: bool


@dataclass(frozen=True)
class TwilioVariables:
    """``problems`` are sentences that name variables, never values."""

    found: dict[Purpose, Variable]
    problems: list[str]
    left_alone: list[str]


def twilio_variables(environment: Mapping[str, str]) -> TwilioVariables:
    given = {name: stripped for name, value in environment.items() if (stripped := value.strip())}
    found: dict[Purpose, Variable] = {}
    problems, missing = _region_problems(given), []
    for purpose in PURPOSES:
        variables = _candidates(purpose, given, found.get(API_KEY))
        if len({each.value for each in variables}) > 1:
            names = " and ".join(each.name for each in variables)
            problems.append(f"{names} have different values. Unset all but one.")
        elif variables and (problem := purpose.problem(variables[0].value)):
            problems.append(f"{variables[0].name}: {problem}")
        elif variables:
            found[purpose] = variables[0]
        elif purpose in REQUIRED:
            missing.append(purpose)
    if missing:
        problems.append(f"Not set: {', '.join(each.first_name for each in missing)}.")
        problems += [line for each in missing for line in _passed_over(each, given)]
    return TwilioVariables(found, problems, _left_alone(given, found))


def _candidates(
    purpose: Purpose, given: Mapping[str, str], api_key: Variable | None
) -> list[Variable]:
    """The variables that hold, or should hold, the value. The caller handles several."""
    variables = _variables(purpose, given)
    certain = [each for each in variables if each.is_certain]
    if certain:
        return certain
    if purpose.kind is not None:
        return [each for each in variables if purpose.problem(each.value) is None]
    if api_key is None or api_key.is_certain:
        return []  # it is unclear whose secret it is
    partner = API_SECRET.names[API_KEY.names.index(api_key.name)]
    return [each for each in variables if each.name == partner] or variables


def _variables(purpose: Purpose, given: Mapping[str, str]) -> list[Variable]:
    names = [*(PREFIX + name for name in purpose.names), *purpose.names]
    return [
        Variable(name, given[name], name.startswith(PREFIX) and name not in purpose.ambiguous)
        for name in names
        if name in given
    ]


def _passed_over(purpose: Purpose, given: Mapping[str, str]) -> Iterator[str]:
    """Variables without the prefix that may have been meant."""
    for variable in _variables(purpose, given):
        if purpose.kind is None:
            problem = f"It belongs to {API_KEY.names[purpose.names.index(variable.name)]}."
        else:
            problem = purpose.problem(variable.value) or ""
        yield f"{variable.name} was ignored. {problem}"


def _region_problems(given: Mapping[str, str]) -> list[str]:
    region = given.get("TWILIO_REGION", "").lower()
    if region in ("", Region.US1):
        return []
    return [
        f"TWILIO_REGION: Access Tokens need an API key of region US1, not {ascii(region)[1:-1]}. "
        "Create one in the Twilio Console, and unset TWILIO_REGION."
    ]


def _left_alone(given: Mapping[str, str], found: Mapping[Purpose, Variable]) -> list[str]:
    read = {"TWILIO_REGION"} | {
        each.name
        for purpose, variable in found.items()
        for each in _variables(purpose, given)
        if each.value == variable.value
    }
    return sorted(
        name
        for name in given.keys() - read
        if (name in _KNOWN or name.startswith(PREFIX)) and not name.startswith(OWN_PREFIX)
    )


def read_env_file(path: Path) -> dict[str, str]:
    """The variables in a file of ``NAME=value`` lines. Raises ``CommandError``."""
    try:
        from dotenv.parser import parse_stream  # noqa: PLC0415 - it is optional
    except ImportError:
        raise CommandError(
            "Reading a file requires python-dotenv: pip install 'django-twilio-tokens[env]'"
        ) from None
    bindings = list(parse_stream(io.StringIO(_text_of(path))))
    for each in bindings:
        # Mistakes in lines that do not concern this command are ignored.
        if each.error and (ours := _OURS.search(each.original.string)):
            line = each.original.line + each.original.string.count("\n", 0, ours.start())
            raise CommandError(
                f"{path}, line {line}: a quotation mark on or near this line is not closed."
            )
    return {each.key: each.value for each in bindings if each.key and each.value is not None}


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"Cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        text = "\0"
    if len(data) > LARGEST_FILE:
        raise CommandError(f"{path} is too large to be a file of variables.")
    if "\0" in text:
        raise CommandError(f"Cannot read {path}: it is not UTF-8 text. Save it as UTF-8.")
    return text

"""Write what the reference has from the code into its pages: ``make reference``.

A page says where: between ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``. With
``--check`` nothing is written, and the exit status is 1 where a page is not up to date.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from argparse import Action, ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "rest_framework",
        "twilio_tokens",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TWILIO_TOKENS_ENCRYPTION_KEYS=[],
)
django.setup()

from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.db.models import Field, ForeignKey, ManyToManyField

from twilio_tokens import conf, exceptions, identity, issuing
from twilio_tokens.grants import FieldKind, fields_of, registered
from twilio_tokens.models import Checked
from twilio_tokens.serializers import AccessTokenSerializer

REFERENCE = Path(__file__).resolve().parent / "reference"
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)
TYPES = {
    FieldKind.TEXT: "string",
    FieldKind.NAME: "string, a name",
    FieldKind.CHOICE: "string",
    FieldKind.BOOLEAN: "boolean",
    FieldKind.INTEGER: "integer",
    FieldKind.OBJECT: "object of strings",
}
ANSWERS = {
    "CharField": "string",
    "DictField": "object",
    "IntegerField": "integer",
    "MomentField": "time, in ISO 8601 and UTC",
}


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    head = list(head)
    yield line(head)
    yield "|" + "---|" * len(head)
    yield from (line(row) for row in rows)


def line(cells: Iterable[object]) -> str:
    texts = [" ".join(str(each).split()).replace("|", "\\|") for each in cells]
    return "| " + " | ".join(texts).replace("  ", " ").rstrip() + " |"


def code(value: object) -> str:
    return f"`{value}`"


def prose(docstring: str | None) -> str:
    """reStructuredText's literals as Markdown's."""
    return inspect.cleandoc(docstring or "").replace("``", "`")


def of_settings() -> Iterator[str]:
    defaults = dict(conf.DEFAULTS)
    defaults["TTL"] = {name: grant.default_ttl for name, grant in registered().items()}
    yield from table(
        ("setting", "default"),
        (
            (
                f"[`TWILIO_TOKENS_{name}`](#twilio_tokens_{name.lower()})",
                "required" if name == "ENCRYPTION_KEYS" else code(repr(value).replace("'", '"')),
            )
            for name, value in defaults.items()
        ),
    )


def of_fields() -> Iterator[str]:
    yield from table(
        ("product", "field", "type", ""),
        (
            (code(product), code(each.name), limits(each), each.help_text)
            for product, grant in registered().items()
            for each in fields_of(grant)
        ),
    )


def limits(field: Any) -> str:
    kind = TYPES[field.kind]
    if field.choices:
        return "one of " + ", ".join(f'`"{each}"`' for each in field.choices)
    return f"{kind}, at most {field.max_length} characters" if field.max_length else kind


def of_answer() -> Iterator[str]:
    yield from table(
        ("field", "type", ""),
        (
            (code(name), ANSWERS[type(field).__name__], field.help_text or "")
            for name, field in AccessTokenSerializer().get_fields().items()
        ),
    )


def of_exceptions() -> Iterator[str]:
    yield from table(
        ("exception", "derives from", "`code`", "message"),
        (
            (code(each.__name__), code(each.__mro__[1].__name__), code_of(each), message(each))
            for each in descendants(exceptions.TwilioTokensError)
        ),
    )


def code_of(error: type[exceptions.TwilioTokensError]) -> str:
    if error is exceptions.DoesNotExist:
        return code(exceptions.DoesNotExist("", field="", product="").code)
    if error is exceptions.InvalidGrant:
        return "that of the field"
    return code(error.code)


def message(error: type[exceptions.TwilioTokensError]) -> object:
    inherited = error.default_message == exceptions.TwilioTokensError.default_message
    return prose(error.__doc__).partition("\n\n")[0] if inherited else error.default_message


def descendants(of: type[Any]) -> Iterator[type[Any]]:
    for each in of.__subclasses__():
        yield each
        yield from descendants(each)


class OwnArguments(ArgumentParser):
    """What a command adds to those of every command."""

    def __init__(self) -> None:
        super().__init__(add_help=False)
        self.own: list[Action] = []

    def add_argument(self, *names: Any, **described: Any) -> Action:
        self.own.append(super().add_argument(*names, **described))
        return self.own[-1]


def of_commands() -> Iterator[str]:
    for name in sorted(name for name, app in get_commands().items() if app == "twilio_tokens"):
        command, parser = load_command_class("twilio_tokens", name), OwnArguments()
        command.add_arguments(parser)
        yield from (f"## `{name}`", "", command.help, "")
        if parser.own:
            rows = ((argument(each), help_of(each)) for each in parser.own)
            yield from (*table(("argument", ""), rows), "")


def argument(action: Action) -> str:
    value = str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return code(value if action.nargs is None else f"[{value}]")
    if action.nargs == 0:
        return code(action.option_strings[0])
    return code(f"{action.option_strings[0]} {f'[{value}]' if action.nargs == '?' else value}")


def help_of(action: Action) -> str:
    return str(action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")


def of_python() -> Iterator[str]:
    for name in ("issue_access_token", "aissue_access_token"):
        yield from function(issuing, name)
    yield from ("### `IssuedAccessToken`", "")
    fields = inspect.get_annotations(issuing.IssuedAccessToken)
    properties = {
        name: inspect.get_annotations(value.fget)["return"]
        for name, value in vars(issuing.IssuedAccessToken).items()
        if isinstance(value, property)
    }
    rows = ((code(name), code(kind)) for name, kind in {**fields, **properties}.items())
    yield from table(("attribute", "type"), rows)
    yield from ("", "### Grants", "", "From `twilio_tokens.grants`:", "")
    yield from table(
        ("grant", "for"),
        (
            (code(f"{grant.__name__}({arguments(grant)})"), grant.label)
            for grant in registered().values()
        ),
    )


def arguments(grant: Any) -> str:
    return ", ".join(f"{each.name}=None" for each in fields_of(grant))


def function(module: Any, name: str) -> Iterator[str]:
    """The signature as it is written, which ``inspect`` spells anew in each version of Python."""
    tree = ast.parse(inspect.getsource(getattr(module, name))).body[0]
    assert isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef))
    returns = f" -> {ast.unparse(tree.returns)}" if tree.returns else ""
    yield from (f"### `{name}()`", "", "<!-- not run: the signature, from the code -->")
    yield from ("```python", *signature(tree.args, f"{name}(", f"){returns}"), "```", "")
    if docstring := ast.get_docstring(tree):
        yield from (prose(docstring), "")


def signature(arguments: ast.arguments, start: str, end: str) -> Iterator[str]:
    text = ast.unparse(arguments)
    if len(text) < 60:
        yield f"{start}{text}{end}"
        return
    yield start
    yield from (f"    {each}," for each in re.split(r", (?![^\[]*\])", text.replace("=", " = ")))
    yield end


def of_identity() -> Iterator[str]:
    for name in ("username", "encoded_username", "primary_key", "decode_identity", "user_for"):
        if hasattr(identity, name):
            yield from function(identity, name)


def of_models() -> Iterator[str]:
    checked = {field.name for field in Checked._meta.get_fields()}
    for model in apps.get_app_config("twilio_tokens").get_models():
        if model._meta.default_permissions:
            yield from (f"## `{model.__name__}`", "")
            fields = [each for each in model._meta.get_fields() if is_shown(each, checked)]
            yield from table(
                ("field", "type", ""),
                ((code(each.name), kind_of(each), help_text(each)) for each in fields),
            )
            for name, label in model._meta.permissions:
                yield from ("", f"Permission: `twilio_tokens.{name}`, “{label}”.")
            yield ""


def is_shown(field: Any, checked: set[str]) -> bool:
    hidden = checked | {"default_marker", "is_restricted", "friendly_name"}
    return isinstance(field, (Field, ManyToManyField)) and field.name not in hidden


def kind_of(field: Field[Any, Any]) -> str:
    kind = type(field).__name__
    if isinstance(field, (ForeignKey, ManyToManyField)):
        related: Any = field.related_model
        kind += f" to `{related.__name__}`"
    return f"{kind}, unique" if field.unique and not field.primary_key else kind


def help_text(field: Field[Any, Any]) -> object:
    if field.choices and not field.help_text:
        return "One of " + ", ".join(code(value) for value, _ in field.flatchoices) + "."
    return field.help_text


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    name.removeprefix("of_"): value for name, value in vars().items() if name.startswith("of_")
}


def main() -> None:
    stale = []
    for page in sorted(REFERENCE.glob("*.md")):
        text = page.read_text()
        written = PART.sub(
            lambda part: f"{part[1]}\n" + "\n".join(PARTS[part[2]]()).rstrip() + f"\n\n{part[3]}",
            text,
        )
        if written != text:
            stale.append(page.name)
            if "--check" not in sys.argv:
                page.write_text(written)
    if stale and "--check" in sys.argv:
        sys.exit(f"Not what the code says, so run “make reference”: {', '.join(stale)}")


if __name__ == "__main__":
    main()

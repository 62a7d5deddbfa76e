from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from twilio_tokens.characters import visible
from twilio_tokens.grants import FieldKind, Grant, GrantField, fields_of, registered
from twilio_tokens.identity import users_named
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.management.terminal import TerminalCommand
from twilio_tokens.serializers import token_answer

#: What argparse stores for an option that is given without its optional value.
UNNAMED = object()


class Command(TerminalCommand):
    help = (
        "Issues an Access Token to a user, with that user's rights, and prints it on standard "
        "output."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        for product, grant in registered().items():
            option = f"--{product.replace('_', '-')}"
            field = _field_of(grant)
            if field is None:
                parser.add_argument(
                    option, action="store_const", const=UNNAMED, help=str(grant.label)
                )
                continue
            parser.add_argument(
                option,
                nargs="?",
                const=UNNAMED,
                metavar="NAME" if field.kind is FieldKind.NAME else field.name.upper(),
                help=f"{grant.label}. {field.help_text}",
            )
        parser.add_argument("--ttl", type=int, help="lifetime in seconds")
        parser.add_argument(
            "--json", action="store_true", help="print the JSON response of the HTTP API"
        )

    def handle(self, *, username: str, ttl: int | None, **options: Any) -> None:
        users, shown = users_named(username), visible(username)
        if not users:
            raise CommandError(f"There is no user named {shown}.")
        if len(users) > 1:
            names = ", ".join(visible(user.get_username()) for user in users)
            raise CommandError(
                f"Several users match {shown}: {names}. Use the exact spelling of one."
            )
        grants = [
            _asked_for(grant, options[product])
            for product, grant in registered().items()
            if options[product] is not None
        ]
        if not grants:
            products = ", ".join(f"--{product.replace('_', '-')}" for product in registered())
            raise CommandError(f"Name at least one product: {products}.")
        issued = issue_access_token(user=users[0], grants=grants, ttl=ttl)
        answer = token_answer(issued)
        self.stdout.write(json.dumps(answer, indent=2) if options["json"] else issued.token)
        self.stderr.write(
            f"Identity {visible(issued.identity)}, account {issued.account_sid}, "
            f"grants {', '.join(issued.grants)}, expires {answer['expires_at']}."
        )


def _field_of(grant: type[Grant]) -> GrantField | None:
    """The field that can be given on the command line: the first, if it is text."""
    first = next(iter(fields_of(grant)), None)
    texts = {FieldKind.NAME, FieldKind.TEXT, FieldKind.CHOICE}
    return first if first is not None and first.kind in texts else None


def _asked_for(grant: type[Grant], value: object) -> Grant:
    field = _field_of(grant)
    return grant() if value is UNNAMED or field is None else grant(**{field.name: value})

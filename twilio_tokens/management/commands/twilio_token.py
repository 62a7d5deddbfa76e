from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from twilio_tokens.grants import FieldKind, fields_of, registered
from twilio_tokens.identity import users_named
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.management.terminal import TerminalCommand
from twilio_tokens.serializers import token_answer

#: What argparse stores for an option without its optional value.
UNNAMED = object()


class Command(TerminalCommand):
    help = (
        "Issues an Access Token to a user, within that user's own rights, and prints it on "
        "standard output."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        for product, grant in registered().items():
            first, *_rest = fields_of(grant)
            parser.add_argument(
                f"--{product.replace('_', '-')}",
                nargs="?",
                const=UNNAMED,
                metavar="NAME" if first.kind is FieldKind.NAME else first.name.upper(),
                help=f"{grant.label}. {first.help_text}",
            )
        parser.add_argument("--ttl", type=int, help="lifetime in seconds")
        parser.add_argument(
            "--json", action="store_true", help="print what the HTTP API answers, as JSON"
        )

    def handle(self, *, username: str, ttl: int | None, **options: Any) -> None:
        users = users_named(username)
        if not users:
            raise CommandError(f"There is no user {username}.")
        if len(users) > 1:
            names = ", ".join(user.get_username() for user in users)
            raise CommandError(f"Several users are named {username}: {names}. Write one exactly.")
        grants = [
            grant(**({} if asked_for is UNNAMED else {fields_of(grant)[0].name: asked_for}))
            for product, grant in registered().items()
            if (asked_for := options[product]) is not None
        ]
        if not grants:
            products = ", ".join(f"--{product.replace('_', '-')}" for product in registered())
            raise CommandError(f"Name at least one product: {products}.")
        issued = issue_access_token(user=users[0], grants=grants, ttl=ttl)
        answer = token_answer(issued)
        self.stdout.write(json.dumps(answer, indent=2) if options["json"] else issued.token)
        self.stderr.write(
            f"Identity {issued.identity}, account {issued.account_sid}, "
            f"grants {', '.join(issued.grants)}, expires {answer['expires_at']}."
        )

from __future__ import annotations

import os
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management import BaseCommand, CommandError, call_command
from django.utils import timezone
from rest_framework.authtoken.models import Token

from example_project import demo_credentials
from example_project.models import Meeting
from example_project.settings import ENV_FILE, env
from twilio_tokens.models import Account

# Of the names in Twilio's guides, those that are not likely to be set for something else.
TWILIO_VARIABLES = (
    "TWILIO_ACCOUNT_SID",
    "ACCOUNT_SID",
    "TWILIO_API_KEY",
    "TWILIO_API_SECRET",
    "TWILIO_CHAT_SERVICE_SID",
    "TWILIO_TWIML_APP_SID",
)

MADE_UP = """\
The Twilio credentials are made up (the account is named “{account}”).
Tokens have the right form, but Twilio refuses them. To use real ones, set TWILIO_ACCOUNT_SID,
TWILIO_API_KEY and TWILIO_API_SECRET, for Chat TWILIO_CHAT_SERVICE_SID, and for Voice
TWILIO_TWIML_APP_SID, in the environment or in the file .env, and run this again."""

WHAT_TO_DO = (
    "Set all of Twilio's variables in the environment or all in .env; or unset them to keep the "
    "credentials that the example has."
)

BANNER = """
{credentials}

Sign in at {url}
  {demo}
  {staff}

Then open
  {url}                 for video, chat, phone and tokens
  {url}twilio/tokens/   for the browsable API
  {url}admin/           to see credentials and issued tokens, as staff

Or get a token here:
  curl -H 'Authorization: Token {token}' -d room=DailyStandup {url}twilio/tokens/video/
"""


class Command(BaseCommand):
    help = "Make the users, meetings and credentials of the example site. What exists stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--address",
            default="127.0.0.1:8000",
            help="where the site will be served, for the addresses that are printed",
        )

    def handle(self, *, address: str, **options: Any) -> None:
        self.set_up_credentials()
        staff = self.set_up_user(
            "staff",
            env.str("DEMO_STAFF_PASSWORD"),
            first_name="Sam",
            last_name="Ito",
            is_staff=True,
            is_superuser=True,
        )
        demo = self.set_up_user(
            "demo", env.str("DEMO_USER_PASSWORD"), first_name="Dana", last_name="Costa"
        )
        self.set_up_meetings()
        token, _ = Token.objects.get_or_create(user=User.objects.get(username="demo"))
        self.stdout.write(
            BANNER.format(
                credentials=self.describe_credentials(),
                url=f"http://{address}/",
                demo=demo,
                staff=staff,
                token=token.key,
            )
        )

    def set_up_credentials(self) -> None:
        if any(env.str(name, default="") for name in TWILIO_VARIABLES):
            in_process = any(os.environ.get(name) for name in TWILIO_VARIABLES)
            try:
                call_command(
                    "twilio_import_env",
                    env_file=None if in_process else ENV_FILE,
                    stdout=self.stdout,
                    stderr=self.stderr,
                )
            except CommandError as error:
                raise CommandError(f"{error}\n{WHAT_TO_DO}") from error
        elif not Account.objects.exists():
            demo_credentials.store()

    def describe_credentials(self) -> str:
        if demo_credentials.in_use():
            return MADE_UP.format(account=demo_credentials.ACCOUNT_NAME)
        account = Account.objects.default()
        if account is None:
            return "There is no default Twilio account. Choose one in the admin."
        return f"Tokens are for the Twilio account “{account}”."

    def set_up_meetings(self) -> None:
        """Two are open now, one opens tomorrow, and to one only staff is invited."""
        if Meeting.objects.exists():
            return
        staff, demo = (User.objects.get(username=name) for name in ("staff", "demo"))
        team, _ = Group.objects.get_or_create(name="Team")
        team.user_set.add(staff, demo)
        now = timezone.now()
        for room, starts, ends in (
            ("DailyStandup", now, None),
            ("Workshop", now, now + timedelta(hours=8)),
            ("Retrospective", now + timedelta(days=1), now + timedelta(days=1, hours=1)),
        ):
            Meeting.objects.create(room=room, starts=starts, ends=ends).groups.add(team)
        Meeting.objects.create(room="Boardroom").users.add(staff)

    def set_up_user(self, username: str, password: str, **flags: Any) -> str:
        user = User.objects.filter(username=username).first()
        if user is None:
            user = User.objects.create_user(username, password=password, **flags)
        if user.check_password(password):
            return f"{username}, password {password}"
        return f"{username}, with the password that you have set since"

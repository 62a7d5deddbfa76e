"""A console with rows of every model, the people who come to it, and what they send there."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.test import Client, override_settings
from django.urls import reverse

from tests.console import PREFIXES, filled, permit, url
from tests.rows import add_key, new_secret, sid
from tests.twilio_server import Key, TwilioServer
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    IssuedToken,
    PushCredential,
    SyncService,
    TwiMLApp,
    Workspace,
)

RESOURCES = (ChatService, SyncService, Workspace, TwiMLApp, PushCredential)
MODELS: tuple[Any, ...] = (Account, APIKey, *RESOURCES, IssuedToken)

#: What these may do with rows of every model.
ACTIONS = {
    "view only": ("view",),
    "change only": ("change",),
    "add only": ("add",),
    "delete only": ("delete",),
    "outsider": ("view",),
    "view, check": ("view",),
    "view, add": ("view", "add"),
    "add, change": ("add", "change"),
}
OWN_PERMISSIONS = {
    "check only": ("verify_credentials",),
    "view, check": ("verify_credentials",),
    "test only": ("issue_test_token",),
}
#: Members of a group that may do everything. What keeps them out is something else.
OF_OPERATORS = ("inactive", "user", "removed")

NEW, STORED = sid("IS", "5"), sid("IS", "0")


class Console:
    def __init__(self, twilio: TwilioServer, people: list[str]) -> None:
        self.twilio = twilio
        self.names: dict[Any, str] = {}
        self.secret = new_secret()
        self.main = self._add(Account, "0")
        key = add_key(self.main, name="first", secret=self.secret)
        twilio.keys[key.sid] = Key(self.secret, self.main.sid)
        anna = User.objects.create_user("anna")
        self.token = issue_access_token(user=anna, grants=[Video()]).token
        #: Each may be deleted: the account and the key have signed nothing.
        self.rows: dict[Any, Any] = {IssuedToken: IssuedToken.objects.get()}
        self.members = Group.objects.create(name="members")
        for model in RESOURCES:
            self.rows[model] = self._add(model, "0")
            if hasattr(model, "groups"):
                self.rows[model].groups.add(self.members)
        self.rows[Account] = spare = self._add(Account, "1")
        self.rows[APIKey] = add_key(spare, name=self._name(APIKey))
        twilio.services[NEW] = (self.main.sid, "New at Twilio")
        twilio.services[STORED] = (self.main.sid, "Renamed at Twilio")
        ChatService.objects.update(friendly_name="Before")
        self.operators = Group.objects.create(name="operators")
        self.operators.permissions.set(
            Permission.objects.filter(content_type__app_label="twilio_tokens")
        )
        self.users = {each: self._user(each) for each in people}
        self.clients = {each: Client() for each in people}
        for person in self.users.keys() - {"anonymous"}:
            self.clients[person].force_login(self.users[person])
        User.objects.filter(username="inactive").update(is_active=False)  # signed in, still
        self.stored = stored()

    def _name(self, model: Any) -> str:
        """One that is on no page by chance."""
        self.names[model] = f"{model._meta.model_name}-{new_secret()[:8]}"
        return self.names[model]

    def _add(self, model: Any, digit: str) -> Any:
        values: dict[str, Any] = {"name": self._name(model), "sid": sid(PREFIXES[model], digit)}
        if model is not Account:
            values |= {"account": self.main, "is_default": True}
        if model is PushCredential:
            values["platform"] = "fcm"
        return model.objects.create(**values)

    def _user(self, person: str) -> User:
        user = User.objects.create_user(person, is_staff=person != "user")
        user.is_superuser = person == "superuser"
        if person in OF_OPERATORS:
            user.groups.add(self.operators)
        user.save()
        names = [f"{a}_{m._meta.model_name}" for a in ACTIONS.get(person, ()) for m in MODELS]
        names += OWN_PERMISSIONS.get(person, ())
        return permit(user, *names) if names else user

    # What is sent

    def address(self, model: Any, page: str) -> str:
        """Of a page; of a row that is not there where ``page`` begins with “missing”."""
        missing, _space, page = page.rpartition(" ")
        row = self.main if page == "import" else self.rows[model]
        pk = row.pk if not missing else uuid4() if model is APIKey else 10**6
        if page in ("changelist", "add", "test", "decode", "dashboard"):
            return url(model, page)
        return f"{url(model, 'changelist')}{pk}/" if page == "redirect" else url(model, page, pk)

    def address_above(self, page: str) -> str:
        """Of a page that belongs to no model."""
        if page == "app_list":
            return reverse("admin:app_list", args=["twilio_tokens"])
        if page == "autocomplete":
            field = {"app_label": "twilio_tokens", "model_name": "apikey", "field_name": "account"}
            return (
                f"{reverse('admin:autocomplete')}?{'&'.join(f'{k}={v}' for k, v in field.items())}"
            )
        if page == "view_on_site":
            kind = ContentType.objects.get_for_model(APIKey)
            return reverse("admin:view_on_site", args=[kind.pk, self.rows[APIKey].pk])
        return reverse(f"admin:{page}")

    def posted(self, model: Any, page: str, what: str) -> dict[str, Any]:
        if page == "changelist":
            return {"action": what, "_selected_action": self.rows[model].pk, "post": "yes"}
        if page == "delete":
            return {"post": "yes"}
        if page == "import":
            chosen = NEW if what == "new" else STORED
            return {f"{chosen}-store": "on", f"{chosen}-name": "imported"}
        if page == "test":
            return {"username": "anna", "video": "on"}
        if page == "dashboard":
            return {}
        if page == "decode":
            return {"token": self.token}
        if model is IssuedToken:
            return {"identity": "someone-else", "_save": "Save"}
        data = filled(model, name="changed", sid=sid(PREFIXES[model], "9"))
        if hasattr(model, "groups"):
            data["groups"] = [self.members.pk]
        if page == "change":
            data |= {"secret": ""} if model is APIKey else {"sid": self.rows[model].sid}
        return data

    def sent_by(self, person: str, path: str, data: dict[str, Any] | None) -> Any:
        """The answer to the request of ``person``."""
        client, user = self.clients[person], self.users[person]
        of_tenant = person == "outsider"
        account_of = (lambda user: self.rows[Account]) if of_tenant else None
        # Undone each time: what the fixture sets is looked up through all that it has set before.
        with override_settings(TWILIO_TOKENS_ACCOUNT=account_of):
            if person == "removed":
                client.get(path)  # a moment before
                user.groups.clear()
            self.twilio.requests.clear()
            return client.get(path) if data is None else client.post(path, data)


def stored() -> dict[Any, dict[str, Any]]:
    """Everything that is stored of the app."""
    models = apps.get_app_config("twilio_tokens").get_models(include_auto_created=True)
    return {
        (model, row[model._meta.pk.attname]): row
        for model in models
        for row in model._base_manager.values()
    }

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection, models, transaction
from django.db.models.signals import pre_save
from django.test.utils import isolate_apps

from tests.site.models import BilledService
from twilio_tokens.defaults import WithDefault
from twilio_tokens.models import Account, ChatService, PushCredential

from .databases import disconnect
from .rows import PREFIXES, sid

# The others are restricted as Chat services are.
RESOURCES = [ChatService, PushCredential]
WITH_DEFAULT = [Account, *RESOURCES]

on_a_server = pytest.mark.skipif(
    connection.vendor == "sqlite",
    reason="SQLite has one writer at a time: nothing is concurrent. Set DATABASE_URL.",
)


def defaults(model: type[models.Model]) -> list[str]:
    return [str(row) for row in model._default_manager.filter(is_default=True)]


def alike(model: type[models.Model]) -> dict[str, Any]:
    """What rows have in common of which one may be the default."""
    if model is Account:
        return {}
    of_account = {"account": Account.objects.get()}
    return of_account | ({"platform": "apn"} if model is PushCredential else {})


def at_once(*jobs: Callable[[], object]) -> list[BaseException]:
    """Run the jobs in threads that start together; what they raised."""
    raised: list[BaseException] = []
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> None:
        try:
            start.wait(timeout=10)
            job()
        except Exception as error:  # noqa: BLE001 - told to the test
            raised.append(error)
        finally:
            disconnect()

    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


# One default at most


def test_the_first_account_becomes_the_default_and_the_second_does_not(make: Any) -> None:
    first, second = make(Account, "1"), make(Account, "2")
    assert (first.is_default, second.is_default) == (True, False)
    assert defaults(Account) == ["row-1"]


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("is_loaded", [True, False])
@pytest.mark.parametrize("update_fields", [None, ["is_default"], ["is_default", "name"]])
def test_the_default_account_stays_it_until_another_takes_its_place(
    make: Any, others: int, is_loaded: bool, update_fields: Any
) -> None:
    account = make(Account, "1")
    for number in range(others):
        make(Account, str(2 + number))
    if is_loaded:
        account = Account.objects.get(name="row-1")
    account.is_default = False
    for refused in (account.full_clean, lambda: account.save(update_fields=update_fields)):
        with pytest.raises(ValidationError, match="make another account the default") as caught:
            refused()
        assert caught.value.message_dict.keys() == {"is_default"}
    assert defaults(Account) == ["row-1"]


def test_an_account_that_is_no_default_any_more_may_say_so(make: Any) -> None:
    make(Account, "1")
    first = Account.objects.get()
    make(Account, "2", is_default=True)
    first.is_default = False
    first.full_clean()
    first.save()
    assert defaults(Account) == ["row-2"]


def test_where_the_default_account_was_deleted_only_an_admin_chooses_the_next(make: Any) -> None:
    first, second = make(Account, "1"), make(Account, "2")
    first.delete()
    make(Account, "3")
    second.name = "row-2b"
    second.save()
    # Another account's tokens would be billed to another customer.
    assert defaults(Account) == []


@pytest.mark.parametrize("model", RESOURCES)
def test_a_service_or_app_may_stop_being_the_default(make: Any, model: Any) -> None:
    row = make(model, "1", is_default=True)
    row.is_default = False
    row.full_clean()
    row.save()
    assert defaults(model) == []


@pytest.mark.parametrize("model", WITH_DEFAULT)
@pytest.mark.parametrize("was_default", [True, False])
def test_a_row_that_was_loaded_before_changes_no_default(
    make: Any, model: Any, was_default: bool
) -> None:
    first, second = make(model, "1", is_default=True), make(model, "2")
    stale = model.objects.get(pk=(first if was_default else second).pk)
    new = model.objects.get(pk=(second if was_default else first).pk)
    new.is_default = True
    new.save()
    stale.name = "renamed"
    stale.save()
    assert defaults(model) == [str(new)]


def test_rows_of_a_child_model_are_alike(make: Any, account: Account) -> None:
    make(ChatService, "1", is_default=True)
    child = BilledService(
        account=account, name="billed", sid=sid("IS", "2"), is_default=True, cost_centre="1"
    )
    child.save()
    assert defaults(ChatService) == ["billed"]
    first = ChatService.objects.get(name="row-1")
    first.is_default = True
    first.save()
    assert defaults(ChatService) == ["row-1"]
    child.save(update_fields=["is_default"])
    assert defaults(ChatService) == ["billed"]


@pytest.mark.parametrize("model", RESOURCES)
def test_a_service_or_app_is_the_default_only_if_it_says_so(make: Any, model: Any) -> None:
    assert not make(model, "1").is_default
    assert defaults(model) == []


@pytest.mark.parametrize("model", WITH_DEFAULT)
@pytest.mark.parametrize("update_fields", [None, ["is_default"]])
def test_saving_a_second_default_demotes_the_first(
    make: Any, model: Any, update_fields: list[str] | None
) -> None:
    make(model, "1", is_default=True)
    second = make(model, "2", is_default=True)
    assert defaults(model) == ["row-2"]
    first = model.objects.get(name="row-1")
    first.is_default = True
    first.full_clean()
    first.save(update_fields=update_fields)
    assert defaults(model) == ["row-1"]
    # Saving the default again changes nothing; nor does a stale row whose name alone is saved.
    first.save()
    second.name = "renamed"
    second.save(update_fields=["name"])
    assert defaults(model) == ["row-1"]


@pytest.mark.parametrize("model", WITH_DEFAULT)
def test_a_second_default_is_valid(make: Any, model: Any) -> None:
    first = make(model, "1", is_default=True)
    within = {name: getattr(first, name) for name in model.default_within}
    model(name="row-2", sid=sid(PREFIXES[model], "2"), is_default=True, **within).full_clean()


@isolate_apps("twilio_tokens")
@pytest.mark.django_db
def test_other_constraints_are_validated_as_ever() -> None:
    class Other(WithDefault):
        name = models.CharField(max_length=9)

        class Meta:
            app_label = "twilio_tokens"
            constraints = [models.CheckConstraint(condition=models.Q(name="good"), name="good")]

    Other(name="good", is_default=True).validate_constraints()
    Other(name="bad").validate_constraints(exclude={"name"})
    with pytest.raises(ValidationError, match="good"):
        Other(name="bad").validate_constraints()


@pytest.mark.parametrize("model", PREFIXES)
def test_the_database_refuses_a_second_default_that_goes_round_save(make: Any, model: Any) -> None:
    make(model, "1", is_default=True)
    second = make(model, "2")
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.update(is_default=True)
    second.is_default = True
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.bulk_update([second], ["is_default"])
    second.pk, second.name, second.sid = None, "row-3", sid(PREFIXES[model], "3")
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.bulk_create([second])
    assert defaults(model) == ["row-1"]


@pytest.mark.parametrize("update_fields", [None, ["account"], ["account_id"]])
@pytest.mark.parametrize("model", RESOURCES)
def test_each_account_has_a_default_of_its_own(make: Any, model: Any, update_fields: Any) -> None:
    accounts = make(Account, "1"), make(Account, "2")
    for digit, account in zip("12", accounts, strict=True):
        make(model, digit, account=account, is_default=True)
    assert defaults(model) == ["row-1", "row-2"]
    # To another account it goes as the default there.
    moved = model.objects.get(name="row-1")
    moved.account = accounts[1]
    moved.save(update_fields=update_fields)
    assert defaults(model) == ["row-1"]


def test_each_platform_and_sandbox_has_a_default_push_credential_of_its_own(make: Any) -> None:
    among = [("apn", False), ("apn", True), ("fcm", False)]
    for digit, (platform, sandbox) in zip("123", among, strict=True):
        make(PushCredential, digit, platform=platform, sandbox=sandbox, is_default=True)
    assert defaults(PushCredential) == ["row-1", "row-2", "row-3"]
    make(PushCredential, "4", platform="apn", sandbox=True, is_default=True)
    assert defaults(PushCredential) == ["row-1", "row-3", "row-4"]


@pytest.mark.parametrize("update_fields", [None, ["sandbox"]])
def test_a_default_push_credential_that_turns_out_another_ones_takes_its_place_there(
    make: Any, update_fields: Any
) -> None:
    for digit, sandbox in (("1", False), ("2", True)):
        make(PushCredential, digit, sandbox=sandbox, is_default=True)
    corrected = PushCredential.objects.get(name="row-1")
    corrected.sandbox = True
    corrected.save(update_fields=update_fields)
    assert defaults(PushCredential) == ["row-1"]


def test_the_default_is_asked_for_among_rows_alike(make: Any) -> None:
    assert Account.objects.default() is None
    apple = make(PushCredential, "1", is_default=True)
    google = make(PushCredential, "2", platform="fcm")
    assert Account.objects.default() == apple.account
    assert apple.alike().default() == apple
    assert google.alike().default() is None
    assert PushCredential.objects.filter(platform="fcm").default() is None


@pytest.mark.parametrize("model", WITH_DEFAULT)
def test_a_default_that_cannot_be_saved_demotes_nothing(make: Any, model: Any) -> None:
    first = make(model, "1", is_default=True)
    taken = {"sid": first.sid} if model is Account else {"name": first.name}
    with pytest.raises(IntegrityError), transaction.atomic():
        make(model, "2", is_default=True, **taken)
    assert defaults(model) == ["row-1"]


@on_a_server
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", WITH_DEFAULT)
def test_concurrent_saves_leave_one_default_and_do_not_fail(make: Any, model: Any) -> None:
    make(Account, "f")
    within = alike(model)
    rows = [
        # Some do not become the default: on MariaDB their foreign keys lock the account, too.
        model(name=f"row-{n}", sid=f"{PREFIXES[model]}{n:032}", is_default=n % 3 > 0, **within)
        for n in range(9)
    ]
    for _ in range(3):
        raised = at_once(*(row.save for row in rows))
        assert not [error for error in raised if not isinstance(error, ValidationError)]
        assert len(defaults(model)) == 1
        for row in rows:
            row.is_default = not row.is_default


@on_a_server
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_default", [True, False])
def test_of_six_first_accounts_at_once_one_is_the_default(is_default: bool) -> None:
    accounts = [Account(name=f"row-{n}", sid=f"AC{n:032}", is_default=is_default) for n in range(6)]
    assert at_once(*(account.save for account in accounts)) == []
    assert Account.objects.count() == 6
    assert len(defaults(Account)) == 1


@on_a_server
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("model", WITH_DEFAULT)
def test_of_a_double_click_one_is_saved_and_the_other_refused(
    make: Any, model: Any, others: int
) -> None:
    if others or model is not Account:
        make(Account, "f")
    within = alike(model)

    def save() -> None:
        with transaction.atomic():
            try:
                model(name="row-1", sid=sid(PREFIXES[model], "1"), **within).save()
            except IntegrityError:
                model.objects.count()  # the transaction can go on
                raise

    raised = at_once(*[save] * 4)
    assert [type(error) for error in raised] == [IntegrityError] * 3
    assert model.objects.filter(name="row-1").count() == 1


def test_a_first_account_that_was_overtaken_is_tried_again(make: Any) -> None:
    def be_overtaken(**kwargs: Any) -> None:
        pre_save.disconnect(be_overtaken, sender=Account)
        raise IntegrityError

    pre_save.connect(be_overtaken, sender=Account)
    make(Account, "1")
    assert defaults(Account) == ["row-1"]


DEADLOCK = OperationalError(1213, "Deadlock found when trying to get lock")


@pytest.fixture
def undone(request: Any) -> Iterator[list[Any]]:
    """What Django tells of saves, of which the database undoes the first few."""
    times, error = request.param
    tries: list[Any] = []

    def undo(**kwargs: Any) -> None:
        tries.append(kwargs)
        if len(tries) <= times:
            raise error

    pre_save.connect(undo, sender=Account)
    yield tries
    pre_save.disconnect(undo, sender=Account)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("undone", [(1, DEADLOCK), (4, DEADLOCK)], indirect=True)
def test_what_a_deadlock_undoes_is_tried_again(undone: list[Any]) -> None:
    Account.objects.create(name="row-1", sid=sid("AC", "1"))
    assert defaults(Account) == ["row-1"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("undone", "around", "tries"),
    [
        ((5, DEADLOCK), nullcontext, 5),
        # With it, the transaction around it is undone.
        ((1, DEADLOCK), transaction.atomic, 1),
        ((1, OperationalError(2006, "Server has gone away")), nullcontext, 1),
    ],
    indirect=["undone"],
)
def test_it_is_so_a_few_times_and_nothing_else_is(
    undone: list[Any], around: Any, tries: int
) -> None:
    with pytest.raises(OperationalError), around():
        Account.objects.create(name="row-1", sid=sid("AC", "1"))
    assert len(undone) == tries


@pytest.mark.parametrize("model", WITH_DEFAULT)
def test_what_cannot_be_saved_is_not_tried_again(make: Any, model: Any) -> None:
    tries = []
    first = make(model, "1")
    taken = {"sid": first.sid} if model is Account else {"name": first.name}
    pre_save.connect(note := lambda **kwargs: tries.append(kwargs), sender=model)
    with pytest.raises(IntegrityError), transaction.atomic():
        make(model, "2", **taken)
    pre_save.disconnect(note, sender=model)
    assert len(tries) == 1


@on_a_server
@pytest.mark.django_db(transaction=True)
def test_of_two_first_accounts_the_later_does_not_demote_the_earlier(make: Any) -> None:
    thread = threading.Thread(target=at_once, args=[lambda: make(Account, "2")])
    with transaction.atomic():
        make(Account, "1")
        thread.start()
        thread.join(timeout=0.5)  # it has found no account, and waits for this transaction
    thread.join()
    assert Account.objects.count() == 2
    assert defaults(Account) == ["row-1"]


@on_a_server
@pytest.mark.django_db(transaction=True)
def test_an_account_that_was_overtaken_demotes_nobody_before_it_has_waited(make: Any) -> None:
    """A third one, which waits for its turn, would find a default that it does not know of."""
    saved: list[str] = []

    def be_overtaken(run: Any, sql: str, *args: Any) -> Any:
        found = run(sql, *args)
        if sql.endswith("FOR UPDATE") and not saved:
            saved.append("row-1")
            assert at_once(lambda: make(Account, "1")) == []
        return found

    def note(instance: Account, **kwargs: Any) -> None:
        saved.append(instance.name)

    pre_save.connect(note, sender=Account)
    with connection.execute_wrapper(be_overtaken):
        make(Account, "2", is_default=True)
    pre_save.disconnect(note, sender=Account)
    assert saved == ["row-1", "row-1", "row-2", "row-2"]  # the last one, after it has waited
    assert defaults(Account) == ["row-2"]


SAVE_CONCURRENTLY = """
import threading

import django

django.setup()

from django.core.management import call_command
from django.db import connections
from twilio_tokens.models import Account

call_command("migrate", verbosity=0)


def save(thread):
    for number in range(5):
        sid = f"AC{thread:016x}{number:016x}"
        Account.objects.create(name="Account", sid=sid, is_default=number % 2 == 1)
    connections.close_all()


threads = [threading.Thread(target=save, args=(number,)) for number in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(Account.objects.count(), Account.objects.filter(is_default=True).count())
"""


def test_concurrent_saves_in_a_sqlite_file_wait_for_each_other(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}?timeout=60",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", SAVE_CONCURRENTLY],
        env=environment,
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("30 1\n", "")

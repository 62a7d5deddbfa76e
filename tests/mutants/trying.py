"""Tries the faults of a module: does a test fail?

Most are tried in a process forked off a test run that has everything imported and its database set
up, with the tests that run the line. What is in effect on import is tried in a fresh process, with
all tests that are named for the module.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import zip_longest
from pathlib import Path
from types import FunctionType
from typing import Any

import coverage
import pytest
from django.conf import settings
from django.urls import clear_url_caches

from tests import fresh_pytest

from .config import TOO_LONG
from .faults import Fault
from .swapping import NotWithinFunctions, functions_of, import_with, swap

OPTIONS = [*fresh_pytest.OPTIONS, *(f"--deselect={each}" for each in TOO_LONG)]
CACHE = type(lru_cache(repr))
#: What coverage.py notes for a line that ran before the tests did.
ON_IMPORT = ""
PASSED, FAILED, ELSEWHERE = 0, 1, 77
#: Seconds that a trial may do almost nothing: more than tests wait for any other process.
IDLE = 40
# What takes long to import, and needs no settings.
IMPORTED = [
    "cryptography.hazmat.primitives.ciphers.aead",
    "django.contrib.admin",
    "django.test",
    "drf_spectacular.settings",
    "hypothesis",
    "jsonschema",
    "jwt",
    "rest_framework.settings",
    "twilio.jwt.access_token.grants",
    "twilio.rest",
]


def survivors(faults: list[Fault], tests: list[str]) -> list[Fault]:
    """Those of the faults that none of the tests notices."""
    for module in IMPORTED:
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        if forked(lambda: _try_while_running(faults, tests, answer), None) != PASSED:
            raise SystemExit(f"The tests fail without a fault: {' '.join(tests)}")
        passed, elsewhere, seconds = json.loads(answer.read_text())
    limit = 30 + 5 * round(seconds)
    passed += [each for each in elsewhere if _passes_afresh(faults[each], tests, limit)]
    return [faults[each] for each in sorted(passed)]


def options(tests: list[str]) -> list[str]:
    """Without migrations the database is set up sooner; one test compares them with the models."""
    return OPTIONS if "tests/test_migrations.py" in tests else [*OPTIONS, "--no-migrations"]


def forked(action: Callable[[], int], limit: int | None) -> int:
    """The exit code of ``action`` in a process of its own; as failed, if it takes too long."""
    pid = os.fork()
    if pid == 0:
        status = FAILED
        try:
            # Of its own time: others may keep the machine busy.
            signal.setitimer(signal.ITIMER_PROF, limit or 0)
            if limit is not None:
                _end_when_idle()
            _silence()
            status = action()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else FAILED


def _end_when_idle() -> None:
    """A fault may make threads wait for each other for ever."""
    before = time.process_time()

    def look(*_: object) -> None:
        nonlocal before
        now = time.process_time()
        if now - before < IDLE / 25:
            os._exit(FAILED)
        before = now

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, IDLE, IDLE)


def _silence() -> None:
    log = os.open(os.environ.get("MUTANTS_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _passes_afresh(fault: Fault, tests: list[str], limit: int) -> bool:
    def run() -> int:
        import_with(fault)
        return int(pytest.main([*options(tests), "-x", *tests]))

    return forked(run, limit) == PASSED


def _try_while_running(faults: list[Fault], tests: list[str], answer: Path) -> int:
    trial = Trial(faults)
    status = int(pytest.main([*options(tests), *tests], plugins=[trial]))
    answer.write_text(json.dumps([trial.passed, trial.elsewhere, trial.seconds]))
    return status


class Trial:
    """A pytest plugin: runs the tests once, and then, for each fault, those that it concerns."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        self.passed: list[int] = []
        self.elsewhere: list[int] = []
        self.caches: list[Any] = []
        self.seconds = 0.0
        self.in_trial = False
        files = [str(fault.path) for fault in faults]
        self.traced = coverage.Coverage(data_file=None, config_file=False, include=files)
        self.traced.start()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.in_trial and report.failed:
            os._exit(FAILED)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.traced.stop()
        self.caches = [
            each
            for each in gc.get_objects()
            if type(each) is CACHE and each.__module__.startswith("twilio_tokens.")
        ]
        if not session.testsfailed:  # while they were collected
            data, seconds = self._measure(session)
            self.seconds = sum(seconds.values())
        if session.testsfailed:
            return True
        paths = {fault.path for fault in self.faults}
        functions = {path: functions_of(path) for path in paths}
        tests_of = {path: data.contexts_by_lineno(str(path)) for path in paths}
        gc.freeze()
        for number, fault in enumerate(self.faults):
            names = {name for line in fault.lines for name in tests_of[fault.path].get(line, ())}
            items = [each for each in session.items if each.nodeid in names]
            items.sort(key=lambda each: seconds[each.nodeid])
            limit = 10 + 5 * round(sum(seconds[each.nodeid] for each in items))
            status = forked(partial(self._try, fault, functions[fault.path], items), limit)
            if status == ELSEWHERE:
                self.elsewhere.append(number)
            elif status == PASSED:
                (self.elsewhere if ON_IMPORT in names else self.passed).append(number)
        return True

    def _measure(self, session: pytest.Session) -> tuple[coverage.CoverageData, dict[str, float]]:
        """Which tests run which lines, and how long each takes."""
        seconds: dict[str, float] = {}
        for item, following in _with_next(session.items):
            self._forget()
            started = time.perf_counter()
            self.traced.start()
            self.traced.switch_context(item.nodeid)
            run(item, following)
            self.traced.stop()
            seconds[item.nodeid] = time.perf_counter() - started
        return self.traced.get_data(), seconds

    def _forget(self) -> None:
        """What earlier tests have made: it is what the code did before the fault."""
        for each in self.caches:
            each.cache_clear()
        sys.modules.pop(settings.ROOT_URLCONF, None)  # the views at the site's addresses, too
        clear_url_caches()

    def _try(self, fault: Fault, functions: list[FunctionType], items: list[pytest.Item]) -> int:
        self.in_trial = True
        self._forget()
        try:
            swap(fault, functions)
        except NotWithinFunctions:
            return ELSEWHERE
        for item, following in _with_next(items):
            run(item, following)
        return PASSED


def _with_next(items: list[pytest.Item]) -> Iterator[tuple[pytest.Item, Any]]:
    """Each with what decides which fixtures stay: after the last, those of the session do."""
    for item, following in zip_longest(items, items[1:]):
        yield item, following or item.session


def run(item: pytest.Item, following: Any) -> None:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

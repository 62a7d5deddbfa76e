"""What a report of an error can show."""

from __future__ import annotations

import traceback
from pathlib import Path


def error_report(error: BaseException, *, of: str = "") -> str:
    """What a report of ``error`` can show: the messages and the variables of every frame that it
    and its causes passed; ``of`` leaves only the frames of files with that in their path.

    The frames of the tests hold what was typed in, and are left out.
    """
    shown, chain, tests = [], [error], str(Path(__file__).parent)
    for each in chain:
        shown += [str(each), repr(each), repr(vars(each))]
        for frame, _ in traceback.walk_tb(each.__traceback__):
            path = frame.f_code.co_filename
            if of in path and not path.startswith(tests):
                shown += map(_shown, frame.f_locals.values())
        chain += {each.__cause__, each.__context__} - {None, *chain}
    return "\n".join(shown)


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - such a variable is not shown
        return repr(error)

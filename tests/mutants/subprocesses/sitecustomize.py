"""Python imports this when it starts: it puts the fault into the processes that a test starts."""

import os
from importlib.machinery import SourceFileLoader
from types import CodeType

_read = SourceFileLoader.get_code


def _get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
    if self.path == os.environ.get("MUTANT_PATH"):
        return compile(os.environ["MUTANT_SOURCE"], self.path, "exec", dont_inherit=True)
    return _read(self, fullname)


SourceFileLoader.get_code = _get_code  # type: ignore[method-assign]

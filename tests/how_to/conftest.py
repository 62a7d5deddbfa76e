from __future__ import annotations

import os

# The guides are about a site's code, and have run on SQLite.
collect_ignore_glob = ["test_*"] if "DATABASE_URL" in os.environ else []

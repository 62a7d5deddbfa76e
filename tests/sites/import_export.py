"""The keys' list has buttons of django-import-export, for all fields."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

NEEDS = ["import_export"]
INSTALLED_APPS = [*INSTALLED_APPS, "import_export", "tests.sites.tables"]
IMPORT_EXPORT_TMP_STORAGE_CLASS = "import_export.tmp_storages.CacheStorage"

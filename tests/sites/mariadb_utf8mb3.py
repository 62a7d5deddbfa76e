"""A database with three bytes for a character, as old sites have it: ``charset=utf8``."""

from tests.settings import *  # noqa: F403
from tests.settings import env

NEEDS_SERVER = 3306
DATABASES = {"default": env.db_url("MARIADB_URL", default="mysql://root@127.0.0.1:3306/mysql")}
DATABASES["default"]["OPTIONS"] = {"charset": "utf8"}
DATABASES["default"]["TEST"] = {"NAME": "test_twilio_tokens_utf8mb3", "CHARSET": "utf8mb3"}

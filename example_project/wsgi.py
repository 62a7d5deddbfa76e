import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

application = get_wsgi_application()

from .metrics import serve  # noqa: E402 - after the settings, which have the log
from .settings import METRICS_PORT  # noqa: E402

serve(METRICS_PORT)

"""The web process: `uvicorn webapp.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
application = get_asgi_application()

from django.conf import settings  # noqa: E402  # named above

from webapp.core import asynchronous  # noqa: E402

asynchronous.keep_connections(settings.DATABASE_THREADS)

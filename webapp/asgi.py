"""The web process: `uvicorn webapp.asgi:application`."""

from __future__ import annotations

import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
_pages = get_asgi_application()

from django.conf import settings  # noqa: E402  # named above

from webapp.core import asynchronous  # noqa: E402
from webapp.gateway.asgi import GatewayHandler  # noqa: E402

_gateway = GatewayHandler()
asynchronous.keep_connections(settings.DATABASE_THREADS)


async def application(scope: Any, receive: Any, send: Any) -> None:
    is_gateways = scope["type"] == "http" and scope["path"].startswith("/v1/")
    await (_gateway if is_gateways else _pages)(scope, receive, send)

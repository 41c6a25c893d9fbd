"""One replica as one event loop sees it: its connections, what is under way, whether it answers."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import httpx

from webapp.core.errors import Unavailable
from webapp.serving import engine_settings
from webapp.serving.engine.answers import AWAY, EngineRefused

log = logging.getLogger(__name__)

# A whole answer is one read: on a small machine, behind a queue of long prompts, it takes minutes.
TIMEOUT = httpx.Timeout(connect=5, read=600, write=30, pool=None)
# Idle connections are given up before the engine closes them (uvicorn: 5 s), which would break a request.
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=4)
AVOIDED_SECONDS = 5.0


class NotReached(Unavailable):
    """The replica gave no byte of an answer. `refused` says that nobody listens there."""

    def __init__(self, *, refused: bool) -> None:
        super().__init__(AWAY)
        self.refused = refused


class Replica:
    """`under_way` counts the requests that this process has open with it."""

    def __init__(self, named: engine_settings.Replica) -> None:
        self.named = named
        self.under_way = 0
        self._avoided_until = 0.0
        self._client = httpx.AsyncClient(
            base_url=named.url,
            headers={"Authorization": f"Bearer {named.token}"},
            timeout=TIMEOUT,
            limits=LIMITS,
            trust_env=False,  # a proxy has no business on the way to an engine
        )

    @property
    def healthy(self) -> bool:
        """Whether it answered when it was last asked, or that was a while ago."""
        return time.monotonic() >= self._avoided_until

    def avoid(self) -> None:
        """Ask others first for a while."""
        self._avoided_until = time.monotonic() + AVOIDED_SECONDS

    async def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """An open response of any status. Raises NotReached, EngineRefused for a number that JSON lacks."""
        try:
            content = json.dumps(body, allow_nan=False)
        except ValueError:  # Python reads 1e999
            raise EngineRefused(
                "A number in the request is not finite; send ordinary numbers.", status=400
            ) from None
        request = self._client.build_request(
            "POST", path, content=content, headers={"Content-Type": "application/json"}
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TransportError as error:
            raise self._not_reached(error) from None
        return response

    async def read(self, response: httpx.Response) -> None:
        """Read a response that is no answer to its end, and close it. Raises NotReached."""
        try:
            await response.aread()
        except httpx.TransportError as error:
            raise self._not_reached(error) from None
        finally:
            await response.aclose()

    def _not_reached(self, error: httpx.TransportError) -> NotReached:
        log.warning("The engine %s is not answering: %s", self.named.name, type(error).__name__)
        self.avoid()
        return NotReached(refused=isinstance(error, httpx.ConnectError | httpx.ConnectTimeout))

"""The calls that change or describe what a replica holds; made in threads and workers, never in a request's
event loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from webapp.core.errors import Unavailable
from webapp.serving.engine.answers import AWAY
from webapp.serving.engine.targets import BASE
from webapp.serving.engine_settings import Replica

LOAD_SECONDS = 120.0  # gigabytes of adapter from a slow disk
SECONDS = 10.0


class CallFailed(Unavailable):
    """The replica did not answer, or not with what was asked of it."""


class Calls:
    """One replica's adapter calls. Every method raises CallFailed when it does not answer."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def healthy(self) -> bool:
        """Whether its own health check says that it can answer."""
        try:
            return self._client.get("/health").status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False

    def adapters(self) -> list[str]:
        """The names of all loaded adapters. Raises CallFailed also where no base answers to “base”."""
        response = self._call("GET", "/v1/models")
        try:
            names = [str(card["id"]) for card in response.json()["data"]]
        except (ValueError, KeyError, TypeError):
            raise CallFailed(AWAY) from None
        if BASE not in names:
            raise CallFailed(
                f"The engine at {self._client.base_url} calls its base otherwise: start vLLM with "
                f"--served-model-name {BASE}."
            )
        return [name for name in names if name != BASE]

    def load(self, name: str, folder: Path) -> int:
        """The status of the answer."""
        body = {"lora_name": name, "lora_path": str(folder)}
        return self._call("POST", "/v1/load_lora_adapter", body, seconds=LOAD_SECONDS).status_code

    def unload(self, name: str) -> int:
        """The status of the answer: 404 where the name is not loaded."""
        return self._call("POST", "/v1/unload_lora_adapter", {"lora_name": name}).status_code

    def load_now(self) -> int | None:
        """Requests that wait or run there; None where it does not tell (vLLM tells only when asked to at its
        start)."""
        try:
            response = self._call("GET", "/load")
            return int(response.json()["server_load"]) if response.status_code == HTTPStatus.OK else None
        except (ValueError, KeyError, TypeError):
            return None

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, seconds: float = SECONDS
    ) -> httpx.Response:
        try:
            return self._client.request(method, path, json=body, timeout=seconds)
        except httpx.TransportError:
            raise CallFailed(AWAY) from None


@contextmanager
def calls_to(replica: Replica) -> Iterator[Calls]:
    with httpx.Client(
        base_url=replica.url, headers={"Authorization": f"Bearer {replica.token}"}, trust_env=False
    ) as client:
        yield Calls(client)

"""Bringing an adapter version into the engine: only files that are still the ones that were approved."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from http import HTTPStatus
from pathlib import Path

import httpx

from webapp.adapters import selectors as adapters
from webapp.adapters.models import AdapterVersion
from webapp.core.errors import Unavailable
from webapp.training import selectors as training

log = logging.getLogger(__name__)

WEIGHTS = "adapter_model.safetensors"
LOOKS, PAUSE = 50, 0.1  # how often, and how many seconds apart, to look for another process's load


async def load(client: httpx.AsyncClient, version: AdapterVersion) -> None:
    """Load the version under its engine name. Raises Unavailable when its base, its files or the engine
    forbid it."""
    if not await asyncio.to_thread(_is_of_served_base, version):
        raise Unavailable(f"{version} belongs to another base model than the engine serves; train it again.")
    folder = adapters.folder(version)
    await check_digest(version, folder / WEIGHTS)
    response = await client.post(
        "/v1/load_lora_adapter", json={"lora_name": version.engine_name, "lora_path": str(folder)}
    )
    if response.status_code == HTTPStatus.OK:
        return
    # Another process may have been first, or may be loading it right now: its name belongs to one version.
    if response.status_code == HTTPStatus.BAD_REQUEST and await _appears(client, version.engine_name):
        return
    log.error("The engine refused to load %s: HTTP %d", version.engine_name, response.status_code)
    raise Unavailable(f"The model engine could not load {version}; tell your operator.")


def _is_of_served_base(version: AdapterVersion) -> bool:
    """Another base of the same sizes would take the weights, and answer nonsense with them."""
    return training.is_of_served_base(version.run)


async def check_digest(version: AdapterVersion, weights: Path) -> None:
    """Raises Unavailable unless the weights on disk have the SHA-256 that the approver saw."""
    try:
        found = await asyncio.to_thread(_sha256, weights)
    except OSError:
        log.exception("The weights of version %s cannot be read.", version.id)
        raise Unavailable(f"The files of {version} cannot be read; tell your operator.") from None
    if found != version.sha256:
        log.error("The weights of version %s have the SHA-256 %s, not %s.", version.id, found, version.sha256)
        raise Unavailable(
            f"The files of {version} are not the ones that were approved, so it was not loaded; "
            "tell your operator."
        )


async def _appears(client: httpx.AsyncClient, name: str) -> bool:
    for _ in range(LOOKS):
        models = (await client.get("/v1/models")).json()
        if any(model.get("id") == name for model in models.get("data", [])):
            return True
        await asyncio.sleep(PAUSE)
    return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

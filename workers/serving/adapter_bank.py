"""The adapters in memory, by name. A name means one set of weights for as long as it is known."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from workers.serving.adapter_file import read_adapter
from workers.serving.config import LlamaConfig
from workers.serving.errors import EngineError, model_not_found
from workers.serving.lora import LoraLayer, fuse_layer

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")


@dataclass
class LoadedAdapter:
    """One adapter's matrices, and how many requests are using them."""

    name: str
    layers: tuple[LoraLayer, ...]
    created: int = field(default_factory=lambda: int(time.time()))
    users: int = 0


class AdapterBank:
    """Loads, lends and unloads adapters. Every method may be called from any thread."""

    def __init__(self, config: LlamaConfig, *, base_name: str, root: Path | None, places: int) -> None:
        self._config = config
        self._base_name = base_name
        self._root = root.resolve() if root else None
        self._places = places
        self._adapters: dict[str, LoadedAdapter] = {}
        self._reserved: set[str] = set()  # names being loaded or unloaded: known, and not to be used
        self._changed = threading.Condition()

    def names(self) -> list[tuple[str, int]]:
        """(name, time of loading in Unix seconds) of every adapter that answers requests."""
        with self._changed:
            return [(adapter.name, adapter.created) for adapter in self._adapters.values()]

    def __contains__(self, name: str) -> bool:
        with self._changed:
            return name in self._adapters

    def load(self, name: str, path: str) -> None:
        """Read and check the adapter at `path`, then answer to `name`. Raises EngineError and keeps none."""
        folder = self._inside_root(path)
        self._reserve(name)
        try:
            weights = read_adapter(folder, self._config)
            layers = tuple(fuse_layer(self._config, layer, weights.scaling) for layer in weights.layers)
            with self._changed:
                self._adapters[name] = LoadedAdapter(name, layers)
        except OSError:
            raise EngineError(
                "The adapter's files can't be read: check the path.", param="lora_path"
            ) from None
        finally:
            with self._changed:
                self._reserved.discard(name)

    def unload(self, name: str) -> None:
        """Forget an adapter: no new request finds it, those that use it end first, then its memory goes."""
        with self._changed:
            adapter = self._adapters.pop(name, None)
            if adapter is None:
                raise model_not_found(name)
            self._reserved.add(name)
            self._changed.wait_for(lambda: adapter.users == 0)
            self._reserved.discard(name)

    def acquire(self, name: str) -> LoadedAdapter:
        """The adapter of this name, kept in memory until `release`. Raises EngineError (404) if unknown."""
        with self._changed:
            adapter = self._adapters.get(name)
            if adapter is None:
                raise model_not_found(name)
            adapter.users += 1
            return adapter

    def release(self, adapter: LoadedAdapter) -> None:
        with self._changed:
            adapter.users -= 1
            self._changed.notify_all()

    def _reserve(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise EngineError(
                "An adapter's name has at most 128 letters, digits and . _ : @ - and starts with "
                "a letter or digit.",
                param="lora_name",
            )
        with self._changed:
            if name in self._adapters or name in self._reserved or name == self._base_name:
                # Never replaced in place: a name that changed its meaning could give the wrong answers.
                raise EngineError(
                    f"The name “{name}” is already in use: unload it first, or load under another name.",
                    param="lora_name",
                    code="already_loaded",
                )
            if len(self._adapters) + len(self._reserved) >= self._places:
                raise EngineError(
                    f"All {self._places} adapter places are taken: unload an adapter first.",
                    status=507,
                    kind="insufficient_storage",
                    code="no_place",
                )
            self._reserved.add(name)

    def _inside_root(self, path: str) -> Path:
        """The folder meant, with links followed. Outside the adapters' root nothing is looked at (CWE-22)."""
        try:
            folder = Path(path).resolve()
        except (OSError, ValueError, RuntimeError):
            raise EngineError("The path is not valid.", param="lora_path") from None
        if self._root is not None and not folder.is_relative_to(self._root):
            raise EngineError("The path lies outside the folder of adapters.", param="lora_path")
        return folder

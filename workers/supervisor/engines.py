"""Whether the supervisor starts an engine: where HOUSESTYLE_ENGINES names none, or one at its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from webapp.serving import engine_settings
from webapp.serving.engine_settings import EngineSettingsError, Kind
from workers.supervisor.errors import StartError

_HERE = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Own:
    """`token` is empty where the engine's is the shared one."""

    started: bool
    token: str = field(default="", repr=False)


def own(environment: Mapping[str, str], port: int) -> Own:
    """The engine to start: the one that nobody had to name, or of those that are named the embedded one on
    this machine's `port`. Raises StartError with one sentence for each thing that is wrong."""
    words = environment.get(engine_settings.VARIABLE, "")
    try:
        named = engine_settings.parse(words, environment)
    except EngineSettingsError as error:
        raise StartError("\n".join(error.problems)) from None
    if not named:
        return Own(started=True)
    for replica in named:
        at = urlsplit(replica.url)
        if replica.kind is Kind.EMBEDDED and at.hostname in _HERE and at.port == port:
            return Own(started=True, token=replica.token)
    return Own(started=False)

"""The web's way to the engines, which speak OpenAI's API and vLLM's adapter calls on a private network.

A request names the base or one adapter version by its engine name, and nothing else ever answers in its
place: an adapter that a replica does not know yet is loaded and asked once more, and where that fails the
caller gets an error.
"""

from webapp.serving.engine.answers import AWAY, BROKEN_OFF, EngineRefused, Event
from webapp.serving.engine.client import Engine, Route, cache_salt, engine
from webapp.serving.engine.targets import BASE

__all__ = [
    "AWAY",
    "BASE",
    "BROKEN_OFF",
    "Engine",
    "EngineRefused",
    "Event",
    "Route",
    "cache_salt",
    "engine",
]

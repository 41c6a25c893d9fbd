"""The settings of an answer that a program may send, each with its bounds: OpenAI's, and those of vLLM's that
all engines here take under the same name (top_k, min_p, repetition_penalty)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from webapp.gateway.requests.refusals import problem
from webapp.serving.engine import Route

# The most tokens that one answer may have; without a number the engine stops where its context ends.
MAX_TOKENS = 4096
MAX_ANSWERS = 8
MAX_STOPS, MAX_STOP = 16, 500  # strings, characters
MAX_BIASES = 1024
MAX_LOGPROBS = 20
MAX_TOP_K = 1_000_000
MAX_SCHEMA = 64 * 1024  # characters of JSON
_INT64 = 2**63

Check = Callable[[str, Any], Any]  # the field's name and value in, the value to send out


def _number(least: float, most: float, *, above: bool = False) -> Check:
    """A finite number from `least`, or from above it, to `most`."""
    words = f"above {least:g} and at most {most:g}" if above else f"from {least:g} to {most:g}"

    def check(name: str, value: Any) -> float:
        is_number = type(value) in (int, float) and math.isfinite(value)
        if not is_number or not least <= value <= most or (above and value == least):
            raise problem(name, f"must be a number {words}")
        return value  # type: ignore[no-any-return]

    return check


def _whole(least: int, most: int, *, words: str = "") -> Check:
    def check(name: str, value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise problem(name, f"must be a whole number {words or f'from {least} to {most}'}")
        return value

    return check


def _limit(least: int) -> Check:
    """At most MAX_TOKENS, whatever more is asked for: programs send their own model's limit."""

    def check(name: str, value: Any) -> int:
        if type(value) is not int or value < least:
            raise problem(name, f"must be a whole number of tokens, at least {least}")
        return min(value, MAX_TOKENS)

    return check


def _switch(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise problem(name, "must be true or false")
    return value


def _stop(name: str, value: Any) -> list[str]:
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > MAX_STOPS or not all(map(_is_stop, stops)):
        raise problem(
            name,
            f"must be at most {MAX_STOPS} strings, none of them empty or longer than {MAX_STOP} characters",
        )
    return stops


def _is_stop(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_STOP


def _logit_bias(name: str, value: Any) -> dict[str, float]:
    """OpenAI's form: token ids, written as strings because JSON has no other keys, to what is added."""
    is_right = isinstance(value, dict) and len(value) <= MAX_BIASES
    if not is_right or not all(token.isdecimal() and len(token) < 10 for token in value):
        raise problem(name, f"must be an object of at most {MAX_BIASES} token ids and their biases")
    bias = _number(-100, 100)
    return {str(int(token)): bias(f"{name}.{token}", added) for token, added in value.items()}


def _stream_options(name: str, value: Any) -> dict[str, bool]:
    known = {
        "include_usage",
        "include_obfuscation",
    }  # there is nothing to obfuscate: every token is sent alone
    if not isinstance(value, dict) or not all(isinstance(said, bool) for said in value.values()):
        raise problem(name, "must be an object such as {“include_usage”: true}")
    if set(value) - known:
        raise problem(f"{name}.{min(set(value) - known)[:60]}", "is not supported here; leave it out")
    return {"include_usage": value.get("include_usage", False)}


def _response_format(name: str, value: Any) -> dict[str, Any]:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind in ("text", "json_object"):
        return {"type": kind}
    if kind != "json_schema":
        raise problem(name, "must be an object whose type is text, json_object or json_schema")
    said = value.get("json_schema")
    schema = said.get("schema") if isinstance(said, dict) else None
    if not isinstance(schema, dict):
        raise problem(f"{name}.json_schema", "must be an object with a name and a schema")
    if len(json.dumps(schema)) > MAX_SCHEMA:
        raise problem(f"{name}.json_schema.schema", f"must be shorter than {MAX_SCHEMA:,} characters")
    title, strict = said.get("name", "answer"), said.get("strict")
    if not isinstance(title, str) or not isinstance(strict, bool | None):
        raise problem(f"{name}.json_schema", "must have a text as its name, and strict true or false")
    kept = {"name": title[:64], "schema": schema, **({} if strict is None else {"strict": strict})}
    return {"type": kind, "json_schema": kept}


_BOTH: dict[str, Check] = {
    "n": _whole(1, MAX_ANSWERS),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1, above=True),
    "top_k": _whole(-1, MAX_TOP_K),  # -1 and 0 turn it off
    "min_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "repetition_penalty": _number(0, 2, above=True),
    "seed": _whole(-_INT64, _INT64 - 1, words="of 64 bits"),
    "stop": _stop,
    "logit_bias": _logit_bias,
    "response_format": _response_format,
    "stream_options": _stream_options,
}
OF_ROUTE: dict[Route, dict[str, Check]] = {
    Route.CHAT: {
        **_BOTH,
        "max_tokens": _limit(1),
        "max_completion_tokens": _limit(1),
        "logprobs": _switch,
        "top_logprobs": _whole(0, MAX_LOGPROBS),
    },
    Route.COMPLETION: {
        **_BOTH,
        "max_tokens": _limit(0),  # nothing but the prompt's own logprobs, with echo
        "logprobs": _whole(0, MAX_LOGPROBS),
        "echo": _switch,
    },
}

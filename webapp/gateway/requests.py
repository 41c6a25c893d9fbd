"""What a program may ask of the engine: rebuilt field by field, never passed through.

Engines take more than OpenAI's API has, and some of it is dangerous to hand to outsiders: chat templates
(CVE-2024-34359), media they would fetch, cache salts, adapters by path. Those fields are dropped; any other
unknown one is refused by name, because ignoring it would change the answer silently.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webapp.core.errors import Invalid
from webapp.serving.engine import Route

# The most tokens that one answer may have; without a number the engine stops where its context ends.
MAX_TOKENS = 4096
LIVE = frozenset({"", "default", "live"})
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

_LIMITS = ("max_tokens", "max_completion_tokens")
_PASSED = frozenset({*_LIMITS, "temperature", "top_p", "seed", "stop", "stream_options"})
_DROPPED = frozenset(
    {
        *("chat_template", "chat_template_kwargs", "add_generation_prompt", "continue_final_message"),
        *("add_special_tokens", "documents", "mm_processor_kwargs", "media_io_kwargs", "prompt_embeds"),
        *("cache_salt", "lora_request", "lora_name", "lora_path", "adapter", "priority", "request_id"),
        # OpenAI's own, which change no answer:
        *("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"),
    }
)


@dataclass(frozen=True)
class Ask:
    """A checked request. `model` None means the live adapter; `body` is what the engine is sent."""

    model: str | None
    stream: bool
    body: dict[str, Any]


def parse(raw: bytes, route: Route) -> Ask:
    """The request in `raw`. Raises Invalid with one sentence that names the field at fault."""
    sent = _object(raw)
    ask = {name: value for name, value in sent.items() if value is not None and name not in _DROPPED}
    model, stream = ask.pop("model", ""), ask.pop("stream", False)
    if not isinstance(model, str):
        raise _problem("model", "must be the name of an adapter, or left empty for the live one")
    if not isinstance(stream, bool):
        raise _problem("stream", "must be true or false")
    if ask.pop("n", 1) != 1:
        raise _problem("n", "must be 1: send the request again for another answer")
    body = {name: ask.pop(name) for name in list(ask) if name in _PASSED}
    for name in _LIMITS:
        if isinstance(body.get(name), int):
            body[name] = min(body[name], MAX_TOKENS)
    if route is Route.CHAT:
        body["messages"] = _messages(ask.pop("messages", None))
    else:
        body["prompt"] = _prompt(ask.pop("prompt", None))
    if ask:
        name = min(ask)
        raise Invalid(
            f"The parameter “{name[:60]}” is not supported here; leave it out.",
            code="unknown_parameter",
            fields={name[:60]: "This parameter is not supported."},
        )
    return Ask(None if model in LIVE else model, stream, body)


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        sent = json.loads(raw)
    except (ValueError, RecursionError):
        raise Invalid("The request's body is not valid JSON.", code="invalid_json") from None
    if not isinstance(sent, dict):
        raise Invalid("The request's body must be a JSON object.", code="invalid_json")
    return sent


def _messages(value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise _problem("messages", "must be a list with at least one message")
    messages = []
    for position, message in enumerate(value):
        at = f"messages[{position}]"
        role = ROLES.get(str(message.get("role"))) if isinstance(message, dict) else None
        if role is None:
            raise _problem(at, "must be an object whose role is system, user or assistant")
        messages.append({"role": role, "content": _text(message.get("content"), f"{at}.content")})
    return messages


def _text(content: Any, at: str) -> str:
    """A message's text; OpenAI also allows a list of parts, of which only text can be read here."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = [part.get("text") for part in parts if _is_text(part)] if isinstance(parts, list) else []
    if not isinstance(parts, list) or len(texts) != len(parts) or not parts:
        raise _problem(at, "must be text: this model reads no images, sound or files")
    return "".join(texts)


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _prompt(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str):
        raise _problem("prompt", "must be one text: send several prompts one by one")
    return value


def _problem(name: str, rule: str) -> Invalid:
    return Invalid(f"The parameter “{name}” {rule}.", fields={name: f"It {rule}."})

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
from webapp.gateway.requests.parameters import MAX_TOKENS, OF_ROUTE
from webapp.gateway.requests.prompts import messages, prompts
from webapp.gateway.requests.refusals import problem
from webapp.serving.engine import Route

__all__ = ["MAX_TOKENS", "Ask", "parse"]

# What means the key's default where a model's name is expected.
DEFAULT = frozenset({"", "default"})

_DROPPED = frozenset(
    {
        *("chat_template", "chat_template_kwargs", "add_generation_prompt", "continue_final_message"),
        *("add_special_tokens", "documents", "mm_processor_kwargs", "media_io_kwargs", "prompt_embeds"),
        *("cache_salt", "lora_request", "lora_name", "lora_path", "adapter", "priority", "request_id"),
        # OpenAI's own, which change no answer:
        *("metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"),
    }
)


@dataclass(frozen=True)
class Ask:
    """A checked request. `model` None means the key's default; `body` is what the engine is sent.

    `user` is whom the program says it asks for: it is for our own use and never sent on.
    """

    model: str | None
    stream: bool
    body: dict[str, Any]
    user: str | None = None

    @property
    def answers(self) -> int:
        """How many answers the engine is to write: prompts times `n`."""
        prompt = self.body.get("prompt")
        prompts = prompt if isinstance(prompt, list) and not isinstance(prompt[0], int) else [prompt]
        return int(self.body.get("n", 1)) * len(prompts)

    @property
    def max_tokens(self) -> int | None:
        """The most tokens of one answer; None where the request sets no limit."""
        limit: int | None = self.body.get("max_completion_tokens", self.body.get("max_tokens"))
        return limit


def parse(raw: bytes, route: Route) -> Ask:
    """The request in `raw`. Raises Invalid with one sentence that names the field at fault."""
    sent = _object(raw)
    ask = {name: value for name, value in sent.items() if value is not None and name not in _DROPPED}
    model, stream, user = ask.pop("model", ""), ask.pop("stream", False), ask.pop("user", None)
    if not isinstance(model, str):
        raise problem("model", "must be the name of a model, or left empty for the key's default")
    if not isinstance(stream, bool):
        raise problem("stream", "must be true or false")
    body: dict[str, Any] = {}
    if route is Route.CHAT:
        body["messages"] = messages(ask.pop("messages", None))
    else:
        body["prompt"] = prompts(ask.pop("prompt", None))
    for name, check in OF_ROUTE[route].items():
        if name in ask:
            body[name] = check(name, ask.pop(name))
    if ask:
        name = min(ask)[:60]
        raise Invalid(
            f"The parameter “{name}” is not supported here; leave it out.",
            code="unknown_parameter",
            fields={name: "This parameter is not supported."},
        )
    if "top_logprobs" in body and not body.get("logprobs"):
        raise problem("top_logprobs", "needs “logprobs” to be true")
    return Ask(None if model in DEFAULT else model, stream, body, user if isinstance(user, str) else None)


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        sent = json.loads(raw.decode())
        if b"\\ud" in raw or b"\\uD" in raw:  # half of a surrogate pair is no text, and is refused here
            json.dumps(sent, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Invalid("The request's body is not valid JSON.", code="invalid_json") from None
    if not isinstance(sent, dict):
        raise Invalid("The request's body must be a JSON object.", code="invalid_json")
    return sent

"""What is asked: a conversation, or one or more prompts as text or as token ids."""

from __future__ import annotations

from typing import Any

from webapp.gateway.requests.refusals import problem

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
MAX_PROMPTS = 32
MAX_TOKEN_ID = 2**31 - 1

Prompt = str | list[int]


def messages(value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise problem("messages", "must be a list with at least one message")
    rebuilt = []
    for position, message in enumerate(value):
        at = f"messages[{position}]"
        role = ROLES.get(str(message.get("role"))) if isinstance(message, dict) else None
        if role is None:
            raise problem(at, "must be an object whose role is system, user or assistant")
        rebuilt.append({"role": role, "content": _text(message.get("content"), f"{at}.content")})
    return rebuilt


def _text(content: Any, at: str) -> str:
    """A message's text; OpenAI also allows a list of parts, of which only text can be read here."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = [part.get("text") for part in parts if _is_text(part)] if isinstance(parts, list) else []
    if not isinstance(parts, list) or len(texts) != len(parts) or not parts:
        raise problem(at, "must be text: this model reads no images, sound or files")
    return "".join(texts)


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def prompts(value: Any) -> Prompt | list[Prompt]:
    """One prompt, or a list of several; a list of one is that one, as every engine takes it."""
    if _is_prompt(value):
        return value  # type: ignore[no-any-return]
    if not isinstance(value, list) or not value or not all(_is_prompt(prompt) for prompt in value):
        raise problem("prompt", "must be text, a list of token ids, or a list of either")
    if len(value) > MAX_PROMPTS:
        raise problem("prompt", f"may hold {MAX_PROMPTS} prompts at most: send the rest in another request")
    if len({type(prompt) for prompt in value}) > 1:
        raise problem("prompt", "must be all text or all token ids")
    return value[0] if len(value) == 1 else value


def _is_prompt(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(type(token) is int and 0 <= token <= MAX_TOKEN_ID for token in value)
    return isinstance(value, str)

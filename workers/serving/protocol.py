"""What clients may ask: the part of OpenAI's API and vLLM's adapter calls that this engine speaks."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from workers.serving.errors import EngineError

_MAX_STOPS = 16
_INT64 = 2**63


class _Strict(BaseModel):
    """JSON types as they are written, and no unknown fields: a misspelt setting must not pass unnoticed."""

    model_config = ConfigDict(extra="forbid", strict=True)


Body = TypeVar("Body", bound=_Strict)


def parse(body: type[Body], raw: bytes) -> Body:
    """The request in `raw`. Raises EngineError in one sentence that names the field at fault."""
    try:
        return body.model_validate_json(raw)
    except ValidationError as error:
        raise _refusal(error) from None


class StreamOptions(_Strict):
    include_usage: bool = False


class Message(_Strict):
    role: Literal["system", "user", "assistant"]
    content: str

    @field_validator("content", mode="before")
    @classmethod
    def _join_text_parts(cls, content: Any) -> Any:
        """OpenAI also allows a list of parts; only text can be read here."""
        if not isinstance(content, list):
            return content
        if not all(isinstance(part, dict) and set(part) == {"type", "text"} for part in content):
            raise ValueError("may hold text parts only: this model reads no images, sound or files")
        if not all(part["type"] == "text" and isinstance(part["text"], str) for part in content):
            raise ValueError("may hold text parts only: this model reads no images, sound or files")
        return "".join(part["text"] for part in content)


class _Generation(_Strict):
    """What both kinds of completion share. None means the default, as clients send it."""

    model: str
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0, le=1, allow_inf_nan=False)
    seed: int | None = Field(default=None, ge=-_INT64, lt=_INT64)
    stop: list[str] = []
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    user: str | None = None  # for the caller's own records; nothing here depends on it
    cache_salt: str | None = None  # whose request it is: prefixes are shared under one salt only

    @field_validator("stop", mode="before")
    @classmethod
    def _list_of_stops(cls, stop: Any) -> Any:
        stops = [] if stop is None else [stop] if isinstance(stop, str) else stop
        if isinstance(stops, list) and ("" in stops or len(stops) > _MAX_STOPS):
            raise ValueError(f"must be at most {_MAX_STOPS} strings, none of them empty")
        return stops

    @field_validator("n")
    @classmethod
    def _one_answer(cls, n: int | None) -> int | None:
        if n not in (None, 1):
            raise ValueError(
                "must be 1: one answer is given to a request, so send the request again for more"
            )
        return n

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class ChatRequest(_Generation):
    """POST /v1/chat/completions"""

    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)

    @property
    def limit(self) -> int | None:
        """New tokens at most; None is as many as the context holds."""
        return self.max_completion_tokens or self.max_tokens


class CompletionRequest(_Generation):
    """POST /v1/completions"""

    prompt: str | list[int]

    @field_validator("prompt", mode="before")
    @classmethod
    def _one_prompt(cls, prompt: Any) -> Any:
        if isinstance(prompt, list) and any(not isinstance(token, int) for token in prompt):
            raise ValueError("must be one string or one list of token ids: send several prompts one by one")
        return prompt

    @property
    def limit(self) -> int:
        """New tokens at most; OpenAI's default for this route is 16."""
        return self.max_tokens or 16


class TokenizeRequest(_Strict):
    """POST /tokenize, vLLM's form of it for conversations"""

    model: str
    messages: list[Message] = Field(min_length=1)
    add_generation_prompt: bool = True
    return_token_strs: bool = False


class LoadAdapter(_Strict):
    """POST /v1/load_lora_adapter"""

    lora_name: str
    lora_path: str


class UnloadAdapter(_Strict):
    """POST /v1/unload_lora_adapter"""

    lora_name: str


def _refusal(error: ValidationError) -> EngineError:
    # Never pydantic's own text of the input: it would quote the prompt back, and into logs.
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    unknown = [_field(problem["loc"]) for problem in problems if problem["type"] == "extra_forbidden"]
    if unknown:
        return EngineError(
            f"Unknown parameter: {', '.join(unknown)}. Leave it out; this engine can't honour it.",
            param=unknown[0],
            code="unknown_parameter",
        )
    first = problems[0]
    name = _field(first["loc"])
    if first["type"] == "json_invalid":
        return EngineError("The request's body is not valid JSON.", code="invalid_json")
    if first["type"] == "missing":
        return EngineError(f"The parameter “{name}” is missing.", param=name, code="missing_parameter")
    said = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return EngineError(
        f"The parameter “{name}” {said}." if name else "The request's body must be a JSON object.", param=name
    )


def _field(location: tuple[int | str, ...]) -> str:
    """`messages[0].content` from pydantic's path, which also names the types it tried."""
    name = ""
    for part in location:
        if isinstance(part, int):
            name += f"[{part}]"
        elif part.isidentifier() and part not in ("str", "int"):
            name += f".{part}" if name else part
    return name

"""What clients may ask: the part of OpenAI's API and vLLM's adapter calls that this engine speaks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from workers.serving.errors import EngineError
from workers.serving.grammar import ANY_OBJECT
from workers.serving.wishes import Wishes

_INT64 = 2**63
_MAX_STOPS, _MAX_STOP = 16, 512  # strings, and characters of one
MAX_ANSWERS = 8  # to one prompt
MAX_PROMPTS = 32  # in one request
_MAX_BIASED = 1024  # tokens
_MAX_SCHEMA = 100_000  # characters
_MAX_TOP = 20  # likeliest tokens that may be told with every token
_MISPLACED = "misplaced."  # begins the type of a problem, and the field at fault follows


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
    continuous_usage_stats: bool = False  # vLLM's: every chunk says how far the answer is
    include_obfuscation: bool | None = None  # OpenAI's padding against eavesdroppers; none is sent here


class Message(_Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: str
    name: str | None = None  # chat templates have no place for it
    # What OpenAI's own answers have, so that they can be sent back as they came.
    refusal: None = None
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None
    tool_calls: None = None

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

    def for_template(self) -> dict[str, str]:
        """As chat templates know it; `developer` is OpenAI's later name of `system`."""
        return {"role": "system" if self.role == "developer" else self.role, "content": self.content}


class JsonSchema(_Strict):
    name: str
    description: str | None = None
    schema_: dict[str, Any] = Field(default={}, alias="schema")
    strict: bool | None = None  # it always is


class ResponseFormat(_Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _schema_where_it_belongs(self) -> ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("must have a json_schema if its type is json_schema, and only then")
        if self.json_schema and len(json.dumps(self.json_schema.schema_)) > _MAX_SCHEMA:
            raise ValueError(f"has a schema of more than {_MAX_SCHEMA} characters")
        return self

    @property
    def schema_wanted(self) -> dict[str, Any] | None:
        if self.json_schema is not None:
            return self.json_schema.schema_
        return ANY_OBJECT if self.type == "json_object" else None


class _Generation(_Strict):
    """What both kinds of completion share. None means the default, as clients send it."""

    model: str
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0, le=1, allow_inf_nan=False)
    top_k: int | None = Field(default=None, ge=-1, lt=_INT64)  # -1 and 0: all
    min_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    seed: int | None = Field(default=None, ge=-_INT64, lt=_INT64)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, allow_inf_nan=False)
    repetition_penalty: float | None = Field(default=None, gt=0, le=100, allow_inf_nan=False)
    logit_bias: dict[int, float] = {}
    stop: list[str] = []
    n: int | None = Field(default=None, ge=1, le=MAX_ANSWERS)
    response_format: ResponseFormat | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    cache_salt: str | None = None  # whose request it is: prefixes are shared under one salt only
    # For the caller's own records; nothing here depends on them, and nothing is kept.
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: Literal["auto", "default"] | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _list_of_stops(cls, stop: Any) -> Any:
        stops = [] if stop is None else [stop] if isinstance(stop, str) else stop
        if isinstance(stops, list) and ("" in stops or len(stops) > _MAX_STOPS):
            raise ValueError(f"must be at most {_MAX_STOPS} strings, none of them empty")
        if isinstance(stops, list) and any(isinstance(stop, str) and len(stop) > _MAX_STOP for stop in stops):
            raise ValueError(f"must be strings of at most {_MAX_STOP} characters")
        return stops

    @field_validator("logit_bias", mode="before")
    @classmethod
    def _numbers_by_token(cls, bias: Any) -> Any:
        """JSON has only strings as keys."""
        if not isinstance(bias, dict):
            return {} if bias is None else bias
        if len(bias) > _MAX_BIASED or not all(_is_token(key) for key in bias):
            raise ValueError(f"must have token ids as keys, {_MAX_BIASED} at most")
        if not all(_is_number(value) and -100 <= value <= 100 for value in bias.values()):
            raise ValueError("must have numbers from -100 to 100 as values")
        return {int(key): float(value) for key, value in bias.items()}

    @model_validator(mode="after")
    def _options_of_streams(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise _misplaced("stream_options", "is for streams: leave it out, or set stream to true")
        return self

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def usage_of_chunks(self) -> bool:
        return self.include_usage and self.stream_options.continuous_usage_stats  # type: ignore[union-attr]

    @property
    def wishes(self) -> Wishes:
        """What is asked for, without what stands for the default."""
        return Wishes(
            answers=self.n or 1,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            top_k=max(self.top_k or 0, 0),
            min_p=self.min_p or 0.0,
            seed=self.seed,
            presence=self.presence_penalty or 0.0,
            frequency=self.frequency_penalty or 0.0,
            repetition=1.0 if self.repetition_penalty is None else self.repetition_penalty,
            bias=self.logit_bias,
            stops=tuple(self.stop),
            schema=self.response_format.schema_wanted if self.response_format else None,
            cache_salt=self.cache_salt or "",
        )


class ChatRequest(_Generation):
    """POST /v1/chat/completions"""

    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=_MAX_TOP)

    @model_validator(mode="after")
    def _likeliest_of_what_is_told(self) -> ChatRequest:
        if self.top_logprobs is not None and not self.logprobs:
            raise _misplaced("top_logprobs", "needs logprobs: set that to true")
        return self

    @property
    def wishes(self) -> Wishes:
        return replace(
            super().wishes,
            limit=self.max_completion_tokens or self.max_tokens,
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )


class CompletionRequest(_Generation):
    """POST /v1/completions"""

    prompt: list[str | list[int]]
    max_tokens: int | None = Field(default=None, ge=0)
    logprobs: int | None = Field(default=None, ge=0, le=_MAX_TOP)
    echo: bool | None = None
    best_of: int | None = None
    suffix: Literal[""] | None = None

    @field_validator("prompt", mode="before")
    @classmethod
    def _list_of_prompts(cls, prompt: Any) -> Any:
        """Text, token ids, or a list of either."""
        prompts = prompt if isinstance(prompt, list) and not _are_tokens(prompt) else [prompt]
        if not all(isinstance(one, str) or (isinstance(one, list) and _are_tokens(one)) for one in prompts):
            raise ValueError("must be a text, a list of token ids, or a list of such")
        if not 1 <= len(prompts) <= MAX_PROMPTS:
            raise ValueError(f"must be at most {MAX_PROMPTS} prompts, and at least one")
        return prompts

    @model_validator(mode="after")
    def _what_goes_together(self) -> CompletionRequest:
        if self.max_tokens == 0 and not self.echo:
            raise _misplaced("max_tokens", "must be at least 1, or 0 with echo")
        if self.best_of not in (None, self.n or 1):
            raise _misplaced("best_of", "must be as n: leave it out")
        return self

    @property
    def wishes(self) -> Wishes:
        return replace(
            super().wishes,
            # OpenAI's default for this route.
            limit=16 if self.max_tokens is None else self.max_tokens,
            logprobs=self.logprobs,
            prompt_logprobs=bool(self.echo) and self.logprobs is not None,
        )


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


def _is_token(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_tokens(values: list[Any]) -> bool:
    return bool(values) and all(type(value) is int for value in values)


def _misplaced(field: str, said: str) -> PydanticCustomError:
    """For a field that is right by itself, but not beside another."""
    return PydanticCustomError(f"{_MISPLACED}{field}", said)


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
    if first["type"].startswith(_MISPLACED):
        name = first["type"].removeprefix(_MISPLACED)
    if first["type"] == "json_invalid":
        return EngineError("The request's body is not valid JSON.", code="invalid_json")
    if first["type"] == "missing":
        return EngineError(f"The parameter “{name}” is missing.", param=name, code="missing_parameter")
    said = first["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("List ")
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

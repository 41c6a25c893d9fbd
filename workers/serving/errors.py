"""What the engine says when it refuses: one sentence, in OpenAI's error shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class EngineError(Exception):
    """A refusal with an HTTP status. `param` names the field at fault, `code` is for programs, and after
    `retry_after` seconds the same request may be welcome."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.kind, self.param, self.code = message, status, kind, param, code
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True)
class Failed:
    """A request ended without an answer; one sentence for the caller. `param` names the field at fault,
    where it is the request's own."""

    message: str
    param: str | None = None


class StartError(Exception):
    """The engine can't start; the message is one sentence for the operator."""


def model_not_found(name: str) -> EngineError:
    return EngineError(
        f"The model “{name}” does not exist here; GET /v1/models lists those that do.",
        status=404,
        kind="not_found_error",
        param="model",
        code="model_not_found",
    )

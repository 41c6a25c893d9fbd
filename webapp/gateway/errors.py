"""Errors in OpenAI's shape, so that their clients raise what their users expect."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import JsonResponse

from webapp.core.errors import AppError
from webapp.tenants import bearer

TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "service_unavailable_error",
}


# Limits of the firm's own: OpenAI's clients tell them apart by the type too.
LIMIT_CODES = frozenset({"rate_limit_exceeded", "insufficient_quota"})


class InvalidKey(AppError):
    code = "invalid_api_key"
    status = HTTPStatus.UNAUTHORIZED

    def __init__(self, message: str = bearer.WRONG_KEY) -> None:
        super().__init__(message)


class WrongMethod(AppError):
    code = "method_not_allowed"
    status = HTTPStatus.METHOD_NOT_ALLOWED


class NoLiveAdapter(AppError):
    """404 and not 409, which OpenAI's clients would send again."""

    code = "no_live_adapter"
    status = HTTPStatus.NOT_FOUND

    def __init__(self) -> None:
        super().__init__("Your firm has no live adapter; ask an approver to put one live.")


class NoDefaultAdapter(AppError):
    """Retired, or its member is screened off it: the two must look the same."""

    code = "no_default_adapter"
    status = HTTPStatus.NOT_FOUND

    def __init__(self) -> None:
        super().__init__(
            "The adapter that answers this API key by default is not there any more; name another one, or "
            "change the key's default."
        )


class ModelNotFound(AppError):
    code = "model_not_found"
    status = HTTPStatus.NOT_FOUND

    def __init__(self) -> None:
        super().__init__(
            "There is no such model for this API key; GET /v1/models lists those that it may name, and an "
            "empty model means its default.",
            fields={"model": "There is no such model."},
        )


class Fault(AppError):
    code = "server_error"
    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self) -> None:
        super().__init__("Something went wrong on our side; send the request again, or tell your operator.")


def body(error: AppError) -> dict[str, Any]:
    """`{"error": {"message", "type", "param", "code"}}`."""
    other = "server_error" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    kind = error.code if error.code in LIMIT_CODES else TYPES.get(error.status, other)
    param = next(iter(error.fields), None)
    return {"error": {"message": error.message, "type": kind, "param": param, "code": error.code}}


def response(error: AppError) -> JsonResponse:
    """The error with its headers: those of limits, and in how many seconds it is worth another try."""
    answer = JsonResponse(body(error), status=error.status, headers=getattr(error, "headers", None))
    if (seconds := getattr(error, "retry_after", None)) is not None:
        answer["Retry-After"] = str(seconds)
    if error.status == HTTPStatus.UNAUTHORIZED:
        answer["WWW-Authenticate"] = 'Bearer realm="housestyle"'
    return answer

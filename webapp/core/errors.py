"""Typed errors that carry data. One handler turns them into pages, one (webapp.api.errors) into JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


class AppError(Exception):
    """An expected problem. `message` is one sentence for the person, `fields` maps fields to theirs."""

    code = "error"
    status = HTTPStatus.BAD_REQUEST

    def __init__(
        self, message: str, *, code: str | None = None, fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.fields = dict(fields or {})


class Invalid(AppError):
    """What was sent cannot be used as it is."""

    code = "invalid"


class NotAllowed(AppError):
    """A member of the firm whose role does not cover this. Outsiders get NotFound instead."""

    code = "not_allowed"
    status = HTTPStatus.FORBIDDEN


class NotFound(AppError):
    """There is no such thing, or it is not this firm's: the two must look the same."""

    code = "not_found"
    status = HTTPStatus.NOT_FOUND

    def __init__(self, message: str = "There is nothing here, or it is not yours to see.") -> None:
        super().__init__(message)


class Conflict(AppError):
    """Right in itself, but not in the present state."""

    code = "conflict"
    status = HTTPStatus.CONFLICT


class Unavailable(AppError):
    """A part of the product is away for the moment."""

    code = "unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class ErrorPages:
    """Middleware: an AppError that reaches the top of a page becomes that page's error."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, AppError):
            return None
        return render(request, "error.html", {"error": exception}, status=exception.status)

"""One shape for every refusal: `{"error": {"code", "message", "fields"}}`, `message` being one sentence."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from webapp.core.errors import AppError, NotFound

SIGN_IN = "Send an API key in the header “Authorization: Bearer …”, or sign in."


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """The response to `error`; None for a bug, which is Django's to log and answer."""
    if isinstance(error, Http404):
        error = NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, AppError):
        return Response(body(error.code, error.message, error.fields), status=error.status)
    if not isinstance(error, exceptions.APIException):
        return None
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    return Response(_of_framework(error), status=error.status_code, headers=headers)


def body(code: str, message: str, fields: dict[str, str]) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "fields": fields}}


def _of_framework(error: exceptions.APIException) -> dict[str, Any]:
    if isinstance(error, exceptions.NotAuthenticated):
        return body("not_authenticated", SIGN_IN, {})
    if isinstance(error, exceptions.ValidationError):
        fields = dict(_sentences(error.detail))
        about = [f"{name}: {said}" if name else said for name, said in fields.items()]
        return body("invalid", " ".join(about), {name: said for name, said in fields.items() if name})
    code = error.get_codes()
    status = HTTPStatus(error.status_code)
    return body(code if isinstance(code, str) else status.name.lower(), _flat(error.detail), {})


def _sentences(detail: Any) -> list[tuple[str, str]]:
    """`(field, sentence)` of each problem; the field is empty for a problem of the whole."""
    if isinstance(detail, dict):
        return [
            ("" if name == "non_field_errors" else str(name), _flat(said)) for name, said in detail.items()
        ]
    return [("", _flat(detail))]


def _flat(detail: Any) -> str:
    if isinstance(detail, dict):
        return " ".join(f"{name}: {_flat(said)}" for name, said in detail.items())
    if isinstance(detail, list):
        return " ".join(dict.fromkeys(filter(None, map(_flat, detail))))
    return str(detail)

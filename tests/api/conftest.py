from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.conftest import Firm
from webapp.tenants.models import Membership

Call = Callable[..., Any]  # the test client answers with a class of its own making


@pytest.fixture
def call(client: Client) -> Call:
    """Call the API as a program that has `member`'s key: `call(member, "GET", "documents/")`."""
    keys: dict[Any, str] = {}

    def call(member: Membership, method: str, path: str, body: Any = None, **kwargs: Any) -> Any:
        if member.pk not in keys:
            keys[member.pk] = Firm(member.tenant, {}).key(member)
        headers = {"Authorization": f"Bearer {keys[member.pk]}"}
        if method == "UPLOAD":
            return client.post(f"/api/v1/{path}", {"file": body}, headers=headers)
        if body is not None:
            kwargs |= {"data": body, "content_type": "application/json"}
        send = getattr(client, method.lower())
        return send(f"/api/v1/{path}", headers=headers, **kwargs)

    return call


def refusal(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The error of a refusal, once its shape is checked."""
    assert answer.status_code == status, answer.content
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"code", "message", "fields"}
    assert error["code"] == code, error
    assert error["message"]
    return error

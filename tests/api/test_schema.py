from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from tests.conftest import Firm
from webapp.tenants.models import Membership


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    out = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def test_the_schema_is_valid_and_without_warnings(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.")


def test_the_schema_describes_every_resource(schema: dict[str, Any]) -> None:
    paths = {path.removeprefix("/api/v1/").partition("/")[0] for path in schema["paths"]}
    assert paths == {
        "documents",
        "matters",
        "datasets",
        "runs",
        "adapters",
        "versions",
        "approvals",
        "deployments",
        "usage",
        "rollouts",
    }
    assert "post" in schema["paths"]["/api/v1/versions/{id}/put-live/"]


def test_every_operation_names_how_to_authenticate(schema: dict[str, Any]) -> None:
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    assert len(operations) > 20
    for operation in operations:
        assert operation["security"] == [{"apiKey": []}, {"session": []}]


@pytest.mark.django_db
def test_the_page_shows_the_schema_without_loosening_scripts(
    signed_in: Callable[[Membership], Client], firm: Firm
) -> None:
    client = signed_in(firm.erin)
    page = client.get("/api/v1/docs/")
    assert page.status_code == 200
    policy = page["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "script-src" not in policy, "scripts fall back to default-src 'self'"
    assert b"<script>" not in page.content, "no script stands in the page itself"
    assert client.get("/api/v1/schema/").json()["info"]["title"] == "Housestyle"
    assert "unsafe" not in client.get("/api/v1/schema/")["Content-Security-Policy"]

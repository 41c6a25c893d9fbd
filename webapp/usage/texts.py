"""What was asked and answered, kept only where a firm's admin turned that on: sealed as documents are."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from webapp.core import storage
from webapp.core.tenancy import firm_scope
from webapp.tenants import selectors as tenants
from webapp.usage import services
from webapp.usage.models import UsageRow
from webapp.usage.services import End

AREA = "usage"


def close_with(
    *, tenant_id: uuid.UUID, row_id: uuid.UUID, end: End, kept: Mapping[str, Any], until: datetime
) -> None:
    """Close the row with its text beside it; a text without a row is left nowhere."""
    with firm_scope(tenant_id):
        tenant = tenants.tenant(tenant_id)
    data = json.dumps(kept, ensure_ascii=False).encode("utf-8", "surrogatepass")
    stored = storage.put(tenant_id=tenant_id, wrapped_key=tenant.wrapped_key, area=AREA, data=data)
    with_text = replace(end, text_name=stored.name, text_until=until)
    if not services.close_row(tenant_id=tenant_id, row_id=row_id, end=with_text):
        storage.delete(stored.name)


def text_of(row: UsageRow) -> dict[str, Any] | None:
    """`{"asked", "answers"}` of a row, or None where none is kept."""
    if not row.text_name:
        return None
    tenant = tenants.tenant(row.tenant_id)
    data = storage.get(tenant_id=tenant.id, wrapped_key=tenant.wrapped_key, name=row.text_name)
    kept: dict[str, Any] = json.loads(data.decode("utf-8", "surrogatepass"))
    return kept


def forget(row: UsageRow) -> None:
    """Delete a row's text for good; the row stays."""
    name = row.text_name
    UsageRow.objects.of(row.tenant_id).filter(id=row.id).update(text_name="", text_until=None)
    storage.delete(name)

"""Reading usage: what limits a request, and what the database knows of what was asked."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import QuerySet, Sum
from django.utils import timezone

from webapp.adapters import selectors as adapters
from webapp.adapters.models import AdapterVersion
from webapp.core import rows
from webapp.core.errors import NotFound
from webapp.core.tenancy import firm_scope
from webapp.tenants.models import ApiKey
from webapp.usage.allowances import UNLIMITED, Allowance, Known, Open, allowance_of, default_allowance
from webapp.usage.models import Limit, TextLog, UsageHour, UsageRow

# One statement sees one moment: a row is either among the open ones or in the sums, never in both.
_KNOWN = """
WITH RECURSIVE line AS (
    SELECT id FROM tenants_apikey WHERE tenant_id = %(tenant)s AND id = %(key)s
    UNION
    SELECT newer.id FROM tenants_apikey newer JOIN line ON newer.replaces_id = line.id
)
SELECT
    (SELECT coalesce(sum(tokens_in + tokens_out + tokens_unknown), 0) FROM usage_usagehour
        WHERE tenant_id = %(tenant)s AND hour >= %(month)s AND hour < %(next)s
            AND (%(key)s::uuid IS NULL OR key_id IN (SELECT id FROM line))),
    (SELECT coalesce(json_agg(json_build_array(
            id, reserved, floor(extract(epoch FROM started_at)), started_at >= %(month)s)), '[]')
        FROM usage_usagerow
        WHERE tenant_id = %(tenant)s AND status IS NULL
            AND (%(key)s::uuid IS NULL OR key_id IN (SELECT id FROM line))),
    (SELECT coalesce(json_agg(json_build_array(second, requests, tokens)), '[]') FROM (
        SELECT floor(extract(epoch FROM started_at)) AS second, count(*) AS requests,
            sum(CASE WHEN status IS NULL THEN reserved ELSE tokens_in + tokens_out + tokens_unknown END)
                AS tokens
        FROM usage_usagerow
        WHERE tenant_id = %(tenant)s AND started_at >= %(recent)s AND reserved > 0
            AND (%(key)s::uuid IS NULL OR key_id IN (SELECT id FROM line))
        GROUP BY 1) seconds)
"""


@dataclass(frozen=True)
class Terms:
    """On which terms a request is answered. `counted_as`: the key whose limits they are. `text_days`: how
    long its text is kept; None is not at all."""

    firm: Allowance
    key: Allowance
    counted_as: uuid.UUID | None
    text_days: int | None


def terms(tenant_id: uuid.UUID, key: ApiKey | None = None) -> Terms:
    """Of a request with this key, or without one from the playground."""
    first = first_of_line(key) if key else None
    sql = """
        SELECT {f}, {k}, l.days FROM (SELECT) always
        LEFT JOIN usage_limit f ON f.tenant_id = %(tenant)s AND f.key_id IS NULL
        LEFT JOIN usage_limit k ON k.tenant_id = %(tenant)s AND k.key_id = %(key)s
        LEFT JOIN usage_textlog l ON l.tenant_id = %(tenant)s AND l.on
        """
    found = rows.one(sql, {"tenant": tenant_id, "key": first}, f=Limit, k=Limit)
    firm, own, days = found or (None, None, None)
    return Terms(
        allowance_of(firm) if firm else default_allowance(),
        allowance_of(own) if own else UNLIMITED,
        first,
        days,
    )


def first_of_line(key: ApiKey) -> uuid.UUID:
    """The key that this one came from by rotation: limits are its, so that no rotation gets around them."""
    first: ApiKey = key
    while first.replaces_id:
        first = ApiKey.objects.of(key.tenant_id).only("id", "replaces", "tenant").get(id=first.replaces_id)
    first_id: uuid.UUID = first.id
    return first_id


def text_log(tenant_id: uuid.UUID) -> TextLog:
    """The firm's choice; off where it made none."""
    return TextLog.objects.of(tenant_id).first() or TextLog(tenant_id=tenant_id)


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """The calendar month (UTC) that holds `moment`: its first moment and the next one's."""
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first, (first + timedelta(days=32)).replace(day=1)


def known(tenant_id: uuid.UUID, key_id: uuid.UUID | None, month: datetime, *, seconds: int) -> Known:
    """What counts of a firm (`key_id` None), or of a key and those that replaced it: see Known."""
    first, following = month_of(month)
    values = {
        "tenant": tenant_id,
        "key": key_id,
        "month": first,
        "next": following,
        "recent": timezone.now() - timedelta(seconds=seconds + 1),
    }
    with firm_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(_KNOWN, values)
        settled, opened, recent = cursor.fetchone()
    return Known(
        int(settled),
        [Open(uuid.UUID(row), tokens, int(second), here) for row, tokens, second, here in _rows(opened)],
        [(int(second), requests, int(tokens)) for second, requests, tokens in _rows(recent)],
    )


def _rows(found: object) -> list[list]:  # type: ignore[type-arg]
    return json.loads(found) if isinstance(found, str) else found  # type: ignore[return-value]


def used_this_month(tenant_id: uuid.UUID, *, key_id: uuid.UUID | None = None) -> int:
    """Tokens of the calendar month (UTC) that count towards a budget, requests under way with their most."""
    found = known(tenant_id, key_id, timezone.now(), seconds=0)
    return found.settled + sum(one.tokens for one in found.open if one.this_month)


def limits(tenant_id: uuid.UUID) -> dict[uuid.UUID | None, Limit]:
    """What was set, by key; the firm's own under None."""
    return {limit.key_id: limit for limit in Limit.objects.of(tenant_id)}


def keys(tenant_id: uuid.UUID) -> QuerySet[ApiKey]:
    """All of the firm's keys that may be limited, the newest first."""
    found: QuerySet[ApiKey] = (
        ApiKey.objects.of(tenant_id)
        .filter(revoked_at=None)
        .select_related("member__user")
        .order_by("-created_at")
    )
    return found


def all_keys(tenant_id: uuid.UUID) -> QuerySet[ApiKey]:
    """Revoked ones too: what they asked was asked."""
    found: QuerySet[ApiKey] = ApiKey.objects.of(tenant_id)
    return found


def versions(tenant_id: uuid.UUID) -> QuerySet[AdapterVersion]:
    return adapters.versions(tenant_id)


def key(tenant_id: uuid.UUID, key_id: uuid.UUID) -> ApiKey:
    """The gate to a key whose limits are set. Raises NotFound."""
    found = keys(tenant_id).filter(id=key_id).first()
    if found is None:
        raise NotFound
    return found


def requests(tenant_id: uuid.UUID) -> QuerySet[UsageRow]:
    """Requests, the latest first."""
    found: QuerySet[UsageRow] = (
        UsageRow.objects.of(tenant_id)
        .select_related("key", "member__user", "version__adapter")
        .order_by("-started_at")
    )
    return found


def request(tenant_id: uuid.UUID, row_id: uuid.UUID) -> UsageRow:
    """The gate to a request. Raises NotFound."""
    found: UsageRow | None = requests(tenant_id).filter(id=row_id).first()
    if found is None:
        raise NotFound
    return found


def hours(tenant_id: uuid.UUID) -> QuerySet[UsageHour]:
    """The sums of each hour, key and version."""
    found: QuerySet[UsageHour] = UsageHour.objects.of(tenant_id)
    return found


SUMS = {
    name: Sum(name, default=0) for name in ("requests", "errors", "tokens_in", "tokens_out", "tokens_unknown")
}

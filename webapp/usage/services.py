"""Writing usage: a row is opened before a request is let in and closed once, its hour's sums with it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from webapp.adapters.models import AdapterVersion
from webapp.audit import services as audit
from webapp.core.errors import Invalid
from webapp.core.tenancy import firm_scope
from webapp.tenants.models import ApiKey, Membership
from webapp.tenants.permissions import Action, require
from webapp.usage import selectors
from webapp.usage.models import Ending, Limit, Source, TextLog, UsageRow

# A row that its process has not renewed for so long is a dead process's.
ROW_LEASE = timedelta(minutes=3)
MAX_DAYS = 365
# Each limit and the most that it can be set to: what the database and Redis count exactly.
LIMITS = {
    "requests_per_minute": 2**31 - 1,
    "tokens_per_minute": 2**31 - 1,
    "concurrent": 100_000,
    "monthly_tokens": 10**15,
}

_OPEN = """
INSERT INTO usage_usagerow
    (id, tenant_id, key_id, member_id, version_id, source, started_at, lease_until, reserved, ending, error,
    tokens_in, tokens_out, tokens_unknown, text_name)
VALUES (%(id)s, %(tenant)s, %(key)s, %(member)s, %(version)s, %(source)s, %(started_at)s, %(lease_until)s,
    %(reserved)s, '', '', 0, 0, 0, '')
"""
# One statement: a row that is closed already closes no second time and adds to no sum.
_CLOSE = """
WITH closed AS (
    UPDATE usage_usagerow SET
        status = %(status)s, ending = %(ending)s, error = %(error)s,
        tokens_in = %(tokens_in)s, tokens_out = %(tokens_out)s,
        tokens_unknown = CASE WHEN %(unknown)s THEN reserved ELSE 0 END,
        reserved = CASE WHEN %(let_in)s THEN reserved ELSE 0 END,
        ttft_ms = %(ttft_ms)s, duration_ms = %(duration_ms)s,
        text_name = %(text_name)s, text_until = %(text_until)s
    WHERE tenant_id = %(tenant)s AND id = %(id)s AND status IS NULL
        AND (%(dead_at)s::timestamptz IS NULL OR lease_until < %(dead_at)s)
    RETURNING tenant_id, key_id, version_id, started_at, tokens_unknown
)
INSERT INTO usage_usagehour AS sums
    (id, tenant_id, hour, key_id, version_id, requests, errors, tokens_in, tokens_out, tokens_unknown)
SELECT gen_random_uuid(), tenant_id, date_trunc('hour', started_at, 'UTC'), key_id, version_id,
    1, %(is_error)s, %(tokens_in)s, %(tokens_out)s, tokens_unknown FROM closed
ON CONFLICT (tenant_id, hour, key_id, version_id) DO UPDATE SET
    requests = sums.requests + 1,
    errors = sums.errors + excluded.errors,
    tokens_in = sums.tokens_in + excluded.tokens_in,
    tokens_out = sums.tokens_out + excluded.tokens_out,
    tokens_unknown = sums.tokens_unknown + excluded.tokens_unknown
"""


@dataclass(frozen=True)
class End:
    """How a request ended. `unknown`: nobody knows how many tokens it used, so its reservation counts."""

    status: int
    ending: Ending
    error: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    unknown: bool = False
    let_in: bool = True
    ttft_ms: int | None = None
    duration_ms: int | None = None
    text_name: str = ""
    text_until: datetime | None = None


def open_row(
    *,
    member: Membership,
    key: ApiKey | None,
    version: AdapterVersion | None,
    source: Source,
    started_at: datetime,
    reserved: int,
) -> uuid.UUID:
    """The id of a new row, which is under way. In the caller's transaction and scope."""
    row_id = uuid.uuid4()
    values = {
        "id": row_id,
        "tenant": member.tenant_id,
        "key": key.id if key else None,
        "member": member.id,
        "version": version.id if version else None,
        "source": source.value,
        "started_at": started_at,
        "lease_until": started_at + ROW_LEASE,
        "reserved": reserved,
    }
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, values)
    return row_id


def close_row(*, tenant_id: uuid.UUID, row_id: uuid.UUID, end: End, dead_at: datetime | None = None) -> bool:
    """Close a row and add it to its hour; False where it is closed already. With `dead_at` only one whose
    lease had run out by then."""
    values: dict[str, Any] = {
        "tenant": tenant_id,
        "id": row_id,
        "status": end.status,
        "ending": end.ending.value,
        "error": end.error[:60],
        "tokens_in": end.tokens_in,
        "tokens_out": end.tokens_out,
        "unknown": end.unknown,
        "let_in": end.let_in,
        "ttft_ms": end.ttft_ms,
        "duration_ms": end.duration_ms,
        "text_name": end.text_name,
        "text_until": end.text_until,
        "is_error": int(end.status >= 400),
        "dead_at": dead_at,
    }
    # For the whole firm: the hour's sums must be seen to be added to, whoever was screened off meanwhile.
    with firm_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(_CLOSE, values)
        return bool(cursor.rowcount)


def record_refused(
    *,
    member: Membership,
    key: ApiKey | None,
    source: Source,
    started_at: datetime,
    status: int,
    code: str,
) -> uuid.UUID:
    """The row of a request that was refused before it was known what would answer it."""
    passed = round((timezone.now() - started_at).total_seconds() * 1000)
    ending = Ending.REFUSED if status < 500 else Ending.FAILED
    with firm_scope(member.tenant_id):
        row_id = open_row(
            member=member, key=key, version=None, source=source, started_at=started_at, reserved=0
        )
        end = End(status, ending, code, let_in=False, duration_ms=passed)
        close_row(tenant_id=member.tenant_id, row_id=row_id, end=end)
    return row_id


def renew_rows(tenant_id: uuid.UUID, ids: Sequence[uuid.UUID]) -> None:
    """Their process lives."""
    with firm_scope(tenant_id):
        rows = UsageRow.objects.of(tenant_id).filter(id__in=ids, status=None)
        rows.update(lease_until=timezone.now() + ROW_LEASE)


@transaction.atomic
def set_limits(*, member: Membership, key: ApiKey | None, numbers: dict[str, int | None]) -> None:
    """Set all limits of the firm (`key` None) or of one of its keys; None is no limit of that kind."""
    require(member, Action.MANAGE)
    wrong = {
        name: f"Write a number from 1 to {most:,}, or nothing."
        for name, most in LIMITS.items()
        if not 1 <= (numbers.get(name) or most) <= most or numbers.get(name) == 0
    }
    if wrong:
        raise Invalid("These limits cannot be set.", fields=wrong)
    values = {name: numbers.get(name) for name in LIMITS}
    first = selectors.first_of_line(key) if key else None
    limit, _ = Limit.objects.update_or_create(tenant_id=member.tenant_id, key_id=first, defaults=values)
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="usage.limits_set",
        target=key or member.tenant,
        **({"name": key.name} if key else {}),
        **{name: getattr(limit, name) for name in LIMITS},
    )


@transaction.atomic
def set_text_log(*, member: Membership, on: bool, days: int) -> None:
    """Keep what is asked and answered from now on, or stop. What was kept stays until its days are over."""
    require(member, Action.MANAGE)
    if not 1 <= days <= MAX_DAYS:
        raise Invalid(
            f"Texts are kept for 1 to {MAX_DAYS} days.",
            fields={"days": f"Write a number from 1 to {MAX_DAYS}."},
        )
    TextLog.objects.update_or_create(tenant_id=member.tenant_id, defaults={"on": on, "days": days})
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="usage.texts_on" if on else "usage.texts_off",
        target=member.tenant,
        days=days,
    )

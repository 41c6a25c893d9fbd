"""What a worker does for usage now and then: it ends what dead processes left, and sets Redis right."""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import redis
from django.conf import settings
from django.utils import timezone

from webapp.core.tenancy import firm_scope, worker_scope
from webapp.usage import limits, services, texts
from webapp.usage.models import Ending, UsageRow
from webapp.usage.services import End

log = logging.getLogger(__name__)

AT_ONCE = 500
DIED = "process_died"


def run() -> None:
    """All of it. What Redis cannot be told now it is told the next time."""
    close_dead()
    forget_old_texts()
    try:
        tell_redis()
    except redis.RedisError as error:
        log.warning("Redis is away, so it is told later what ended: %s", type(error).__name__)


def close_dead(now: datetime | None = None) -> int:
    """Close the rows whose process no longer renews them; returns how many. Their tokens are unknown: what
    was reserved counts, since it may have been used."""
    at = now or timezone.now()
    with worker_scope():
        found = list(
            UsageRow.objects.filter(status=None, lease_until__lt=at).values_list("tenant_id", "id")[:AT_ONCE]
        )
    end = End(500, Ending.BROKEN_OFF, DIED, unknown=True)
    return sum(
        services.close_row(tenant_id=tenant_id, row_id=row_id, end=end, dead_at=at)
        for tenant_id, row_id in found
    )


def forget_old_texts() -> int:
    """Delete the texts whose days are over; returns how many."""
    with worker_scope():
        over = UsageRow.objects.exclude(text_name="").filter(text_until__lt=timezone.now())
        found = list(over.values_list("tenant_id", "id")[:AT_ONCE])
    for tenant_id, row_id in found:
        with firm_scope(tenant_id):
            texts.forget(UsageRow.objects.of(tenant_id).get(id=row_id))
    return len(found)


def tell_redis() -> int:
    """Settle what Redis takes for open and the database knows as ended: requests of dead processes, and those
    that ended while Redis was away. Returns how many. Raises RedisError."""
    client: Any = redis.Redis.from_url(
        settings.REDIS_URL, decode_responses=True, socket_timeout=limits.PATIENCE_SECONDS
    )
    script = client.register_script(limits.SCRIPT)
    open_there: dict[tuple[uuid.UUID, uuid.UUID | None, datetime], set[uuid.UUID]] = defaultdict(set)
    for key in client.scan_iter(match="housestyle:usage:*:state:*", count=1000):
        subject = _subject(key)
        open_there[subject] |= {uuid.UUID(name[2:]) for name in client.hkeys(key) if name.startswith("o:")}
    told = 0
    for (tenant_id, key_id, month), ids in open_there.items():
        for row_id, tokens in _ended(tenant_id, ids):
            keys = [*limits.keys_of(tenant_id, key_id, month), limits.done_key(tenant_id, row_id)]
            arguments = [row_id.hex, tokens, limits.WINDOW_SECONDS, limits.LEASE_SECONDS]
            script(keys=keys, args=["settle", *arguments])
            told += 1
    client.close()
    return told


def _ended(tenant_id: uuid.UUID, ids: Iterable[uuid.UUID]) -> list[tuple[uuid.UUID, int]]:
    """Those that have ended, with the tokens they used."""
    with firm_scope(tenant_id):
        rows = UsageRow.objects.of(tenant_id).filter(id__in=list(ids), status__isnull=False)
        return [(row.id, row.tokens_in + row.tokens_out + row.tokens_unknown) for row in rows]


def _subject(state_key: str) -> tuple[uuid.UUID, uuid.UUID | None, datetime]:
    """The reverse of `limits.keys_of`."""
    _, _, tenant, whose, _, month = state_key.split(":")
    moment = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    return uuid.UUID(tenant.strip("{}")), None if whose == "firm" else uuid.UUID(whose), moment

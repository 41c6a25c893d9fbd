"""Sums for people: by hour, day or month, by key and by adapter version; in UTC, as budgets are."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models.functions import Trunc
from django.utils import timezone

from webapp.serving.selectors import Median
from webapp.usage import selectors
from webapp.usage.models import UsageRow
from webapp.usage.selectors import SUMS, month_of


class Period(StrEnum):
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


HOURS, DAYS, MONTHS = 48, 30, 12  # how many of them a page shows
PLAYGROUND = "Playground"
BASE = "Base model"


@dataclass(frozen=True)
class Line:
    """The sums of one period, key or version. `ttft_ms`: the median time to its streams' first token."""

    label: str
    requests: int = 0
    errors: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_unknown: int = 0
    ttft_ms: float | None = None
    begins: datetime | None = None

    @property
    def tokens(self) -> int:
        """As they count towards a budget."""
        return self.tokens_in + self.tokens_out + self.tokens_unknown


def beginnings(by: Period, now: datetime | None = None) -> list[datetime]:
    """When each shown period begins, the oldest first; the last one is under way."""
    moment = (now or timezone.now()).astimezone(UTC)
    if by is Period.HOUR:
        last = moment.replace(minute=0, second=0, microsecond=0)
        return [last - timedelta(hours=back) for back in reversed(range(HOURS))]
    if by is Period.DAY:
        last = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        return [last - timedelta(days=back) for back in reversed(range(DAYS))]
    months = [month_of(moment)[0]]
    while len(months) < MONTHS:
        months.append(month_of(months[-1] - timedelta(days=1))[0])
    return months[::-1]


def by_period(tenant_id: uuid.UUID, by: Period, now: datetime | None = None) -> list[Line]:
    """A line for every period, also for those in which nothing was asked."""
    begins = beginnings(by, now)
    summed = _sums(tenant_id, begins[0], "period", by)
    medians = _medians(tenant_id, begins[0], "period", by)
    return [_line(_label(one, by), summed.get(one), medians.get(one), begins=one) for one in begins]


def by_key(tenant_id: uuid.UUID, since: datetime) -> list[Line]:
    """Who asks most comes first."""
    names = {key.id: str(key) for key in selectors.all_keys(tenant_id)}
    return _lines(tenant_id, since, "key", lambda key_id: names.get(key_id, PLAYGROUND))


def by_version(tenant_id: uuid.UUID, since: datetime) -> list[Line]:
    names = {version.id: str(version) for version in selectors.versions(tenant_id)}
    return _lines(tenant_id, since, "version", lambda version_id: names.get(version_id, BASE))


def total(lines: Iterable[Line]) -> Line:
    found = list(lines)
    names = ("requests", "errors", "tokens_in", "tokens_out", "tokens_unknown")
    return Line("All", **{name: sum(getattr(line, name) for line in found) for name in names})


def _lines(tenant_id: uuid.UUID, since: datetime, field: str, name: Any) -> list[Line]:
    summed = _sums(tenant_id, since, field)
    medians = _medians(tenant_id, since, field)
    lines = [_line(name(one), sums, medians.get(one)) for one, sums in summed.items()]
    return sorted(lines, key=lambda line: (-line.tokens, -line.requests, line.label))


def _line(
    label: str, sums: dict[str, int] | None, ttft_ms: float | None, begins: datetime | None = None
) -> Line:
    return Line(label, **(sums or {}), ttft_ms=ttft_ms, begins=begins)


def _sums(
    tenant_id: uuid.UUID, since: datetime, field: str, by: Period | None = None
) -> dict[Any, dict[str, int]]:
    hours = selectors.hours(tenant_id).filter(hour__gte=since)
    if by:
        hours = hours.annotate(period=Trunc("hour", by.value, tzinfo=UTC))
    rows = hours.values(field).annotate(**SUMS).order_by(field)
    return {row[field]: {name: row[name] for name in SUMS} for row in rows}


def _medians(
    tenant_id: uuid.UUID, since: datetime, field: str, by: Period | None = None
) -> dict[Any, float | None]:
    rows = UsageRow.objects.of(tenant_id).filter(started_at__gte=since, ttft_ms__isnull=False)
    if by:
        rows = rows.annotate(period=Trunc("started_at", by.value, tzinfo=UTC))
    return {row[field]: row["ttft"] for row in rows.values(field).annotate(ttft=Median("ttft_ms"))}


def _label(moment: datetime, by: Period) -> str:
    if by is Period.HOUR:
        return f"{moment:%d %b, %H:%M}"
    return f"{moment:%d %b %Y}" if by is Period.DAY else f"{moment:%B %Y}"

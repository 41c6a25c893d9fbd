"""Whose turn it is: workers serve the firms in turn, however many jobs one of them has queued.

The firm with the fewest running jobs of a kind comes first; among those, the one whose last claim is longest
ago (never is longest); among those, the one whose job has waited longest. Inside a firm the oldest job comes
first. All of this is read in the workers' scope: ids, states and times of all firms.
"""

from __future__ import annotations

import heapq
import itertools
import uuid
from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from webapp.core.jobs.models import Job, JobKind, JobState

_FIRMS = """
    SELECT waiting.tenant_id,
           (SELECT count(*) FROM core_job job
            WHERE job.kind = %(kind)s AND job.tenant_id = waiting.tenant_id AND state = 'running') AS busy,
           (SELECT max(started_at) FROM core_job job
            WHERE job.kind = %(kind)s AND job.tenant_id = waiting.tenant_id) AS last_claim
    FROM (SELECT tenant_id, min(queued_at) AS first FROM core_job
          WHERE kind = %(kind)s AND state = 'queued'
            AND (not_before IS NULL OR not_before <= statement_timestamp())
          GROUP BY tenant_id) waiting
    ORDER BY busy, last_claim NULLS FIRST, first
    """


@dataclass(frozen=True)
class Firm:
    """A firm that has jobs of a kind waiting: how many of them run, and when one was last claimed."""

    tenant_id: uuid.UUID
    running: int
    last_claim: datetime | None


def due(kind: JobKind) -> QuerySet[Job]:
    """The jobs that may be claimed now, oldest first: what was postponed waits for its time."""
    waiting: QuerySet[Job] = Job.objects.filter(kind=kind, state=JobState.QUEUED)
    return waiting.filter(Q(not_before=None) | Q(not_before__lte=Now())).order_by("queued_at", "id")


def firms_in_turn(kind: JobKind) -> list[Firm]:
    """The firms with a job that may be claimed now, the next to be served first."""
    with connection.cursor() as cursor:
        cursor.execute(_FIRMS, {"kind": kind})
        return [Firm(*row) for row in cursor.fetchall()]


def place_of(job_id: uuid.UUID, kind: JobKind) -> int | None:
    """How many claims from now the job's comes, its own included, if nothing else is queued meanwhile and no
    running job ends; None when it does not wait for its turn."""
    queues: dict[uuid.UUID, deque[tuple[datetime, uuid.UUID]]] = defaultdict(deque)
    for tenant_id, queued_at, other in due(kind).values_list("tenant_id", "queued_at", "id"):
        queues[tenant_id].append((queued_at, other))
    # The fewest running, then the longest without a claim: the place of the last one, the past's before ours.
    turns = [
        (firm.running, place, queues[firm.tenant_id])
        for place, firm in enumerate(firms_in_turn(kind))
        if firm.tenant_id in queues
    ]
    heapq.heapify(turns)
    claims = itertools.count(len(turns))
    for place in itertools.count(1):
        if not turns:
            return None
        running, _, queue = turns[0]
        _, claimed = queue.popleft()
        if claimed == job_id:
            return place
        if queue:
            heapq.heapreplace(turns, (running + 1, next(claims), queue))
        else:
            heapq.heappop(turns)
    raise AssertionError("counting has no end")

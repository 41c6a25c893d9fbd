from __future__ import annotations

import uuid

from django.db import connection


def one_writer(tenant_id: uuid.UUID) -> None:
    """Wait until no other transaction of the firm adds, records or removes documents; held to its end.

    Two uploads of the same bytes, and two near-duplicates that are read at once, would not see each other
    otherwise. Take it before anything is audited: the audit log has a lock of its own, and all must take the
    two in the same order.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"documents:{tenant_id}"])

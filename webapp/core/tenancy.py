"""The two tenancy walls: every read names its tenant, and PostgreSQL shows no other firm's rows.

The second wall is row-level security. Each connection runs as a role that owns no table; each transaction
says whose it is with `set_config('housestyle.tenant', id, is_local => true)`. With nothing set, a query sees
no rows, so a forgotten filter shows nothing instead of another firm's documents.

Inside a firm the same wall screens matters off. `housestyle.viewer` says who looks: a member, or `firm` for
work that is done for all of it. With nobody said, whatever anybody is screened off stays hidden.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from django.db import connection, migrations, models, transaction
from django.db.backends.utils import CursorWrapper


class TenantQuerySet(models.QuerySet[Any]):
    def of(self, tenant_id: uuid.UUID) -> Self:
        """The rows of one firm. Every selector starts here."""
        return self.filter(tenant_id=tenant_id)


class TenantOwned(models.Model):
    """A row that belongs to one firm. Its table has row security from the migration that makes it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+", editable=False)

    objects = TenantQuerySet.as_manager()

    class Meta:
        abstract = True


WHOLE_FIRM = "firm"


@contextmanager
def _settings(values: Mapping[str, str]) -> Iterator[None]:
    """A transaction in which database settings have these values; what they had before comes back after."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:  # the settings are the transaction's own and end with it
            with connection.cursor() as cursor:
                _set(cursor, values)
            yield
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name, coalesce(current_setting(name, true), '') FROM unnest(%s) AS setting (name)",
                [list(values)],
            )
            before = dict(cursor.fetchall())
            _set(cursor, values)
        yield
        # Not reached when the block raises: the rollback to its savepoint undoes the settings too.
        with connection.cursor() as cursor:
            _set(cursor, before)


def _set(cursor: CursorWrapper, values: Mapping[str, str]) -> None:
    cursor.execute(
        "SELECT set_config(name, value, true) FROM unnest(%s, %s) AS setting (name, value)",
        [list(values), list(values.values())],
    )


def tenant_scope(tenant_id: uuid.UUID, *, viewer: uuid.UUID | None = None) -> Any:
    """A transaction that sees and writes the rows of one firm only, as far as the member `viewer` may.

    Without a viewer it sees nothing of any matter that somebody is screened off.
    """
    return _settings(
        {"housestyle.tenant": str(tenant_id), "housestyle.viewer": str(viewer) if viewer else ""}
    )


def firm_scope(tenant_id: uuid.UUID) -> Any:
    """A transaction that sees all of one firm, whoever is screened off what: for workers, and for those rules
    of a service that hold for the whole firm. Nothing read in it may reach a person's page or answer."""
    return _settings({"housestyle.tenant": str(tenant_id), "housestyle.viewer": WHOLE_FIRM})


def member_scope(user_id: int) -> Any:
    """A transaction that sees which firm a signed-in person belongs to, before the firm is known."""
    return _settings({"housestyle.user": str(user_id)})


def key_scope(key_hash: str) -> Any:
    """A transaction that sees the one API key with this hash, before its firm is known."""
    return _settings({"housestyle.key": key_hash})


def worker_scope() -> Any:
    """A transaction that sees the queue of all firms (ids and states, never text). Workers and relay only."""
    return _settings({"housestyle.scope": "worker"})


class RowSecurity(migrations.RunSQL):
    """Migration operation: the second wall for a table.

    `also` is a further condition under which rows can be read, or with `also_for="ALL"` written too.
    """

    def __init__(
        self, table: str, *, column: str = "tenant_id", also: str = "", also_for: str = "SELECT"
    ) -> None:
        own = f"{column} = housestyle_tenant()"
        sql = f"""
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
            CREATE POLICY firm ON {table} USING ({own}) WITH CHECK ({own});
            """
        if also:
            sql += f"CREATE POLICY also ON {table} FOR {also_for} USING ({also});"
        reverse = f"DROP POLICY IF EXISTS also ON {table}; DROP POLICY firm ON {table};"
        super().__init__(sql=sql, reverse_sql=f"{reverse} ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;")
        self.arguments = {"column": column, "also": also, "also_for": also_for}
        self.table = table

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return (type(self).__name__, [self.table], self.arguments)


class Screened(migrations.RunSQL):
    """Migration operation: to whoever looks, only rows for which `condition` holds exist.

    It narrows what the firm's own policy allows and never widens it. Its cost must not grow with the rows:
    ask for what is screened with `NOT IN (SELECT …)`, which is computed once for a query.
    """

    def __init__(self, table: str, condition: str) -> None:
        super().__init__(
            sql=f"CREATE POLICY screened ON {table} AS RESTRICTIVE USING ({condition})",
            reverse_sql=f"DROP POLICY screened ON {table}",
        )
        self.table, self.condition = table, condition

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return (type(self).__name__, [self.table, self.condition], {})

"""The two tenancy walls: every read names its tenant, and PostgreSQL shows no other firm's rows.

The second wall is row-level security. Each connection runs as a role that owns no table; each transaction
says whose it is with `set_config('housestyle.tenant', id, is_local => true)`. With nothing set, a query sees
no rows, so a forgotten filter shows nothing instead of another firm's documents.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from django.db import connection, migrations, models, transaction


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


@contextmanager
def _setting(name: str, value: str) -> Iterator[None]:
    """A transaction in which the database setting `name` has `value`; what it had before comes back after."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting(%s, true)", [name])
            before = cursor.fetchone()[0] or ""
            cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
        yield
        # Not reached when the block raises: the rollback to its savepoint undoes the setting too.
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, true)", [name, before])


def tenant_scope(tenant_id: uuid.UUID) -> Any:
    """A transaction that sees and writes the rows of one firm only."""
    return _setting("housestyle.tenant", str(tenant_id))


def member_scope(user_id: int) -> Any:
    """A transaction that sees which firm a signed-in person belongs to, before the firm is known."""
    return _setting("housestyle.user", str(user_id))


def key_scope(key_hash: str) -> Any:
    """A transaction that sees the one API key with this hash, before its firm is known."""
    return _setting("housestyle.key", key_hash)


def worker_scope() -> Any:
    """A transaction that sees the queue of all firms (ids and states, never text). Workers and relay only."""
    return _setting("housestyle.scope", "worker")


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

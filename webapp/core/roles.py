"""The database role of web and workers: it owns nothing, and cannot bypass row security."""

from __future__ import annotations

from typing import Any

from django.db import connection

APP_ROLE = "housestyle_app"
# The audit log is append-only for everybody who is not the owner.
APPEND_ONLY = ("audit_event",)


def grant(**_: Any) -> None:
    """After migrations: make the role if it is missing and give it the tables. Acts only for their owner."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        if cursor.fetchone()[0] == APP_ROLE:
            return
        # Roles belong to the whole server: several databases may be migrated at once.
        cursor.execute(
            f"""DO $$ BEGIN CREATE ROLE {APP_ROLE} NOLOGIN NOSUPERUSER NOBYPASSRLS;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""
        )
        cursor.execute("SELECT pg_has_role(current_user, %s, 'MEMBER')", [APP_ROLE])
        if not cursor.fetchone()[0]:
            cursor.execute(f"GRANT {APP_ROLE} TO CURRENT_USER")
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}")
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APP_ROLE}")
        cursor.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APP_ROLE}")
        for table in APPEND_ONLY:
            cursor.execute(f"REVOKE UPDATE, DELETE ON {table} FROM {APP_ROLE}")

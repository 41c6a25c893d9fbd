from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


def become_app_role(connection: Any, **_: Any) -> None:
    """Give up the owner's rights for the life of the connection (the first thing it does)."""
    if settings.DATABASE_ROLE:
        with connection.cursor() as cursor:
            cursor.execute(f'SET ROLE "{settings.DATABASE_ROLE}"')


class CoreConfig(AppConfig):
    name = "webapp.core"

    def ready(self) -> None:
        from webapp.core import roles

        connection_created.connect(become_app_role, dispatch_uid="become_app_role")
        post_migrate.connect(roles.grant, sender=self, dispatch_uid="grant")

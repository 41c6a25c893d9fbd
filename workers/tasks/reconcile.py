from __future__ import annotations

from celery import shared_task

from webapp.serving import reconcile as engines


@shared_task(name=engines.TASK, ignore_result=True, expires=15)
def reconcile() -> None:
    """Have every engine hold what must answer."""
    engines.reconcile()

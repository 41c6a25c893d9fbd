from __future__ import annotations

from celery import shared_task

from webapp.core.jobs import services as jobs


@shared_task(name="housestyle.relay", ignore_result=True, expires=30)
def relay() -> None:
    """Requeue what dead workers left and say again what waits: a lost message then costs seconds."""
    jobs.requeue_abandoned()
    for kind in jobs.waiting_kinds():
        jobs.wake(kind)

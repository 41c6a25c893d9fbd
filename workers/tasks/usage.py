from __future__ import annotations

from celery import shared_task

from webapp.usage import upkeep


@shared_task(name="housestyle.usage", ignore_result=True, expires=30)
def usage() -> None:
    """Close the usage rows of dead processes, forget texts whose days are over, and set Redis right."""
    upkeep.run()

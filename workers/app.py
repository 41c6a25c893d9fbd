"""The Celery application with its tasks: `celery -A workers.app worker -Q documents`."""

import django

from webapp.celery import app

django.setup()
app.autodiscover_tasks(["workers"], force=True)

__all__ = ["app"]

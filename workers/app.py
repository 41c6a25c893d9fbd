"""The Celery application with its tasks: `celery -A workers.app worker -Q documents`."""

import django

from webapp.celery import app

django.setup()

from workers.tasks import build_dataset, extract_document, relay, train_adapter  # noqa: E402  # needs Django

__all__ = ["app", "build_dataset", "extract_document", "relay", "train_adapter"]

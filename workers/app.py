"""The Celery application with its tasks: `celery -A workers.app worker -Q documents`."""

import django

from webapp.celery import app

django.setup()

from workers.tasks import (  # noqa: E402  # needs Django
    build_dataset,
    extract_document,
    measure_device,
    reconcile,
    relay,
    render_pages,
    scan_document,
    train_adapter,
    usage,
)

__all__ = [
    "app",
    "build_dataset",
    "extract_document",
    "measure_device",
    "reconcile",
    "relay",
    "render_pages",
    "scan_document",
    "train_adapter",
    "usage",
]

"""The Celery application. The web only sends names; `workers.app` adds the tasks behind them."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

app = Celery("housestyle")
app.config_from_object("django.conf:settings", namespace="CELERY")

"""A training worker tells what it computes with, once, when it is ready. It trains just as well if that
fails: estimates then go without it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from typing import Any

from celery.signals import worker_ready
from django.conf import settings
from django.db import connection

from webapp.core.jobs.models import JobKind
from webapp.training import costs
from webapp.training.models import Device

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "workers.engine.device")
LIMIT_SECONDS = 180  # a machine that just starts everything is slow
TRAINING_QUEUE = settings.CELERY_TASK_ROUTES[JobKind.TRAIN.task]["queue"]

_mine: list[Device] = []


def of_this_worker() -> Device | None:
    """What this worker measured; None before it has, and where it could not."""
    return _mine[-1] if _mine else None


@worker_ready.connect(weak=False)
def _at_start(sender: Any = None, **_: Any) -> None:
    if TRAINING_QUEUE in sender.app.amqp.queues.consume_from:
        threading.Thread(target=measure, name="measure-device", daemon=True).start()


def measure() -> None:
    """Measure in a process of its own, which loads PyTorch and forgets it, and keep what it says."""
    try:
        base, work = settings.BASE_MODEL_DIR, settings.WORK_DIR
        command = [*COMMAND, "--base", str(base), "--work", str(work)]
        done = subprocess.run(
            command, check=True, timeout=LIMIT_SECONDS, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        _mine.append(costs.record_device(json.loads(done.stdout)))
    except Exception as error:
        log.warning("This worker's device could not be measured: %s.", type(error).__name__)
    finally:
        connection.close()

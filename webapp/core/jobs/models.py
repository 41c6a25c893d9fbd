from __future__ import annotations

from django.db import models

from webapp.core.tenancy import TenantOwned


class JobKind(models.TextChoices):
    """Every kind of background work; `housestyle.<value>` is the name of its Celery task."""

    EXTRACT = "extract", "Read a document"
    BUILD = "build", "Build a dataset"
    TRAIN = "train", "Train an adapter"
    RENDER = "render", "Draw a document's pages"
    SCAN = "scan", "Look through a table's pairs"

    @property
    def task(self) -> str:
        return f"housestyle.{self.value}"


class JobState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Done"
    FAILED = "failed", "Failed"
    ERRORED = "errored", "Stopped by a fault of the product"
    CANCELLED = "cancelled", "Cancelled"


ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.ERRORED, JobState.CANCELLED)


class Job(TenantOwned):
    """One piece of background work. `epoch` counts its claims: a worker with an older one is fenced off."""

    kind = models.CharField(max_length=20, choices=JobKind.choices)
    object_id = models.UUIDField()
    state = models.CharField(max_length=20, choices=JobState.choices, default=JobState.QUEUED)
    epoch = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0, help_text="Claims since it last got on.")
    not_before = models.DateTimeField(null=True, help_text="When one that had to wait may be claimed.")
    worker = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True)
    cancel_requested = models.BooleanField(default=False)
    message = models.TextField(blank=True, help_text="One sentence for the person.")
    trace = models.TextField(
        blank=True, help_text="For the operator: frames and types, never a document's text."
    )
    queued_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["kind", "queued_at"], condition=models.Q(state="queued"), name="job_waiting"
            ),
            models.Index(fields=["lease_until"], condition=models.Q(state="running"), name="job_leased"),
            models.Index(fields=["kind", "tenant", "started_at"], name="job_last_claim"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=JobState.values), name="job_state_known"),
            models.CheckConstraint(
                condition=models.Q(ended_at__isnull=False) | ~models.Q(state__in=ENDED), name="job_end_dated"
            ),
        ]

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

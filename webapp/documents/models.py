from __future__ import annotations

from django.db import models

from webapp.core.jobs.models import Job, JobState
from webapp.core.tenancy import TenantOwned
from webapp.tenants.models import Membership


class Document(TenantOwned):
    """A file that a firm uploaded, and the text found in it. Both are encrypted in storage."""

    name = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField(help_text="bytes")
    sha256 = models.CharField(max_length=64)
    stored_name = models.CharField(max_length=200)
    text_name = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=20, blank=True)
    pages = models.PositiveIntegerField(null=True)
    words = models.PositiveIntegerField(null=True)
    uploaded_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "name"]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """queued, reading, ready or refused."""
        return {
            JobState.QUEUED: "queued",
            JobState.RUNNING: "reading",
            JobState.SUCCEEDED: "ready",
        }.get(JobState(self.job.state), "refused")

    @property
    def reason(self) -> str:
        """Why it was refused: one sentence, empty unless it was."""
        return self.job.message

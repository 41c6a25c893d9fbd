from __future__ import annotations

from django.db import models

from webapp.core.jobs.models import Job, JobState
from webapp.core.tenancy import TenantOwned
from webapp.documents.models import Document
from webapp.tenants.models import Membership


class Split(models.TextChoices):
    TRAIN = "train", "Training"
    HELDOUT = "heldout", "Held out"


class Dataset(TenantOwned):
    """Examples made from documents, split by document. Frozen once built: `sha256` covers its content."""

    name = models.CharField(max_length=200)
    seed = models.PositiveIntegerField(default=0)
    heldout_share = models.FloatField(default=0.15)
    sha256 = models.CharField(max_length=64, blank=True)
    train_examples = models.PositiveIntegerField(default=0)
    heldout_examples = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """queued, building, ready or failed."""
        return {
            JobState.QUEUED: "queued",
            JobState.RUNNING: "building",
            JobState.SUCCEEDED: "ready",
        }.get(JobState(self.job.state), "failed")

    @property
    def reason(self) -> str:
        return self.job.message


class DatasetDocument(TenantOwned):
    """One document's place in a dataset: all of its examples are on one side of the split."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="memberships")
    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="+")
    split = models.CharField(max_length=10, choices=Split.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "document"], name="document_once_per_dataset"),
        ]


class Example(TenantOwned):
    """A prompt and the completion that the house would write."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="examples")
    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="+")
    split = models.CharField(max_length=10, choices=Split.choices)
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    prompt = models.TextField()
    completion = models.TextField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["dataset", "position"], name="example_position_once")]
        indexes = [models.Index(fields=["dataset", "split", "position"])]

from __future__ import annotations

from django.db import models

from webapp.core.jobs.models import Job
from webapp.core.tenancy import TenantOwned
from webapp.datasets.models import Dataset, Split
from webapp.tenants.models import Membership
from webapp.training.spec import TrainingSpec


class Phase(models.TextChoices):
    """What a running run is doing."""

    LOADING = "loading", "Loading the base model"
    BEFORE = "before", "Measuring the base model on the held-out documents"
    TRAINING = "training", "Training"
    SAVING = "saving", "Measuring the adapter and saving it"


class TrainingRun(TenantOwned):
    """One training of a LoRA adapter on a frozen dataset. Its state is its job's."""

    adapter_name = models.CharField(max_length=60)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="runs")
    preset = models.CharField(max_length=20)
    spec = models.JSONField()
    base_model = models.CharField(max_length=100)
    base_revision = models.CharField(max_length=64, blank=True)
    started_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    phase = models.CharField(max_length=20, choices=Phase.choices, blank=True)
    step = models.PositiveIntegerField(default=0)
    steps = models.PositiveIntegerField(default=0)
    learning_rate = models.FloatField(null=True)
    tokens_per_s = models.FloatField(null=True)
    seconds_left = models.FloatField(null=True)
    train_tokens = models.PositiveBigIntegerField(null=True)
    truncated_examples = models.PositiveIntegerField(default=0)
    trainable_parameters = models.PositiveBigIntegerField(null=True)
    frozen_parameters = models.PositiveBigIntegerField(null=True)
    heldout_before = models.FloatField(null=True, help_text="Mean held-out loss of the base, nats per token.")
    heldout_after = models.FloatField(null=True, help_text="The same with the adapter.")
    seconds = models.FloatField(null=True)
    peak_bytes = models.PositiveBigIntegerField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.adapter_name} on {self.dataset}"

    @property
    def training_spec(self) -> TrainingSpec:
        return TrainingSpec.parse(self.spec)

    @property
    def trainable_share(self) -> float | None:
        """Parameters trained as a share of all; None until the trainer has counted them."""
        if self.trainable_parameters is None or self.frozen_parameters is None:
            return None
        return self.trainable_parameters / (self.trainable_parameters + self.frozen_parameters)


class LossPoint(TenantOwned):
    """One point of a run's loss curve, in nats per label token."""

    run = models.ForeignKey(TrainingRun, on_delete=models.CASCADE, related_name="points")
    split = models.CharField(max_length=10, choices=Split.choices)
    step = models.PositiveIntegerField()
    loss = models.FloatField()

    class Meta:
        ordering = ["step"]
        constraints = [models.UniqueConstraint(fields=["run", "split", "step"], name="one_loss_per_step")]

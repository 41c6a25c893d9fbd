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
    PREPARING = "preparing", "Reading the examples through the layers that stay frozen"
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

    keep_best = models.BooleanField(default=False, help_text="What a cancel was asked to keep.")
    phase = models.CharField(max_length=20, choices=Phase.choices, blank=True)
    mode = models.CharField(max_length=20, blank=True, help_text="Where the frozen weights stay.")
    precision = models.CharField(max_length=10, blank=True)
    prepared_share = models.FloatField(null=True, help_text="Of the frozen prefix, 0 to 1.")
    notice = models.TextField(blank=True, help_text="One sentence about what goes on, while it does.")
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
    best_step = models.PositiveIntegerField(null=True, help_text="Of the best held-out loss so far.")
    stopped_early = models.BooleanField(default=False)
    checkpoint_step = models.PositiveIntegerField(null=True)
    checkpoint_at = models.DateTimeField(null=True)
    seconds = models.FloatField(null=True, help_text="Of work, over all attempts.")
    memory_bytes = models.PositiveBigIntegerField(null=True, help_text="Resident now.")
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


class Answer(TenantOwned):
    """What the adapter answered to one of a run's fixed prompts at a step: one sees the style arrive."""

    run = models.ForeignKey(TrainingRun, on_delete=models.CASCADE, related_name="answers")
    step = models.PositiveIntegerField()
    place = models.PositiveSmallIntegerField(help_text="Of the prompt among the run's, from 0.")
    prompt = models.TextField()
    expected = models.TextField(help_text="What the house wrote.")
    text = models.TextField()

    class Meta:
        ordering = ["step", "place"]
        constraints = [models.UniqueConstraint(fields=["run", "step", "place"], name="one_answer_per_step")]


class Device(models.Model):
    """A processor or accelerator that a training worker has, as it measured it. No firm's: numbers only."""

    name = models.CharField(max_length=200, unique=True, help_text="Host and device.")
    kind = models.CharField(max_length=10, help_text="cpu or cuda")
    memory_bytes = models.PositiveBigIntegerField()
    host_memory_bytes = models.PositiveBigIntegerField()
    matrix_flops = models.FloatField(
        help_text="Floating point operations a second in a large matrix product."
    )
    read_bytes_per_s = models.FloatField(help_text="Of the disk that holds the base models.")
    free_disk_bytes = models.PositiveBigIntegerField()
    seen_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return self.name


class CostSample(models.Model):
    """What a finished run cost beside what was estimated, to calibrate the next estimate. Numbers only."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="samples")
    base_revision = models.CharField(max_length=64)
    mode = models.CharField(max_length=20)
    estimated_bytes = models.PositiveBigIntegerField()
    measured_bytes = models.PositiveBigIntegerField()
    estimated_seconds = models.FloatField()
    measured_seconds = models.FloatField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at"]

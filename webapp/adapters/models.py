from __future__ import annotations

from django.db import models

from webapp.core.tenancy import TenantOwned
from webapp.tenants.models import Membership
from webapp.training.models import TrainingRun


class Adapter(TenantOwned):
    """A name under which a firm keeps versions of one house style."""

    name = models.CharField(max_length=60)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="adapter_name_once_per_firm")]

    def __str__(self) -> str:
        return self.name


class VersionState(models.TextChoices):
    CANDIDATE = "candidate", "Waiting for approval"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"
    RETIRED = "retired", "Retired"


class AdapterVersion(TenantOwned):
    """What one run learned: `adapter_config.json` and `adapter_model.safetensors`, never changed again."""

    adapter = models.ForeignKey(Adapter, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    run = models.OneToOneField(TrainingRun, on_delete=models.PROTECT, related_name="version")
    state = models.CharField(max_length=20, choices=VersionState.choices, default=VersionState.CANDIDATE)
    sha256 = models.CharField(max_length=64, help_text="of adapter_model.safetensors")
    size = models.PositiveBigIntegerField(help_text="bytes of adapter_model.safetensors")
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True)
    retired_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+", null=True)

    class Meta:
        ordering = ["adapter__name", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["adapter", "number"], name="version_number_once"),
            models.CheckConstraint(
                condition=models.Q(state__in=VersionState.values), name="version_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    state=VersionState.RETIRED, retired_at__isnull=False, retired_by__isnull=False
                )
                | (~models.Q(state=VersionState.RETIRED) & models.Q(retired_at=None, retired_by=None)),
                name="version_retired_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.adapter.name}@{self.number}"

    @property
    def engine_name(self) -> str:
        """The name engines know it by: never used twice, so no engine can serve a stale copy under it."""
        return f"lo-{self.id.hex}"


class Decision(models.TextChoices):
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"


class Approval(TenantOwned):
    """A second person's decision on a version."""

    version = models.ForeignKey(AdapterVersion, on_delete=models.PROTECT, related_name="approvals")
    decision = models.CharField(max_length=20, choices=Decision.choices)
    note = models.TextField(blank=True)
    decided_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-decided_at"]

from __future__ import annotations

from django.db import models
from django.db.models import Q

from webapp.adapters.models import AdapterVersion
from webapp.core.tenancy import TenantOwned
from webapp.tenants.models import Membership


class Deployment(TenantOwned):
    """A version's time as the firm's live adapter. At most one is open per firm."""

    version = models.ForeignKey(AdapterVersion, on_delete=models.PROTECT, related_name="deployments")
    put_live_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    live_from = models.DateTimeField(auto_now_add=True)
    live_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-live_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(live_until=None), name="one_live_adapter_per_firm"
            )
        ]


class Outcome(models.TextChoices):
    """How a rollout ended."""

    PROMOTED = "promoted", "Put live"
    WITHDRAWN = "withdrawn", "Withdrawn"
    REPLACED = "replaced", "Replaced by another version"


class Rollout(TenantOwned):
    """A version's trial beside the live one, on a share of the firm's requests. At most one is open per firm.

    With `shadow` the live version answers every request and the trial's answers a copy of the share, for
    nobody to read. Without it the trial's version answers the share itself.
    """

    version = models.ForeignKey(AdapterVersion, on_delete=models.PROTECT, related_name="rollouts")
    against = models.ForeignKey(
        Deployment, on_delete=models.PROTECT, related_name="rollouts", help_text="What is live meanwhile."
    )
    share = models.PositiveSmallIntegerField(help_text="Percent of the requests, 0 to 100.")
    shadow = models.BooleanField(default=False)
    started_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField(auto_now_add=True)
    ended_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+", null=True)
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, choices=Outcome.choices, blank=True)

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(ended_at=None), name="one_open_rollout_per_firm"
            ),
            models.CheckConstraint(condition=Q(share__lte=100), name="rollout_share_is_percent"),
            # Whoever answers everything is live, and no trial any more.
            models.CheckConstraint(
                condition=Q(ended_at__isnull=False) | Q(shadow=True) | Q(share__lt=100),
                name="rollout_of_everything_is_live",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_by=None, outcome="")
                | Q(ended_at__isnull=False, ended_by__isnull=False, outcome__in=Outcome.values),
                name="rollout_ends_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} on {self.share}% of requests"


class ShadowResult(TenantOwned):
    """What a copy of one request came to, beside the answer of the live version: numbers and no text."""

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="results")
    at = models.DateTimeField(auto_now_add=True)
    error = models.CharField(max_length=60, blank=True, help_text="The error's code where none was given.")
    milliseconds = models.PositiveIntegerField(help_text="To the whole answer, or to the error.")
    live_milliseconds = models.PositiveIntegerField()
    characters = models.PositiveIntegerField(null=True)
    live_characters = models.PositiveIntegerField()
    prompt_tokens = models.PositiveIntegerField(null=True)
    completion_tokens = models.PositiveIntegerField(null=True)
    same = models.BooleanField(null=True, help_text="Word for word; not known where answers are drawn.")

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(error="") | Q(characters=None, same=None), name="shadow_error_has_no_answer"
            )
        ]

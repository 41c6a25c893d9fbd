"""What programs and people asked of the models, counted, and how much of it they may."""

from __future__ import annotations

import uuid

from django.db import models

from webapp.adapters.models import AdapterVersion
from webapp.core.tenancy import TenantOwned
from webapp.tenants.models import ApiKey, Membership


class Limit(TenantOwned):
    """How much a firm (`key` null) or one of its keys may ask for; null is no limit of that kind."""

    key = models.OneToOneField(ApiKey, on_delete=models.CASCADE, null=True, related_name="limit")
    requests_per_minute = models.PositiveIntegerField("Requests a minute", null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField("Tokens a minute", null=True, blank=True)
    concurrent = models.PositiveIntegerField("Requests at the same time", null=True, blank=True)
    monthly_tokens = models.PositiveBigIntegerField("Tokens a calendar month (UTC)", null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"], condition=models.Q(key=None), name="one_limit_for_the_firm"
            )
        ]


class Source(models.TextChoices):
    CHAT = "chat", "Chat completion"
    COMPLETION = "completion", "Completion"
    PLAYGROUND = "playground", "Playground"


class Ending(models.TextChoices):
    ANSWERED = "answered", "Answered"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"
    LEFT = "left", "Client hung up"
    BROKEN_OFF = "broken_off", "Broken off"


class UsageRow(TenantOwned):
    """One request. Its id is the answer's `x-request-id`. `status` null: it is under way.

    A row is opened before the request is let in and closed once, together with its hour's sums. One whose
    process died is closed as broken off: how many tokens it used nobody knows, so `tokens_unknown` holds the
    most it can have been. Never a text: `text_name` names a sealed file where the firm turned logging on.
    """

    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    member = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+", db_index=False)
    version = models.ForeignKey(
        AdapterVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    source = models.CharField(max_length=20, choices=Source.choices)
    started_at = models.DateTimeField()
    lease_until = models.DateTimeField(help_text="While it is under way: when its process counts as dead.")
    reserved = models.PositiveIntegerField(default=0, help_text="Tokens at most; 0 for one not let in.")
    status = models.PositiveSmallIntegerField(null=True, help_text="As in HTTP; 499 for a client that left.")
    ending = models.CharField(max_length=20, choices=Ending.choices, blank=True)
    error = models.CharField(max_length=60, blank=True, help_text="The error's code.")
    tokens_in = models.PositiveIntegerField(default=0)
    tokens_out = models.PositiveIntegerField(default=0)
    tokens_unknown = models.PositiveIntegerField(default=0)
    ttft_ms = models.PositiveIntegerField(null=True, help_text="To the first token, in milliseconds.")
    duration_ms = models.PositiveIntegerField(null=True)
    text_name = models.CharField(max_length=200, blank=True)
    text_until = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "started_at"], name="usage_by_time"),
            models.Index(fields=["lease_until"], condition=models.Q(status=None), name="usage_open"),
            models.Index(fields=["text_until"], condition=~models.Q(text_name=""), name="usage_texts"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status=None, ending="")
                | models.Q(status__isnull=False, ending__in=Ending.values),
                name="usage_closed_with_an_ending",
            )
        ]

    @property
    def request_id(self) -> str:
        return request_id(self.id)


class UsageHour(TenantOwned):
    """The sums of an hour's closed rows, by when they began; kept to the row by the statement that closes."""

    hour = models.DateTimeField()
    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    version = models.ForeignKey(
        AdapterVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    requests = models.PositiveBigIntegerField(default=0)
    errors = models.PositiveBigIntegerField(default=0)
    tokens_in = models.PositiveBigIntegerField(default=0)
    tokens_out = models.PositiveBigIntegerField(default=0)
    tokens_unknown = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "hour", "key", "version"], nulls_distinct=False, name="usage_hour_once"
            )
        ]


class TextLog(TenantOwned):
    """Whether a firm keeps what is asked and answered. Off where there is no row."""

    on = models.BooleanField(default=False)
    days = models.PositiveSmallIntegerField(default=30, help_text="How long a text is kept.")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant"], name="one_text_log_for_the_firm")]


def request_id(row_id: uuid.UUID) -> str:
    return f"req-{row_id.hex}"

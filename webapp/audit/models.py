from __future__ import annotations

from django.db import models

from webapp.core.tenancy import TenantOwned


class Event(TenantOwned):
    """One thing that happened in a firm. The database refuses to change or delete a row; each carries the
    SHA-256 of the one before it, so that a gap or a forgery shows."""

    number = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    actor = models.CharField(max_length=254, help_text="The person's e-mail, or “system”.")
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=60)
    data = models.JSONField(default=dict)
    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "number"], name="event_number_once")]
        ordering = ["-number"]

from __future__ import annotations

from django.db import models

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
                fields=["tenant"], condition=models.Q(live_until=None), name="one_live_adapter_per_firm"
            )
        ]

"""What an API key may name, beyond what its member sees."""

from __future__ import annotations

from django.db import models

from webapp.adapters.models import Adapter, AdapterVersion
from webapp.core.tenancy import TenantOwned
from webapp.tenants.models import ApiKey


class KeyAccess(TenantOwned):
    """Which adapter answers a key's program, and which others it may name. A key without it may name nothing.

    It only ever narrows what the key's member sees: a screen hides an adapter whatever stands here.
    """

    key = models.OneToOneField(ApiKey, on_delete=models.CASCADE, related_name="access")
    default_adapter = models.ForeignKey(
        Adapter,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="Answers when the program names none: its live version, or else its newest approved one.",
    )
    default_version = models.ForeignKey(
        AdapterVersion,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="Answers when the program names none: always this one.",
    )
    everything = models.BooleanField(default=True, help_text="Whether it may name any approved adapter.")
    may_use_base = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                # With neither, the firm's live adapter answers.
                condition=models.Q(default_adapter=None) | models.Q(default_version=None),
                name="one_default_of_a_key",
            )
        ]


class KeyAdapter(TenantOwned):
    """An adapter, with all its approved versions, that a key may name beside its default."""

    access = models.ForeignKey(KeyAccess, on_delete=models.CASCADE, related_name="named")
    adapter = models.ForeignKey(Adapter, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["access", "adapter"], name="key_adapter_once")]

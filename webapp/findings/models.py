from __future__ import annotations

from django.db import models

from webapp.core.tenancy import TenantOwned
from webapp.documents.models import Document
from webapp.tenants.models import Membership


class FindingKind(models.TextChoices):
    """What a lawyer must be warned of before a document becomes training data."""

    SSN = "ssn", "Social Security number"
    PHONE = "phone", "Phone number"
    EMAIL = "email", "E-mail address"
    CARD = "card", "Card number"
    BANK = "bank", "Bank account"
    BIRTH_DATE = "birth_date", "Date of birth"
    ADDRESS = "address", "Home address"
    PRIVILEGE = "privilege", "Words of privilege or seal"
    BLACK_BOX = "black_box", "Live text under a black box"
    DELETED = "deleted", "Deleted text in tracked changes"
    INSERTED = "inserted", "Inserted text in tracked changes"
    COMMENT = "comment", "Comment"
    HIDDEN = "hidden", "Hidden text"


class FindingState(models.TextChoices):
    OPEN = "open", "Open"
    ACCEPTED = "accepted", "Accepted"
    IGNORED = "ignored", "Ignored"
    REDACTED = "redacted", "Redacted"


class Finding(TenantOwned):
    """One place in a document's text. The words themselves stay in the encrypted text and are not kept here.

    What is not part of the text (a comment, deleted words) has `start == end` where it belongs, and its words
    are in the document's layout: `layout.marks[mark].note`.
    """

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=20, choices=FindingKind.choices)
    start = models.PositiveIntegerField(help_text="Characters from the beginning of the document's text.")
    end = models.PositiveIntegerField()
    page = models.PositiveIntegerField(default=1)
    mark = models.PositiveIntegerField(null=True)
    state = models.CharField(max_length=10, choices=FindingState.choices, default=FindingState.OPEN)
    decided_by = models.ForeignKey(Membership, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["start", "end"]
        indexes = [models.Index(fields=["document", "state"], name="finding_of_document")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=FindingState.values), name="finding_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(end__gte=models.F("start")), name="finding_has_a_place"
            ),
        ]

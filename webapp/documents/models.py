from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from webapp.core.jobs.models import Job, JobState
from webapp.core.tenancy import TenantOwned
from webapp.tenants.models import Matter, Membership


class Document(TenantOwned):
    """A file that a firm uploaded, and the text found in it. Both are encrypted in storage."""

    name = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField(help_text="bytes")
    sha256 = models.CharField(max_length=64)
    stored_name = models.CharField(max_length=200)
    text_name = models.CharField(max_length=200, blank=True)
    layout_name = models.CharField(max_length=200, blank=True, help_text="A stored `layout.Layout`.")
    matter = models.ForeignKey(Matter, on_delete=models.PROTECT, related_name="documents")
    parent = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        related_name="members",
        help_text="The archive or the e-mail that this file came in.",
    )
    already_here = models.PositiveIntegerField(
        default=0, help_text="Files in it that the firm had already; they were not added again."
    )
    kind = models.CharField(max_length=20, blank=True)
    pages = models.PositiveIntegerField(null=True)
    words = models.PositiveIntegerField(null=True)
    data_name = models.CharField(
        max_length=200, blank=True, help_text="A stored `pairs.Table` or list of `pairs.Pair`."
    )
    pairs = models.PositiveIntegerField(null=True, help_text="Ready-made pairs in it; null for running text.")
    columns = models.JSONField(
        null=True, help_text='Which columns of a table are a pair\'s: {"prompt": …, "completion": …}.'
    )
    ocr_confidence = models.FloatField(null=True, help_text="0 to 1, of a scan that was read.")
    signature = models.BinaryField(default=b"", help_text="MinHash (Broder 1997) of its words.")
    bands = ArrayField(models.BigIntegerField(), default=list, help_text="LSH bands of the signature.")
    near_duplicates = models.UUIDField(
        null=True, db_index=True, help_text="Documents that share it say almost the same."
    )
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.ForeignKey(Membership, on_delete=models.PROTECT, null=True, related_name="+")
    withdrawn_reason = models.TextField(blank=True)
    uploaded_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    # Filled in by `selectors.count_around`.
    member_count = 0  # files that came in it
    near_count = 0  # documents that it is nearly the same as
    open_count = 0  # findings that wait for a decision

    class Meta:
        ordering = ["-created_at", "name"]
        indexes = [
            GinIndex(fields=["bands"], name="document_bands"),
            models.Index(fields=["tenant", "sha256"], name="document_bytes"),
            models.Index(fields=["tenant", "-created_at", "name"], name="document_newest"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """queued, reading, refused, ready, columns (a table whose columns are not chosen yet), opened (an
        archive: the files in it are documents, it is none) or withdrawn. `selectors.STATES` says it in SQL.
        """
        if self.job.state == JobState.QUEUED:
            return "queued"
        if self.job.state == JobState.RUNNING:
            return "reading"
        if self.job.state != JobState.SUCCEEDED:
            return "refused"
        if self.withdrawn_at is not None:
            return "withdrawn"
        if self.data_name and self.pairs is None:
            return "columns"
        return "ready" if self.text_name or self.data_name else "opened"

    @property
    def reason(self) -> str:
        """Why it was refused: one sentence, empty unless it was."""
        return self.job.message


class PageImage(TenantOwned):
    """A page of the original as a picture, encrypted in storage. It is wanted until a worker has `answered`,
    which leaves `stored_name` empty where the file, laid out here, has no such page."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="page_images")
    number = models.PositiveIntegerField(help_text="from 1")
    stored_name = models.CharField(max_length=200, blank=True)
    answered = models.BooleanField(default=False)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["document", "number"], name="page_drawn_once")]


class Upload(TenantOwned):
    """A file on its way here, which may be continued after a broken connection (tus 1.0, https://tus.io)."""

    member = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="+")
    matter = models.ForeignKey(Matter, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField(help_text="bytes promised")
    received = models.PositiveBigIntegerField(default=0, help_text="bytes kept so far")
    result = models.JSONField(null=True, help_text="What became of it, once it is whole.")
    created_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(auto_now=True)


class UploadPart(TenantOwned):
    """What one request brought of an upload. Encrypted in storage; gone once the document is whole."""

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="parts")
    offset = models.PositiveBigIntegerField()
    size = models.PositiveBigIntegerField()
    stored_name = models.CharField(max_length=200)

    class Meta:
        ordering = ["offset"]
        constraints = [models.UniqueConstraint(fields=["upload", "offset"], name="part_kept_once")]

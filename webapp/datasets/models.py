from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from webapp.core.jobs.models import Job, JobState
from webapp.core.tenancy import TenantOwned
from webapp.documents.models import Document
from webapp.tenants.models import Matter, Membership


def all_kinds() -> list[str]:
    """The kinds that are made from running text, in the order in which a passage is offered to them."""
    return [ExampleKind.CITE, ExampleKind.DRAFT, ExampleKind.CONTINUE]


class Split(models.TextChoices):
    TRAIN = "train", "Training"
    HELDOUT = "heldout", "Held out"


class Side(models.TextChoices):
    """Where a document's examples are: on one side, or, for ready-made pairs, each on its own."""

    TRAIN = "train", "Training"
    HELDOUT = "heldout", "Held out"
    BOTH = "both", "Both sides"


class ExampleKind(models.TextChoices):
    CITE = "cite", "Citations in the house's form"
    DRAFT = "draft", "A section from its points"
    CONTINUE = "continue", "The next passage"
    PAIR = "pair", "A ready-made pair"
    CHAT = "chat", "A ready-made chat"


class Dataset(TenantOwned):
    """Examples made from documents, split by document.

    A version is frozen once its job has built it: `sha256` covers its examples and its `manifest`, and the
    database refuses to change it again. A draft (`job` is None) holds only changes to its `parent`; freezing
    it makes the next version of the same `family`. A version with a parent is made of the parent's examples,
    one without is made of its documents.
    """

    name = models.CharField(max_length=200)
    family = models.UUIDField(default=uuid.uuid4, help_text="The same for all versions of a dataset.")
    version = models.PositiveIntegerField(default=1)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="children")
    seed = models.PositiveIntegerField(default=0)
    heldout_share = models.FloatField(default=0.15)
    kinds = ArrayField(models.CharField(max_length=20, choices=ExampleKind.choices), default=all_kinds)
    max_tokens = models.PositiveIntegerField(default=300, help_text="of a passage, in the base's tokens")
    sha256 = models.CharField(max_length=64, blank=True)
    manifest = models.JSONField(default=dict, help_text="What `sha256` covers besides the examples.")
    report = models.JSONField(default=dict, help_text="See `quality`; with the findings as they stood.")
    profile = models.JSONField(default=dict, help_text="See `profile`.")
    train_examples = models.PositiveIntegerField(default=0)
    heldout_examples = models.PositiveIntegerField(default=0)
    documents_done = models.PositiveIntegerField(default=0, help_text="Progress of the job.")
    seconds_left = models.FloatField(null=True)
    created_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["family", "version"], name="dataset_version_once"),
            models.UniqueConstraint(
                fields=["family"], condition=models.Q(job__isnull=True), name="one_open_draft_per_family"
            ),
            models.CheckConstraint(
                condition=models.Q(job__isnull=False) | models.Q(parent__isnull=False),
                name="a_draft_has_a_parent",
            ),
        ]

    def __str__(self) -> str:
        return self.name if self.version == 1 else f"{self.name} v{self.version}"

    @property
    def state(self) -> str:
        """draft, queued, building, ready (frozen) or failed."""
        if self.job is None:
            return "draft"
        return {
            JobState.QUEUED: "queued",
            JobState.RUNNING: "building",
            JobState.SUCCEEDED: "ready",
        }.get(JobState(self.job.state), "failed")

    @property
    def reason(self) -> str:
        return self.job.message if self.job else ""

    @property
    def is_being_built(self) -> bool:
        return self.job is not None and not self.job.has_ended

    @property
    def example_count(self) -> int:
        return self.train_examples + self.heldout_examples


class DatasetMatter(TenantOwned):
    """A matter that a dataset carries: who is screened off it sees nothing that was made of the dataset."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="matters")
    matter = models.ForeignKey(Matter, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "matter"], name="matter_once_per_dataset")]


class DatasetDocument(TenantOwned):
    """One document's place in a dataset: all that is made of its text is on one side of the split."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="memberships")
    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="+")
    split = models.CharField(max_length=10, choices=Side.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "document"], name="document_once_per_dataset"),
        ]


class Example(TenantOwned):
    """A prompt and the completion that the house would write.

    Those of a frozen dataset can only go with it: the foreign key cascades in the database, where a trigger
    refuses every other change.
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.DO_NOTHING, related_name="examples")
    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="+")
    split = models.CharField(max_length=10, choices=Split.choices)
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=20, choices=ExampleKind.choices)
    context = models.JSONField(
        default=list, help_text='What was said before, for chats: [{"role": …, "content": …}].'
    )
    prompt = models.TextField()
    completion = models.TextField()
    source = models.CharField(
        max_length=255, blank=True, help_text="The document's name where it was exported, for imported ones."
    )
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["dataset", "position"], name="example_position_once")]
        indexes = [
            models.Index(fields=["dataset", "split", "position"]),
            models.Index(fields=["dataset", "kind", "position"], name="example_kind"),
        ]

    @property
    def document_name(self) -> str:
        """The document that it was made from, before any export and import."""
        return self.source or self.document.name


class ExampleChange(TenantOwned):
    """What a draft does to one of its parent's examples: leave it out, or say it otherwise."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="changes")
    # The database keeps the example while a change names it; Django need not load examples to find that out.
    example = models.ForeignKey(Example, on_delete=models.DO_NOTHING, related_name="changes")
    excluded = models.BooleanField(default=False)
    prompt = models.TextField(blank=True)
    completion = models.TextField(blank=True)
    changed_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "example"], name="one_change_per_example")]

"""The firm at a glance: how far its documents have come, and the one next thing for the person who looks."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from webapp.adapters import selectors as adapters
from webapp.adapters.models import AdapterVersion, VersionState
from webapp.datasets import selectors as datasets
from webapp.documents import selectors as documents
from webapp.serving import selectors
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, allows
from webapp.training import selectors as training

RECENT = 5


@dataclass(frozen=True)
class Step:
    """One station of the path."""

    title: str
    url_name: str
    count: int
    says: str

    @property
    def done(self) -> bool:
        return self.count > 0


@dataclass(frozen=True)
class Next:
    """The one next thing: a sentence, and where to do it."""

    title: str
    says: str
    button: str = ""
    url: str = ""


class Glance:
    """What the page needs to know of a firm; each question is asked of the database once."""

    def __init__(self, member: Membership) -> None:
        self.member = member
        self.tenant_id: uuid.UUID = member.tenant_id
        self.documents = documents.counts(self.tenant_id)
        self.ready_datasets = datasets.ready(self.tenant_id).count()
        self.newest_dataset = datasets.datasets(self.tenant_id).first()
        self.runs = list(training.runs(self.tenant_id)[:RECENT])
        self.active = training.active(self.tenant_id).first()
        self.waiting = list(adapters.waiting(self.tenant_id))
        self.live = selectors.live(self.tenant_id)

    @cached_property
    def versions(self) -> int:
        return adapters.versions(self.tenant_id).count()

    @cached_property
    def approved(self) -> list[AdapterVersion]:
        found = adapters.versions(self.tenant_id).filter(state=VersionState.APPROVED)
        return list(found.order_by("-created_at"))

    @property
    def for_me(self) -> list[AdapterVersion]:
        """Versions this person may decide on."""
        if not allows(self.member, Action.APPROVE):
            return []
        return [version for version in self.waiting if version.run.started_by_id != self.member.id]

    @property
    def steps(self) -> list[Step]:
        counts = self.documents
        reading = f", {counts['unsettled']} being read" if counts["unsettled"] else ""
        refused = f", {counts['refused']} refused" if counts["refused"] else ""
        newest = self.newest_dataset.name if self.newest_dataset else "None yet"
        live = str(self.live.version) if self.live else "Nothing is live"
        return [
            Step("Documents", "documents", counts["ready"], f"{counts['ready']} ready{reading}{refused}"),
            Step("Dataset", "datasets", self.ready_datasets, newest),
            Step("Training", "training", self.versions, self._training()),
            Step("Approval", "adapters", len(self.approved), self._approval()),
            Step("Live", "adapters", int(self.live is not None), live),
        ]

    @property
    def next(self) -> Next:
        for found in (self._next_for_approver(), self._next_for_worker()):
            if found is not None:
                return found
        if self.live:
            return Next(
                "Your house style is live",
                f"{self.live.version} answers your firm's programs.",
                *self._compare(),
            )
        if allows(self.member, Action.AUDIT):
            return Next(
                "Nothing for you to do", "The log says who did what.", "Read the audit log", reverse("audit")
            )
        return Next("Nothing for you to do", "You will see here what needs you.")

    def _training(self) -> str:
        if self.active is None:
            return f"{self.versions} finished" if self.versions else "Not started"
        if self.active.steps:
            return f"Step {self.active.step} of {self.active.steps}"
        return "Starting"

    def _approval(self) -> str:
        if self.waiting:
            return f"{len(self.waiting)} waiting"
        return f"{len(self.approved)} approved" if self.approved else "Nothing to decide"

    def _next_for_approver(self) -> Next | None:
        if self.for_me:
            version = self.for_me[0]
            says = f"{version.run.started_by.user} trained it on “{version.run.dataset}”."
            url = reverse("version", args=[version.id])
            return Next(f"{version} waits for your decision", says, "Read the evidence", url)
        if allows(self.member, Action.RELEASE) and self.approved and self.live is None:
            version = self.approved[0]
            url = reverse("version", args=[version.id])
            return Next(f"{version} is approved", "Put it live to let programs use it.", "Put it live", url)
        return None

    def _next_for_worker(self) -> Next | None:
        """The first station that is still empty, for those who do the work."""
        if not allows(self.member, Action.TRAIN):
            return None
        if self.active:
            url = reverse("run", args=[self.active.id])
            return Next(f"“{self.active.adapter_name}” is training", self._training() + ".", "Watch it", url)
        if self.waiting:
            version = self.waiting[0]
            return Next(
                f"{version} waits for an approver",
                "Somebody who did not start its training decides. Compare it with the base meanwhile.",
                *self._compare(),
            )
        if self.approved:
            if self.live:
                return None
            says = "An approver of your firm can put it live. You can compare it meanwhile."
            return Next(f"{self.approved[0]} is approved", says, *self._compare())
        return self._next_towards_training()

    def _next_towards_training(self) -> Next:
        if self.ready_datasets:
            says = "Choose a preset; Quick takes a few minutes."
            return Next("Train on your dataset", says, "Start training", reverse("training-new"))
        if self.newest_dataset and self.newest_dataset.is_being_built:
            url = reverse("dataset", args=[self.newest_dataset.id])
            return Next("Your dataset is being built", "This takes moments.", "Watch it", url)
        ready = self.documents["ready"]
        if ready >= 2:
            says = f"{ready} documents are ready to learn from."
            return Next("Make a dataset", says, "Make a dataset", reverse("dataset-new"))
        if self.documents["unsettled"]:
            says = "Each turns ready, or says why it cannot be used."
            return Next("Your documents are being read", says, "Watch them", reverse("documents"))
        title = "Add a few more documents" if ready else "Begin with documents"
        says = "Final versions of your firm's own writing teach best: briefs, opinions, letters."
        return Next(title, says, "Add documents", reverse("documents"))

    def _compare(self) -> tuple[str, str]:
        if allows(self.member, Action.COMPARE):
            return "Compare in the playground", reverse("playground")
        return "", ""


@require_safe
@gate(Action.VIEW)
def home(request: MemberRequest) -> HttpResponse:
    return render(request, "home.html", {"glance": Glance(request.member)})

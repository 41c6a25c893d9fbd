"""A dataset as a file: a header line, then one line for each example, in order."""

from __future__ import annotations

from typing import Any

from webapp.audit import services as audit
from webapp.core.errors import Conflict
from webapp.datasets import manifest, selectors
from webapp.datasets.models import Dataset, Example
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require

BATCH = 500


def note_export(*, member: Membership, dataset: Dataset) -> None:
    """A dataset is about to leave the product. Raises Conflict for one that is not frozen."""
    require(member, Action.BUILD)
    if dataset.state != "ready":
        raise Conflict("Only a dataset that is ready can be exported.")
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="dataset.exported",
        target=dataset,
        sha256=dataset.sha256,
    )


def export_header(dataset: Dataset) -> bytes:
    """The first line, `{"housestyle_dataset": {"name", "version", "sha256", "manifest"}}`."""
    about = {
        "name": dataset.name,
        "version": dataset.version,
        "sha256": dataset.sha256,
        "manifest": dataset.manifest,
    }
    return manifest.canonical({"housestyle_dataset": about})


def export_batch(dataset: Dataset, *, after: int) -> tuple[bytes, int]:
    """The lines of the next examples behind the position `after` (-1 at first), and the last one's position.

    No lines are left when they are empty. The lines are those that the manifest's `examples_sha256` covers.
    """
    rows = list(selectors.examples(dataset).filter(position__gt=after)[:BATCH])
    lines = b"".join(manifest.line(row) for row in rows)
    return lines, rows[-1].position if rows else after


def as_line(example: Example) -> dict[str, Any]:
    """An example as the trainer reads it (one JSON line)."""
    return {
        "split": example.split,
        "prompt": example.prompt,
        "completion": example.completion,
        "context": example.context,
    }

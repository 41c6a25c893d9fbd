from __future__ import annotations

from webapp.datasets import manifest
from webapp.datasets.models import Dataset, Example
from webapp.datasets.services.build import matters_of, parts_of

CHUNK = 1000


def verify(dataset: Dataset) -> bool:
    """Whether a frozen dataset is still what its SHA-256 says: every example, its documents and their split,
    its matters, its settings and the findings as they stood. Reads all examples, one batch at a time.

    One from before there were manifests cannot be told to be what it was: False.
    """
    said = dataset.manifest
    if not said:
        return False
    settings = manifest.settings(
        parts=parts_of(dataset),
        matters=matters_of(dataset),
        seed=dataset.seed,
        heldout_share=dataset.heldout_share,
        kinds=dataset.kinds,
        max_tokens=dataset.max_tokens,
        builder_version=said["builder_version"],
        base_revision=said["base_revision"],
        chat_template_sha256=said["chat_template_sha256"],
        findings=dataset.report["findings"],
        parent_sha256=dataset.parent.sha256 if dataset.parent else "",
    )
    fingerprint = manifest.Fingerprint()
    rows = Example.objects.of(dataset.tenant_id).filter(dataset=dataset).order_by("position")
    rows = rows.select_related("document").only(
        "split", "kind", "context", "prompt", "completion", "source", "document__name"
    )
    for row in rows.iterator(chunk_size=CHUNK):
        fingerprint.add(row)
    found = fingerprint.manifest(settings)
    return found == said and fingerprint.sha256(found) == dataset.sha256

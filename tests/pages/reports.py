"""A frozen dataset with its profile and its report, as a build leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.conftest import Firm
from tests.factories import end_job, ready_document
from webapp.core.tenancy import tenant_scope
from webapp.datasets import services as datasets
from webapp.datasets.models import Dataset
from webapp.datasets.profile import ProfileBuilder
from webapp.datasets.quality import QualityBuilder
from webapp.documents.layout import Layout


def profiled(firm: Firm, *, name: str, texts: Sequence[str]) -> Dataset:
    """A dataset called `name` whose profile is that of `texts`; its report tells of the same."""
    profile, quality = ProfileBuilder(), QualityBuilder(max_tokens=300)
    chosen = [
        ready_document(firm, text=text if at else f"Held out in {name}.")
        for at, text in enumerate(["", *texts])
    ]
    for document, text in zip(chosen[1:], texts, strict=True):
        profile.add(Layout.of_text(text).blocks)
        quality.add_example(kind="cite", split="train", prompt_tokens=40, completion_tokens=60)
        quality.add_document(
            name=document.name, document_id=str(document.id), examples=1, words=len(text.split())
        )
    quality.add_example(kind="cite", split="heldout", prompt_tokens=40, completion_tokens=60)
    return frozen(firm, name=name, documents=chosen, profile=profile.result(), report=quality.result())


def frozen(
    firm: Firm, *, name: str, documents: Sequence[Any], profile: dict[str, Any], report: dict[str, Any]
) -> Dataset:
    """A dataset of `documents` that holds exactly this profile and report."""

    def record() -> None:
        dataset.profile, dataset.report = profile, report
        dataset.save(update_fields=["profile", "report"])

    with tenant_scope(firm.tenant.id):
        dataset = datasets.create(
            member=firm.alice, name=name, document_ids=[document.id for document in documents]
        )
        assert dataset.job is not None
        end_job(dataset.job, record=record)
    return dataset

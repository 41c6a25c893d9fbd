from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.factories import freeze, ready_document
from tests.live import learned, live
from webapp.adapters import services as adapters
from webapp.core.tenancy import tenant_scope
from webapp.datasets import services as datasets
from webapp.datasets.examples import NewExample
from webapp.playground import selectors
from webapp.tenants.models import Membership

pytestmark = pytest.mark.django_db

PASSAGE = "Put the citations of this passage into our house style.\n\n" + "See 539 US 306, 325 (2003). " * 4


def dataset_with(firm: Firm, prompts: list[tuple[str, str]]) -> None:
    """A dataset whose examples, on both sides of the split, have these kinds and prompts."""
    chosen = [ready_document(firm) for _ in range(2)]
    with tenant_scope(firm.tenant.id):
        dataset = datasets.create(member=firm.alice, name="Briefs", document_ids=[row.id for row in chosen])
        train, heldout = (
            [NewExample(kind, prompt, f"{side} {at}") for at, (kind, prompt) in enumerate(prompts)]
            for side in ("train", "heldout")
        )
        freeze(dataset, train=train, heldout=heldout)


def test_the_base_comes_first_then_the_live_version_then_the_newest(
    firm: Firm, other_firm: Firm, styles: list[Path]
) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    learned(firm, styles[0], by=firm.alice, approver=firm.bob)
    rejected = learned(firm, styles[0], by=firm.alice)
    learned(firm, styles[0], by=firm.alice, name="letters")
    learned(other_firm, styles[0], by=other_firm.carol, name="theirs")
    with tenant_scope(firm.tenant.id):
        adapters.decide(member=firm.bob, version=rejected, decision="rejected")
        columns = selectors.columns(firm.tenant.id)
    assert [column.label for column in columns] == ["Base model", "briefs@1", "letters@1", "briefs@2"]
    assert [column.live for column in columns] == [False, True, False, False]
    assert columns[0].id == "base"
    assert columns[2].detail.startswith("Waiting for approval")


def test_prompts_come_from_what_no_adapter_has_learned(firm: Firm) -> None:
    dataset_with(firm, [("continue", PASSAGE + "a"), ("cite", PASSAGE), ("cite", "x" * 5000), ("cite", "x")])
    with tenant_scope(firm.tenant.id):
        assert selectors.prompts(firm.tenant.id) == [PASSAGE, PASSAGE + "a"]


def test_a_firm_without_a_dataset_gets_general_prompts(firm: Firm, other_firm: Firm) -> None:
    dataset_with(firm, [("cite", PASSAGE)])
    with tenant_scope(other_firm.tenant.id):
        prompts = selectors.prompts(other_firm.tenant.id)
    assert prompts == list(selectors.GENERIC)


def test_the_page_offers_columns_and_prompts(
    signed_in: Callable[[Membership], Client], firm: Firm, styles: list[Path]
) -> None:
    live(firm, styles[0], by=firm.alice, approver=firm.bob)
    page: Any = signed_in(firm.alice).get("/playground/")
    assert page.status_code == 200
    assert [column["label"] for column in page.context["columns"]] == ["Base model", "briefs@1"]
    assert page.context["prompts"]
    assert signed_in(firm.erin).get("/playground/").status_code == 403

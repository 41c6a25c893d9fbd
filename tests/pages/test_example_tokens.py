"""An example as the model sees it: tokens from the engine, the loss marked, and nobody else's to look at."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from tests.conftest import Firm
from tests.factories import ready_dataset
from tests.serving.engines import RunningEngine
from tests.tenancy.matters import into_matter, screen_off
from webapp.core.tenancy import firm_scope
from webapp.datasets import selectors, services
from webapp.datasets.models import Dataset
from webapp.tenants.models import Membership

pytestmark = pytest.mark.django_db

SignIn = Callable[[Membership], Client]


@pytest.fixture
def dataset(firm: Firm) -> Dataset:
    return ready_dataset(firm, by=firm.alice)


def path(dataset: Dataset, position: int = 0) -> str:
    return f"/datasets/{dataset.id}/examples/{position}/tokens/"


def counting(page: str) -> str:
    """The marked tokens, joined."""
    shown = page.split('aria-label="The tokens"', 1)[1]
    return "".join(re.findall(r'<span class="token token-counts[^"]*">([^<]*)</span>', shown))


def test_the_answer_and_the_mark_that_ends_it_count(
    firm: Firm, dataset: Dataset, signed_in: SignIn, with_engine: RunningEngine
) -> None:
    with firm_scope(firm.tenant.id):
        example = selectors.example(dataset, 0)
    page = signed_in(firm.erin).get(path(dataset)).content.decode()
    assert counting(page) == f"{example.completion}&lt;|im_end|&gt;"
    assert "&lt;|im_start|&gt;" in page
    assert example.prompt.split()[0] in page


def test_an_edited_example_is_shown_as_it_would_be_frozen(
    firm: Firm, dataset: Dataset, signed_in: SignIn, with_engine: RunningEngine
) -> None:
    with firm_scope(firm.tenant.id):
        draft = services.edit(
            member=firm.alice, dataset=dataset, position=0, prompt="Cite it.", completion="540 U. S. 1."
        )
    page = signed_in(firm.alice).get(path(draft)).content.decode()
    assert counting(page) == "540 U. S. 1.&lt;|im_end|&gt;"
    page = signed_in(firm.alice).get(path(dataset)).content.decode()
    assert "540" not in counting(page)


def test_markup_in_an_example_stays_text(
    firm: Firm, dataset: Dataset, signed_in: SignIn, with_engine: RunningEngine
) -> None:
    with firm_scope(firm.tenant.id):
        draft = services.edit(
            member=firm.alice,
            dataset=dataset,
            position=0,
            prompt="<script>alert(1)</script>",
            completion="<b>",
        )
    assert "<script>alert" not in signed_in(firm.alice).get(path(draft)).content.decode()


def test_an_engine_that_is_away_is_told_in_words(
    firm: Firm, dataset: Dataset, signed_in: SignIn, settings: Settings
) -> None:
    settings.ENGINE_URL = "http://127.0.0.1:9"
    answer = signed_in(firm.alice).get(path(dataset))
    assert answer.status_code == 200
    assert "The model engine is not answering" in answer.content.decode()


def test_outsiders_and_the_screened_find_nothing(
    firm: Firm, other_firm: Firm, dataset: Dataset, signed_in: SignIn
) -> None:
    assert signed_in(other_firm.carol).get(path(dataset)).status_code == 404
    assert signed_in(firm.alice).get(path(dataset, 99)).status_code == 404
    assert Client().get(path(dataset))["Location"].startswith("/sign-in/")
    into_matter(firm)
    screen_off(firm, firm.alice)
    assert signed_in(firm.alice).get(path(dataset)).status_code == 404

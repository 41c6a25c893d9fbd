"""A run's page in a real browser while the run goes on: it follows, survives an outage, asks before an end.

Playwright's event loop lives inside each test, and the database is asked in a thread beside it: Django
refuses to ask it where a loop runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import connection
from django.test import Client
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.chromium import launch
from tests.conftest import Firm
from tests.factories import queued_run
from tests.live import Web
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import JobKind
from webapp.core.tenancy import tenant_scope
from webapp.training import services
from webapp.training.models import Answer, TrainingRun

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("web")]

SOON = 30_000  # milliseconds at most, on a busy machine
HOUSE = "See Brown v. Board of Education, 347 U. S. 483 (1954)."


def report(run: TrainingRun, write: Callable[[], None]) -> None:
    """What a worker writes of the run, in a transaction of its own."""

    def apart() -> None:
        try:
            with tenant_scope(run.tenant_id):
                write()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(apart).result()


def learn(run: TrainingRun, step: int, loss: float) -> None:
    def write() -> None:
        services.record_losses(run, [("train", step, loss)])
        services.record_progress(run, phase="training", step=step, steps=50)

    report(run, write)


def measure(run: TrainingRun, step: int, loss: float, text: str) -> None:
    def write() -> None:
        services.record_losses(run, [("heldout", step, loss)])
        services.record_progress(run, best_step=step or None)
        Answer.objects.create(
            tenant_id=run.tenant_id, run=run, step=step, place=0, prompt="P", expected=HOUSE, text=text
        )

    report(run, write)


@pytest.fixture
def run(firm: Firm) -> TrainingRun:
    """A run that a worker has taken."""
    made = queued_run(firm)
    assert jobs.claim(JobKind.TRAIN, worker="test")
    return made


@contextmanager
def opened(web: Web, run: TrainingRun, client: Client) -> Iterator[Page]:
    """The run's page, of a member who has signed in; no script may fail on it."""
    cookie = client.cookies["sessionid"].value
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = launch(playwright)
        context = browser.new_context()
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": web.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{web.url}/training/{run.id}/")
        yield page
        browser.close()
    assert errors == []


def test_the_page_follows_the_run_and_is_there_again_after_an_outage(
    web: Web, firm: Firm, run: TrainingRun, signed_in: Callable[..., Client]
) -> None:
    client = signed_in(firm.alice)
    with opened(web, run, client) as page:
        expect(page.get_by_text("The first answers come once")).to_be_visible()
        measure(run, 0, 2.5, "I can help you with that!")
        learn(run, 1, 2.25)
        expect(page.get_by_text("Step 1 of 50")).to_be_visible(timeout=SOON)
        expect(page.locator("#curve-says")).to_have_text(
            "Training loss 2.25 at step 1. Held-out loss 2.50 before training.", timeout=SOON
        )
        expect(page.locator("#curve canvas")).to_be_visible()
        expect(page.get_by_text("I can help you with that!")).to_be_visible(timeout=SOON)

        page.context.set_offline(True)
        expect(page.locator("#away")).to_be_visible(timeout=SOON)
        learn(run, 2, 2.0)
        measure(run, 2, 1.5, HOUSE)
        page.context.set_offline(False)
        expect(page.locator("#away")).to_be_hidden(timeout=SOON)
        expect(page.get_by_text("Step 2 of 50")).to_be_visible(timeout=SOON)
        expect(page.locator("#curve-says")).to_contain_text("The best is 1.50, at step 2.", timeout=SOON)
        expect(page.get_by_text("100% as the house")).to_be_visible(timeout=SOON)


def test_a_run_that_went_back_to_its_checkpoint_is_drawn_from_there(
    web: Web, firm: Firm, run: TrainingRun, signed_in: Callable[..., Client]
) -> None:
    client = signed_in(firm.alice)
    for step in range(1, 6):
        learn(run, step, 2.0)
    with opened(web, run, client) as page:
        expect(page.locator("#curve-says")).to_contain_text("Training loss 2.00 at step 5.", timeout=SOON)

        def go_back() -> None:
            services.forget_curve(run)
            services.record_losses(run, [("train", step, 1.75) for step in (1, 2, 3)])
            services.record_progress(run, step=3)

        report(run, go_back)
        expect(page.locator("#curve-says")).to_contain_text("Training loss 1.75 at step 3.", timeout=SOON)


def test_a_cancel_asks_whether_to_keep_the_best(
    web: Web, firm: Firm, run: TrainingRun, signed_in: Callable[..., Client]
) -> None:
    client = signed_in(firm.alice)
    learn(run, 1, 2.0)
    with opened(web, run, client) as page:
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("there is no better held-out loss")).to_be_visible()
        expect(page.get_by_role("button", name="Stop, keep the best")).to_be_hidden()
        page.get_by_role("button", name="Let it go on").click()
        measure(run, 1, 1.5, HOUSE)
        expect(page.get_by_text("at step 1", exact=True)).to_be_visible(timeout=SOON)
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Stop, keep the best").click()
        expect(page.get_by_text("its best so far is kept")).to_be_visible(timeout=SOON)
    with tenant_scope(firm.tenant.id):
        run.refresh_from_db()
        assert run.keep_best and run.job.cancel_requested

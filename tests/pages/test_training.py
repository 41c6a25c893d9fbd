from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.factories import end_job, queued_run, ready_dataset
from webapp.core.jobs.models import JobState
from webapp.core.tenancy import tenant_scope
from webapp.training import services

SignIn = Callable[..., Client]
FRAGMENT = {"HX-Request": "true"}


def test_a_run_says_step_of_steps_and_what_it_trains(firm: Firm, signed_in: SignIn) -> None:
    run = queued_run(firm)
    with tenant_scope(firm.tenant.id):
        services.record_progress(
            run,
            step=12,
            steps=48,
            heldout_before=2.64,
            trainable_parameters=4_884_480,
            frozen_parameters=134_515_008,
        )
        end_job(run.job, record=lambda: services.record_progress(run, heldout_after=1.71))
    page = signed_in(firm.alice).get(f"/training/{run.id}/").content.decode()
    assert "Step 12 of 48" in page
    assert "4,884,480" in page
    assert "of 139.4 million, 3.5%" in page
    assert "fell from 2.64 to 1.71" in page


def test_the_numbers_are_asked_for_until_the_run_has_ended(firm: Firm, signed_in: SignIn) -> None:
    run = queued_run(firm)
    client = signed_in(firm.alice)
    url = f"/training/{run.id}/"
    assert 'hx-trigger="every 1s"' in client.get(url).content.decode()
    assert client.get(url, headers=FRAGMENT).status_code == 200
    with tenant_scope(firm.tenant.id):
        end_job(run.job, JobState.FAILED, "The loss became not a number; lower the learning rate.")
    answer = client.get(url, headers=FRAGMENT)
    assert answer.status_code == 286
    assert "The loss became not a number; lower the learning rate." in answer.content.decode()
    assert "every 1s" not in client.get(url).content.decode()


def test_the_curve_is_json_that_says_when_it_is_whole(firm: Firm, signed_in: SignIn) -> None:
    run = queued_run(firm)
    with tenant_scope(firm.tenant.id):
        services.record_losses(run, [("heldout", 0, 2.5), ("train", 1, 2.25), ("train", 2, 2.0)])
    client = signed_in(firm.alice)
    curve = client.get(f"/training/{run.id}/curve/").json()
    assert curve == {"train": [[1, 2.25], [2, 2.0]], "heldout": [[0, 2.5]], "steps": 0, "ended": False}
    with tenant_scope(firm.tenant.id):
        end_job(run.job)
    assert client.get(f"/training/{run.id}/curve/").json()["ended"] is True


def test_a_waiting_run_is_cancelled_at_once_and_an_ended_one_says_so(firm: Firm, signed_in: SignIn) -> None:
    run = queued_run(firm)
    client = signed_in(firm.alice)
    first = client.post(f"/training/{run.id}/cancel/", follow=True).content.decode()
    assert "Cancelled" in first
    again = client.post(f"/training/{run.id}/cancel/", follow=True).content.decode()
    assert "This run has already ended." in again


def test_an_auditor_sees_no_cancel_button(firm: Firm, signed_in: SignIn) -> None:
    run = queued_run(firm)
    assert "Cancel" not in signed_in(firm.erin).get(f"/training/{run.id}/").content.decode().split("<h2>")[0]


@pytest.mark.parametrize(
    "dataset", ["", "?dataset=nonsense", "?dataset=00000000-0000-0000-0000-000000000000"]
)
def test_an_unknown_dataset_in_the_address_falls_back_to_the_newest(
    firm: Firm, signed_in: SignIn, dataset: str
) -> None:
    newest = ready_dataset(firm)
    page = signed_in(firm.alice).get(f"/training/new/{dataset}")
    assert page.context["chosen"] == newest


def test_without_a_dataset_training_says_what_to_do_first(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    for url in ("/training/", "/training/new/"):
        assert "make one first" in client.get(url).content.decode()

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from tests.conftest import Firm
from tests.factories import end_job, queued_run, ready_dataset
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import JobKind, JobState
from webapp.core.tenancy import tenant_scope
from webapp.training import services
from webapp.training.models import Answer, TrainingRun
from webapp.training.wording import SETTINGS

SignIn = Callable[..., Client]
FRAGMENT = {"HX-Request": "true"}


def words(answer: Any) -> str:
    """A page's text as a person reads it, without its tags."""
    text = re.sub(r"<[^>]+>", "", answer.content.decode())
    return re.sub(r"[ \n]+", " ", text)


def running_run(firm: Firm) -> TrainingRun:
    """A run that a worker has taken."""
    run = queued_run(firm)
    assert jobs.claim(JobKind.TRAIN, worker="test")
    with tenant_scope(firm.tenant.id):
        run.job.refresh_from_db()
    return run


def claim_of(run: TrainingRun) -> jobs.Claim:
    return jobs.Claim(run.job_id, run.tenant_id, run.id, JobKind.TRAIN, run.job.epoch, attempts=1)


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
    assert curve == {
        "train": [[1, 2.25], [2, 2.0]],
        "heldout": [[0, 2.5]],
        "steps": 0,
        "step": 0,
        "best": None,
        "ended": False,
    }
    with tenant_scope(firm.tenant.id):
        end_job(run.job)
    assert client.get(f"/training/{run.id}/curve/").json()["ended"] is True


def test_who_follows_the_curve_is_sent_what_is_new(firm: Firm, signed_in: SignIn) -> None:
    run = queued_run(firm)
    with tenant_scope(firm.tenant.id):
        services.record_losses(run, [("train", step, 2.0) for step in range(1, 10)])
        services.record_losses(run, [("heldout", 0, 2.5), ("heldout", 4, 2.0), ("heldout", 8, 2.25)])
        services.record_progress(run, step=9, best_step=4)
    client = signed_in(firm.alice)
    curve = client.get(f"/training/{run.id}/curve/?after=7").json()
    assert curve["train"] == [[8, 2.0], [9, 2.0]]
    assert curve["heldout"] == [[0, 2.5], [4, 2.0], [8, 2.25]]
    assert (curve["step"], curve["best"]) == (9, 4)
    for nonsense in ("-1", "x", "", "9" * 40):
        assert len(client.get(f"/training/{run.id}/curve/?after={nonsense}").json()["train"]) == 9


def test_a_running_run_says_all_that_is_known_of_it(firm: Firm, signed_in: SignIn) -> None:
    run = running_run(firm)
    with tenant_scope(firm.tenant.id):
        services.record_progress(
            run,
            phase="training",
            step=1_204,
            steps=4_000,
            learning_rate=0.000956773,
            tokens_per_s=217.4,
            seconds_left=700,
            memory_bytes=3 * 2**30,
            peak_bytes=4 * 2**30,
            checkpoint_step=1_200,
            heldout_before=2.64,
            heldout_after=1.71,
            best_step=1_000,
            notice="The network is away; the run goes on.",
        )
    page = words(signed_in(firm.alice).get(f"/training/{run.id}/"))
    for said in (
        "Step 1,204 of 4,000",
        "Time left: about 12 minutes",
        "Saved up to step 1,200: nothing before it can be lost.",
        "So far the held-out loss fell from 2.64 to 1.71",
        "at step 1,000",
        "0.00096",
        "217",
        "3.0\xa0GB",
        "4.0\xa0GB at most so far",
        "The network is away; the run goes on.",
    ):
        assert said in page, said


def test_the_frozen_prefix_shows_how_far_it_is(firm: Firm, signed_in: SignIn) -> None:
    run = running_run(firm)
    with tenant_scope(firm.tenant.id):
        services.record_progress(run, phase="preparing", prepared_share=0.4321)
    page = words(signed_in(firm.alice).get(f"/training/{run.id}/"))
    assert "Reading the examples through the layers that stay frozen" in page
    assert "43%" in page


def test_a_waiting_run_says_how_many_are_ahead_of_it(firm: Firm, other_firm: Firm, signed_in: SignIn) -> None:
    first, second = queued_run(firm), queued_run(firm)
    client = signed_in(firm.alice)
    assert "It is next." in words(client.get(f"/training/{first.id}/"))
    assert "1 run is ahead of it." in words(client.get(f"/training/{second.id}/"))
    queued_run(other_firm)
    assert "2 runs are ahead of it." in words(client.get(f"/training/{second.id}/"))


def test_an_interrupted_run_says_where_it_goes_on(firm: Firm, signed_in: SignIn) -> None:
    run = queued_run(firm)
    with tenant_scope(firm.tenant.id):
        services.record_progress(run, step=44, steps=100, checkpoint_step=40, best_step=40)
    page = words(signed_in(firm.alice).get(f"/training/{run.id}/"))
    assert "Goes on from step 40 as soon as a trainer is free." in page
    assert "Step 40 of 100" in page
    assert "Saved up to step 40" in page


def test_a_postponed_run_says_why_and_until_when(firm: Firm, signed_in: SignIn) -> None:
    run = queued_run(firm)
    claim = jobs.claim(JobKind.TRAIN, worker="test")
    assert claim is not None
    with tenant_scope(firm.tenant.id):
        services.record_progress(run, step=44, steps=100, checkpoint_step=40)
        jobs.postpone(claim, message="The disk is full; the run goes on when there is room.", seconds=600)
    answer = signed_in(firm.alice).get(f"/training/{run.id}/")
    page = words(answer)
    assert "The disk is full; the run goes on when there is room." in page
    assert "Goes on from step 40" in page and "Not before " in page
    assert "notice-error" not in answer.content.decode().split('id="numbers"')[1].split("<h2>")[0]


def test_a_run_that_ended_early_says_which_step_is_kept(firm: Firm, signed_in: SignIn) -> None:
    run = queued_run(firm)
    with tenant_scope(firm.tenant.id):
        services.record_progress(run, step=60, steps=100, best_step=40, stopped_early=True)
        end_job(run.job)
    page = words(signed_in(firm.alice).get(f"/training/{run.id}/"))
    assert "It ended early: it no longer got better. The adapter is that of step 40, its best." in page


def test_the_settings_are_all_there_in_words(firm: Firm, signed_in: SignIn) -> None:
    run = queued_run(firm)
    with tenant_scope(firm.tenant.id):
        run.spec |= {"layers": 10, "epochs": 4, "max_steps": 150}
        services.record_progress(run, spec=run.spec, mode="streamed", precision="fp32")
    answer = signed_in(firm.alice).get(f"/training/{run.id}/")
    page = words(answer)
    assert "read up to 4 times, in at most 150 steps. The top 10 layers of tiny get an adapter" in page
    for setting in SETTINGS.values():
        assert f"<dt>{escape(setting.label)}</dt>" in answer.content.decode(), setting.name
    assert "One layer at a time from disk" in page, "what the engine chose stands where it was left to it"
    assert "fp32, 32 bits" in page


HOUSE = "See Brown v. Board of Education, 347 U. S. 483 (1954)."


def answer_prompts(firm: Firm, run: TrainingRun, step: int, text: str, prompt: str = "Restyle it.") -> None:
    with tenant_scope(firm.tenant.id):
        for place in range(3):
            Answer.objects.create(
                tenant=firm.tenant,
                run=run,
                step=step,
                place=place,
                prompt=f"{prompt}\n\nPassage {place}",
                expected=HOUSE,
                text=text,
            )


def test_the_answers_show_the_style_arrive(firm: Firm, signed_in: SignIn) -> None:
    run = running_run(firm)
    answer_prompts(firm, run, 0, "I can help you with that!")
    answer_prompts(firm, run, 20, "See Brown v. Board of Education, 347 US 483 (1954).")
    answer_prompts(firm, run, 40, HOUSE)
    with tenant_scope(firm.tenant.id):
        services.record_progress(run, best_step=40)
    page = signed_in(firm.alice).get(f"/training/{run.id}/").content.decode()
    articles = page.split('<article class="arrival">')[1:]
    assert len(articles) == 3
    before, after = (articles[0].index(words) for words in ("Before training", "After step 40"))
    folded = articles[0].index("1 answer in between")
    assert before < folded < articles[0].index("After step 20") < after
    assert articles[0].count("<mark>") == 1 and "<mark>US</mark>" in articles[0]
    assert "100% as the house" in articles[0][after:] and "the best so far" in articles[0][after:]
    assert "Restyle it." in articles[2] and "Passage 2" in articles[2]


def test_the_answers_are_sent_again_only_when_there_are_new_ones(firm: Firm, signed_in: SignIn) -> None:
    run = running_run(firm)
    client = signed_in(firm.alice)
    url = f"/training/{run.id}/answers/"
    assert "The first answers come once" in client.get(url).content.decode()
    answer_prompts(firm, run, 0, "No.")
    first = client.get(url)
    seen = first.context["seen"]
    assert first.status_code == 200 and f'value="{seen}"' in first.content.decode()
    assert client.get(f"{url}?seen={seen}").status_code == 204
    answer_prompts(firm, run, 20, "Yes.")
    assert "Yes." in client.get(f"{url}?seen={seen}").content.decode()
    with tenant_scope(firm.tenant.id):
        services.record_progress(run, best_step=20)
        jobs.finish(claim_of(run), JobState.SUCCEEDED)
    assert client.get(f"{url}?seen={seen}", headers=FRAGMENT).status_code == 286


def test_an_answer_is_text_and_never_markup(firm: Firm, signed_in: SignIn) -> None:
    run = running_run(firm)
    answer_prompts(firm, run, 0, "<script>alert(1)</script>", prompt="<img src=x>")
    page = signed_in(firm.alice).get(f"/training/{run.id}/").content.decode()
    assert "<script>alert" not in page and "<img src=x" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_best_so_far_is_offered_once_there_is_one(firm: Firm, signed_in: SignIn) -> None:
    run = running_run(firm)
    client = signed_in(firm.alice)
    url = f"/training/{run.id}/"
    assert 'name="keep_best"' not in client.get(url).content.decode()
    with tenant_scope(firm.tenant.id):
        services.record_progress(run, step=44, steps=100, best_step=40)
    page = client.get(url).content.decode()
    assert 'data-also="Stop, keep the best"' in page and "Its best so far is that of step 40" in page
    said = words(client.post(f"{url}cancel/", {"keep_best": "yes"}, follow=True))
    assert "its best so far is kept" in said
    assert "It stops within one step and keeps the best so far." in said
    with tenant_scope(firm.tenant.id):
        run.refresh_from_db()
        assert run.keep_best and run.job.cancel_requested


def test_a_cancel_keeps_nothing_unless_asked(firm: Firm, signed_in: SignIn) -> None:
    run = running_run(firm)
    with tenant_scope(firm.tenant.id):
        services.record_progress(run, best_step=40)
    said = words(signed_in(firm.alice).post(f"/training/{run.id}/cancel/", {"keep_best": ""}, follow=True))
    assert "nothing of it is kept" in said
    with tenant_scope(firm.tenant.id):
        run.refresh_from_db()
        assert not run.keep_best


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

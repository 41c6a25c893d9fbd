from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Call, refusal
from tests.conftest import Firm
from tests.factories import queued_run, ready_dataset
from tests.models import tiny_model_folder
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import JobKind
from webapp.core.tenancy import tenant_scope
from webapp.training import services
from webapp.training.models import Answer

pytestmark = pytest.mark.django_db


@pytest.fixture
def base(settings: Any) -> None:
    settings.BASE_MODEL_DIR = tiny_model_folder()


def test_a_run_starts_from_a_preset_and_what_overrides_it(call: Call, firm: Firm, base: None) -> None:
    wanted = {
        "dataset": str(ready_dataset(firm).id),
        "adapter_name": "briefs",
        "preset": "balanced",
        "settings": {"rank": 8, "max_steps": 5},
    }
    answer = call(firm.alice, "POST", "runs/", wanted)
    assert answer.status_code == 201, answer.content
    run = answer.json()
    assert run["state"] == "queued"
    assert run["spec"]["rank"] == 8
    assert run["spec"]["epochs"] == 2
    assert run["base_model"] == "tiny-llama"
    assert run["curve"] == {"train": [], "heldout": []}


def test_every_setting_out_of_bounds_gets_its_own_sentence(call: Call, firm: Firm, base: None) -> None:
    wanted = {
        "dataset": str(ready_dataset(firm).id),
        "adapter_name": "Our Briefs",
        "settings": {"rank": 65, "alpha": "x", "colour": "green"},
    }
    error = refusal(call(firm.alice, "POST", "runs/", wanted), 400, "invalid")
    assert set(error["fields"]) == {"adapter_name", "rank", "alpha", "colour"}
    assert error["fields"]["rank"] == "Rank must be between 4 and 64; 65 was given."
    assert call(firm.alice, "GET", "runs/").json()["count"] == 0


def test_a_run_is_refused_while_there_is_no_base_model(
    call: Call, firm: Firm, settings: Any, tmp_path: Any
) -> None:
    settings.BASE_MODEL_DIR = tmp_path
    wanted = {"dataset": str(ready_dataset(firm).id), "adapter_name": "briefs"}
    refusal(call(firm.alice, "POST", "runs/", wanted), 503, "unavailable")


def test_a_run_tells_its_progress_and_its_curve(call: Call, firm: Firm) -> None:
    run = queued_run(firm)
    with tenant_scope(firm.tenant.id):
        services.record_progress(run, phase="training", step=3, steps=10, tokens_per_s=200.5, seconds_left=9)
        services.record_losses(run, [("heldout", 0, 2.5), ("train", 1, 2.25), ("train", 3, 2.0)])
    found = call(firm.alice, "GET", f"runs/{run.id}/").json()
    assert (found["phase"], found["step"], found["steps"]) == ("training", 3, 10)
    assert found["tokens_per_s"] == 200.5
    assert found["curve"] == {"train": [[1, 2.25], [3, 2.0]], "heldout": [[0, 2.5]]}


def test_a_run_tells_all_that_its_page_shows(call: Call, firm: Firm) -> None:
    run = queued_run(firm)
    told = {
        "mode": "resident",
        "precision": "fp32",
        "notice": "The disk is full.",
        "best_step": 40,
        "stopped_early": True,
        "checkpoint_step": 40,
        "memory_bytes": 2**31,
        "prepared_share": 0.5,
    }
    with tenant_scope(firm.tenant.id):
        services.record_progress(run, **told)
        for step, text in ((0, "No."), (40, "See 539 U. S. 306.")):
            Answer.objects.create(
                tenant=firm.tenant, run=run, step=step, place=0, prompt="P", expected="E", text=text
            )
    found = call(firm.alice, "GET", f"runs/{run.id}/").json()
    assert {name: found[name] for name in told} == told
    assert found["position"] == 1
    assert found["answers"] == [
        {
            "place": 0,
            "prompt": "P",
            "expected": "E",
            "answers": [{"step": 0, "text": "No."}, {"step": 40, "text": "See 539 U. S. 306."}],
        }
    ]
    (listed,) = call(firm.alice, "GET", "runs/").json()["results"]
    assert "answers" not in listed and listed["best_step"] == 40


def test_a_running_run_is_cancelled_and_its_best_kept_when_asked(call: Call, firm: Firm) -> None:
    path = f"runs/{queued_run(firm).id}/cancel/"
    assert jobs.claim(JobKind.TRAIN, worker="test")
    answer = call(firm.alice, "POST", path, {"keep_best": True}).json()
    assert (answer["state"], answer["cancel_requested"], answer["keep_best"]) == ("running", True, True)
    refusal(call(firm.alice, "POST", path, {"keep_best": "perhaps"}), 400, "invalid")


def test_a_base_that_nobody_registered_is_refused(call: Call, firm: Firm, base: None) -> None:
    wanted = {"dataset": str(ready_dataset(firm).id), "adapter_name": "briefs", "base": "llama-900b"}
    error = refusal(call(firm.alice, "POST", "runs/", wanted), 400, "invalid")
    assert error["fields"]["base"] == "Choose one of the registered base models: tiny-llama."


def test_a_rank_above_the_engines_is_refused(call: Call, firm: Firm, base: None, settings: Any) -> None:
    settings.MAX_ADAPTER_RANK = 16
    wanted = {
        "dataset": str(ready_dataset(firm).id),
        "adapter_name": "briefs",
        "settings": {"rank": 32, "use_dora": True, "modules_to_save": ["lm_head"], "layers": 3},
    }
    error = refusal(call(firm.alice, "POST", "runs/", wanted), 400, "invalid")
    assert set(error["fields"]) == {"rank", "use_dora", "modules_to_save", "layers"}
    assert error["fields"]["rank"] == "Rank must be between 4 and 16; 32 was given."
    assert error["fields"]["layers"].startswith("Layers must be between 0 and 2")


def test_a_run_shows_no_trace_to_the_firm(call: Call, firm: Firm) -> None:
    found = call(firm.alice, "GET", f"runs/{queued_run(firm).id}/").json()
    assert "trace" not in found
    assert "worker" not in found


def test_a_waiting_run_can_be_cancelled_once(call: Call, firm: Firm) -> None:
    path = f"runs/{queued_run(firm).id}/cancel/"
    answer = call(firm.alice, "POST", path, {})
    assert answer.status_code == 200
    assert answer.json()["state"] == "cancelled"
    refusal(call(firm.alice, "POST", path, {}), 409, "conflict")

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Call, refusal
from tests.conftest import Firm
from tests.factories import queued_run, ready_dataset
from tests.models import tiny_model_folder
from webapp.core.tenancy import tenant_scope
from webapp.training import services

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


def test_a_run_shows_no_trace_to_the_firm(call: Call, firm: Firm) -> None:
    found = call(firm.alice, "GET", f"runs/{queued_run(firm).id}/").json()
    assert "trace" not in found
    assert "worker" not in found


def test_a_waiting_run_can_be_cancelled_once(call: Call, firm: Firm) -> None:
    path = f"runs/{queued_run(firm).id}/cancel/"
    answer = call(firm.alice, "POST", path)
    assert answer.status_code == 200
    assert answer.json()["state"] == "cancelled"
    refusal(call(firm.alice, "POST", path), 409, "conflict")

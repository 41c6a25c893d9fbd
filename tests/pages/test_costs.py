"""What a run would cost, told before it starts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from tests.conftest import Firm
from tests.factories import queued_run, ready_dataset
from tests.models import tiny_model_folder
from webapp.core.errors import Invalid
from webapp.core.tenancy import tenant_scope
from webapp.training import costs, services
from webapp.training.estimate import Calibration
from webapp.training.estimate.known import MODELS
from webapp.training.models import CostSample, Device, TrainingRun
from webapp.training.spec import TrainingSpec

SignIn = Callable[..., Client]
GIB = 2**30
MEASURED: dict[str, Any] = {
    "name": "A processor, 2 threads, 24 GB",
    "kind": "cpu",
    "memory_bytes": 24 * GIB,
    "host_memory_bytes": 24 * GIB,
    "matrix_flops": 170e9,
    "read_bytes_per_s": 1e9,
    "free_disk_bytes": 100 * GIB,
}


@pytest.fixture
def base(settings: Settings, tmp_path: Path) -> Path:
    """The tiny model's configuration as the installation's base."""
    about = {"name": "tiny", "revision": "1" * 64, "chat_template_sha256": "0" * 64}
    config = (tiny_model_folder() / "config.json").read_text()
    (tmp_path / "housestyle.json").write_text(json.dumps(about))
    (tmp_path / "config.json").write_text(config)
    settings.BASE_MODEL_DIR = tmp_path
    settings.HOME = tmp_path
    return tmp_path


def large(base: Path) -> None:
    """Let the base be one of 70 billion parameters."""
    (base / "config.json").write_text(json.dumps(dict(MODELS[-1].config)))


def words(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def ask(client: Client, dataset: Any, **settings: Any) -> str:
    return words(
        client.get("/training/estimate/", {"dataset": str(dataset.id), "preset": "balanced", **settings})
    )


def ended_run(firm: Firm, **fields: Any) -> TrainingRun:
    """A run that did all its steps in one go, with what the trainer measured."""
    run = queued_run(firm)
    with tenant_scope(firm.tenant.id):
        measured = {"mode": "resident", "steps": 3, "step": 3, "seconds": 60.0, "peak_bytes": GIB}
        services.record_progress(run, **{**measured, "base_revision": "1" * 64, **fields})
    return run


def test_the_form_tells_time_memory_disk_and_what_learns(firm: Firm, signed_in: SignIn, base: Path) -> None:
    costs.record_device(MEASURED)
    dataset = ready_dataset(firm)
    client = signed_in(firm.alice)
    assert "/training/estimate/" in client.get("/training/new/").content.decode()
    said = ask(client, dataset)
    for title in ("Time about", "Memory at most about", "Disk while it trains about", "What learns"):
        assert title in said
    assert "with the whole model in memory on A processor, 2 threads, 24 GB" in said
    assert "No run here has ended yet to compare with." in said


def test_a_larger_rank_says_that_more_learns(firm: Firm, signed_in: SignIn, base: Path) -> None:
    costs.record_device(MEASURED)
    dataset = ready_dataset(firm)
    client = signed_in(firm.alice)
    learns = {
        rank: int(re.findall(r"([\d,]+) parameters", ask(client, dataset, rank=rank))[0].replace(",", ""))
        for rank in (4, 16)
    }
    assert learns[16] == 4 * learns[4]


def test_before_any_worker_has_told_of_a_device_it_says_so(firm: Firm, signed_in: SignIn, base: Path) -> None:
    said = ask(signed_in(firm.alice), ready_dataset(firm))
    assert "is told once a training worker has reported its device." in said


def test_settings_that_are_wrong_are_told_in_the_specs_words(
    firm: Firm, signed_in: SignIn, base: Path
) -> None:
    said = ask(signed_in(firm.alice), ready_dataset(firm), rank=3, epochs="many")
    assert "Rank must be between 4 and 64; 3 was given." in said
    assert "Epochs must be a whole number." in said


def test_a_base_that_the_estimator_does_not_know_is_no_hindrance(
    firm: Firm, signed_in: SignIn, base: Path
) -> None:
    (base / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    costs.record_device(MEASURED)
    dataset = ready_dataset(firm)
    assert "The cost of a “mamba” model is not known" in ask(signed_in(firm.alice), dataset)
    with tenant_scope(firm.tenant.id):
        assert services.start(member=firm.alice, dataset=dataset, adapter_name="briefs").id


def test_a_run_that_fits_no_device_is_refused_before_it_waits(
    firm: Firm, signed_in: SignIn, base: Path
) -> None:
    large(base)
    costs.record_device({**MEASURED, "memory_bytes": 8 * GIB, "host_memory_bytes": 8 * GIB})
    dataset = ready_dataset(firm)
    said = ask(signed_in(firm.alice), dataset)
    assert "This run does not fit the device here. Training with the whole model in memory takes" in said
    with tenant_scope(firm.tenant.id):
        with pytest.raises(
            Invalid, match="Choose a smaller base model, or a device with at least"
        ) as refused:
            services.start(member=firm.alice, dataset=dataset, adapter_name="briefs", preset="balanced")
        assert list(refused.value.fields) == ["device"]
        assert not TrainingRun.objects.exists()


def test_a_base_larger_than_memory_trains_layer_by_layer(firm: Firm, base: Path) -> None:
    large(base)
    costs.record_device({**MEASURED, "memory_bytes": 40 * GIB, "host_memory_bytes": 40 * GIB})
    run = queued_run(firm)
    with tenant_scope(firm.tenant.id):
        run.base_model = "tiny"
        assert costs.mode_for(run) == "streamed"
        run.mode = "resident"  # as it began, whatever is measured meanwhile
        assert costs.mode_for(run) == "resident"


def test_runs_that_ended_calibrate_the_next_estimate(firm: Firm, signed_in: SignIn, base: Path) -> None:
    device = costs.record_device(MEASURED)
    run = ended_run(firm)
    with tenant_scope(firm.tenant.id):
        sample = costs.record_sample(run)
        assert sample is not None
        before = costs.for_form(dataset=run.dataset, spec=run.training_spec)
    assert (sample.measured_bytes, sample.measured_seconds) == (GIB, 60.0)
    factors = costs.calibration(device, "resident", "1" * 64)
    assert factors.memory == pytest.approx(min(5, max(0.2, GIB / sample.estimated_bytes)))
    assert factors.seconds == pytest.approx(min(5, max(0.2, 60 / sample.estimated_seconds)))
    assert before.choice is not None and before.choice.chosen is not None
    assert before.choice.chosen.calibration == factors
    assert costs.calibration(device, "streamed", "1" * 64).runs == 0
    assert costs.calibration(device, "resident", "2" * 64).seconds == 1.0
    assert "Compared with the last 1 run here." in ask(signed_in(firm.alice), run.dataset)


def test_the_median_of_the_last_ten_counts(firm: Firm) -> None:
    device = costs.record_device(MEASURED)
    for measured in (400, *[100] * 4, *[120] * 3, *[140] * 3):  # the first is too old to count
        CostSample.objects.create(
            device=device,
            base_revision="1" * 64,
            mode="resident",
            estimated_bytes=100,
            measured_bytes=measured,
            estimated_seconds=10,
            measured_seconds=measured / 10,
        )
    assert costs.calibration(device, "resident", "1" * 64) == Calibration(1.2, 1.2, 10)


@pytest.mark.parametrize(
    "fields", [{"stopped_early": True}, {"step": 2}, {"seconds": None}, {"peak_bytes": None}, {"mode": ""}]
)
def test_a_run_that_did_not_do_all_its_work_calibrates_nothing(
    firm: Firm, base: Path, fields: dict[str, Any]
) -> None:
    costs.record_device(MEASURED)
    run = ended_run(firm, **fields)
    with tenant_scope(firm.tenant.id):
        assert costs.record_sample(run) is None
        assert costs.record_sample(ended_run(firm)) is not None


def test_a_run_that_was_taken_up_again_calibrates_nothing(firm: Firm, base: Path) -> None:
    costs.record_device(MEASURED)
    run = ended_run(firm)
    run.job.epoch = 2
    with tenant_scope(firm.tenant.id):
        assert costs.record_sample(run) is None


def test_a_device_that_was_busy_when_it_was_measured_keeps_its_best_rate(db: None) -> None:
    costs.record_device(MEASURED)
    again = costs.record_device({**MEASURED, "matrix_flops": 40e9, "free_disk_bytes": GIB})
    assert Device.objects.count() == 1
    assert (again.matrix_flops, again.free_disk_bytes) == (170e9, GIB)


def test_examples_are_counted_as_the_trainer_cuts_them(firm: Firm) -> None:
    dataset = ready_dataset(firm)  # an example on either side: 20 tokens of prompt, 10 of completion
    with tenant_scope(firm.tenant.id):
        spec = TrainingSpec()
        whole = costs.workload_of(dataset, spec)
        cut = costs.workload_of(dataset, TrainingSpec(max_length=25))
        nothing = costs.workload_of(dataset, TrainingSpec(max_length=20))
    assert whole is not None and cut is not None
    assert (whole.examples, whole.tokens, whole.label_tokens, whole.longest) == (1, 30, 10, 30)
    assert (whole.heldout_examples, whole.heldout_tokens, whole.heldout_label_tokens) == (1, 30, 10)
    assert (cut.tokens, cut.label_tokens) == (25, 5)
    assert nothing is None


def test_the_table_shows_three_models_at_three_ranks(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.erin)  # an auditor may look
    assert "What training costs" in words(client.get("/training/"))
    page = client.get("/training/costs/", {"device": "24"})
    rows = page.context["rows"]
    assert [(row.model, row.rank) for row in rows] == [
        (model.name, rank) for model in MODELS for rank in (4, 16, 64)
    ]
    assert [row.choice.chosen.mode for row in rows if row.rank == 16] == ["resident", "nf4", "streamed"]
    said = words(page)
    assert "207.1 million" in said and "0.29%" in said
    assert "with the model read layer by layer" in said


def test_own_figures_count_where_they_are_chosen(firm: Firm, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    own = {"device": "own", "kind": "cuda", "memory": "4", "host": "16", "rate": "20000", "disk": "50"}
    said = words(client.get("/training/costs/", own))
    assert "Does not fit." in said and "3.8 GB can be used" in said
    assert "must be" not in said
    wrong = client.get("/training/costs/", {**own, "memory": "much"})
    assert "rows" not in wrong.context
    assert "Enter a number." in words(wrong)


def test_this_machine_is_offered_first_once_it_is_known(firm: Firm, signed_in: SignIn) -> None:
    costs.record_device(MEASURED)
    form = signed_in(firm.alice).get("/training/costs/").context["form"]
    assert form.machine.name == MEASURED["name"]
    assert form.work.examples == 400

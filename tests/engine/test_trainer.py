"""The training loop."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.data import citation_lines
from tests.engine.reference import a_spec
from webapp.training.spec import TrainingSpec
from workers.engine.base_model import BaseModel
from workers.engine.batches import parts, plan
from workers.engine.checkpoint import Checkpoints
from workers.engine.errors import EngineError
from workers.engine.events import Answers, Checkpoint, Event, HeldOut, Notice, Preparing, Started, Step
from workers.engine.examples import Dataset, Example, encode, encode_prompt
from workers.engine.export import export
from workers.engine.schedule import evaluation_steps, learning_rate
from workers.engine.sealed import Sealer
from workers.engine.trainer import Trainer, Watch, Work

Run = Callable[..., "Trained"]


@pytest.fixture(scope="module")
def dataset(tiny: BaseModel) -> Dataset:
    return encode(tiny, [*citation_lines(24), *citation_lines(6, "heldout", start=100)], 1024)


class Trained:
    """A run that went to its end, or was stopped after some step, and what it said."""

    def __init__(self, trainer: Trainer, events: list[Event], folder: Path) -> None:
        self.trainer, self.events, self._folder = trainer, events, folder

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def sha256(self) -> str:
        """Of the adapter's file."""
        trainer = self.trainer
        return export(trainer.learner, trainer._base, trainer._spec, self._folder / "adapter").sha256


class Stopped(Exception):
    """A run is made to end, as a kill would."""


@pytest.fixture
def run(tiny: BaseModel, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("workers.engine.trainer.ANSWER_TOKENS", 6)
    made = iter(range(1000))

    def run(
        *,
        on: Dataset = dataset,
        base: BaseModel = tiny,
        work: Path | None = None,
        stop_after: int | None = None,
        prompts: tuple[str, ...] = (),
        **settings: Any,
    ) -> Trained:
        events: list[Event] = []
        folder = tmp_path / str(next(made))
        every = 0.0 if work is not None else 3600.0  # seconds; measuring saves too

        def check() -> None:
            if stop_after is not None and any(
                isinstance(event, Step) and event.step >= stop_after for event in events
            ):
                raise Stopped

        trainer = Trainer(
            base,
            on,
            a_spec(**{"learning_rate": 1e-2, "batch_size": 4, **settings}),
            work=Work(work or folder / "work", Sealer(bytes(32)), every),
            report=events.append,
            check=check,
            prompts=[encode_prompt(base, prompt) for prompt in prompts],
        )
        try:
            trainer.run()
        except Stopped:
            assert stop_after is not None
        return Trained(trainer, events, folder)

    return run


def test_it_learns_a_rule_and_says_so(run: Run, tiny: BaseModel, dataset: Dataset) -> None:
    trained = run(epochs=5, patience=0)
    [started], steps, heldout = trained.of(Started), trained.of(Step), trained.of(HeldOut)
    tensors = trained.trainer.learner.tensors().values()
    assert started.trainable_parameters == sum(tensor.numel() for tensor in tensors)
    assert started.frozen_parameters == tiny.parameters
    assert (started.step, started.steps, started.train_examples, started.heldout_examples) == (0, 30, 24, 6)
    assert (started.mode, started.precision) == ("resident", "fp32")
    assert started.train_tokens == sum(len(example.tokens) for example in dataset.train)
    assert [step.step for step in steps] == list(range(1, 31))
    assert steps[-1].loss < 0.7 * steps[0].loss
    assert steps[-1].memory_bytes > 0
    assert heldout[0].step == 0 and not heldout[0].best
    assert heldout[-1].step == 30
    assert heldout[-1].loss < 0.8 * heldout[0].loss


def test_the_base_is_the_same_bytes_afterwards(run: Run, tiny: BaseModel) -> None:
    before = digest(tiny)
    run(max_steps=3)
    assert digest(tiny) == before


def digest(base: BaseModel) -> str:
    layers = [base.layers.at(index, index) for index in range(len(base.layers))]
    norms = [tensor for layer in layers for tensor in (layer.attention_norm, layer.mlp_norm)]
    linears = [linear.weight for layer in layers for linear in layer.linears.values()]
    total = hashlib.sha256()
    for tensor in (base.norm, base.head, base.inverse_frequencies, *norms, *linears):
        assert not tensor.requires_grad
        total.update(tensor.numpy().tobytes())
    return total.hexdigest()


@pytest.mark.parametrize("settings", [{}, {"dropout": 0.2}, {"layers": 1}])
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(run: Run, settings: dict[str, Any]) -> None:
    first, second, other = (run(max_steps=4, seed=seed, **settings).sha256 for seed in (7, 7, 8))
    assert first == second != other


def test_only_the_target_modules_of_the_top_layers_are_trained(run: Run) -> None:
    names = run(target="attention", layers=1, max_steps=1).trainer.learner.tensors()
    assert {name.split(".")[1] for name in names} == {"1"}
    assert {name.split(".")[3] for name in names} == {"q_proj", "k_proj", "v_proj", "o_proj"}


def test_numbers_that_run_away_end_in_a_sentence(run: Run, tiny: BaseModel, dataset: Dataset) -> None:
    norm = tiny.norm.clone()
    try:
        tiny.norm.fill_(float("inf"))
        with pytest.raises(EngineError, match="ran away at step 1: choose a lower learning rate"):
            run(on=Dataset(dataset.train, (), 0))
    finally:
        tiny.norm.copy_(norm)


def test_a_loss_that_rises_far_above_what_it_was_ends_in_a_sentence() -> None:
    watch, calm = Watch([2.5, 2.0, 1.5, 1.2]), torch.tensor(1.0)
    for loss in (1.4, 2.2, 1.1, 2.4, 1.3):  # noise is no reason
        watch.check(9, loss, calm)
    watch.check(10, 4.0, calm)
    with pytest.raises(EngineError, match="rose far above where it had been by step 11: choose a lower"):
        watch.check(11, 40.0, calm)


def test_a_dataset_without_heldout_examples_has_no_heldout_loss(run: Run, dataset: Dataset) -> None:
    trained = run(on=Dataset(dataset.train, (), 0), max_steps=2)
    assert not trained.of(HeldOut)
    assert trained.trainer.best_step is None


def test_a_run_ends_at_the_check_after_it_was_cancelled(run: Run) -> None:
    assert [step.step for step in run(stop_after=2).of(Step)] == [1, 2]


@pytest.mark.parametrize("stop_after", [1, 8])
@pytest.mark.parametrize(
    "settings", [{}, {"dropout": 0.2}, {"layers": 1, "batch_tokens": 128}], ids=["plain", "dropout", "prefix"]
)
def test_an_interrupted_run_ends_as_an_undisturbed_one(
    run: Run, tmp_path: Path, stop_after: int, settings: dict[str, Any]
) -> None:
    """The same bytes, the same curve, the same answers."""
    common: dict[str, Any] = {"epochs": 2, "evaluations": 4, "prompts": ("See 530 US 1.",), **settings}
    undisturbed = run(**common)
    run(work=tmp_path / "work", stop_after=stop_after, **common)
    resumed = run(work=tmp_path / "work", **common)
    [started] = resumed.of(Started)
    assert started.step in (stop_after, stop_after - 1)
    assert [step.step for step in resumed.of(Step)] == list(range(started.step + 1, 13))
    assert resumed.sha256 == undisturbed.sha256
    assert resumed.trainer._journal == undisturbed.trainer._journal
    later = [("train", step.step, step.loss) for step in resumed.of(Step)]
    told = {*started.points, *later, *(("heldout", event.step, event.loss) for event in resumed.of(HeldOut))}
    assert told == {*undisturbed.trainer._journal.points}


def test_a_checkpoint_of_other_settings_is_not_taken_up(run: Run, tmp_path: Path) -> None:
    run(work=tmp_path / "work", stop_after=3)
    assert run(work=tmp_path / "work", seed=5).of(Started)[0].step == 0


def test_a_damaged_checkpoint_is_passed_over(run: Run, tmp_path: Path) -> None:
    run(work=tmp_path / "work", stop_after=4)
    [folder] = (tmp_path / "work" / "checkpoints").iterdir()
    (folder / "state.safetensors").write_bytes(b"torn")
    assert run(work=tmp_path / "work").of(Started)[0].step == 0


def test_what_tells_a_documents_text_lies_sealed(run: Run, tmp_path: Path) -> None:
    work = tmp_path / "work"
    trained = run(work=work, layers=1, prompts=("See 530 US 1.",))
    answers = [text for event in trained.of(Answers) for text in event.answers if len(text) > 8]
    files = [path for path in work.rglob("*") if path.is_file()]
    assert answers and len(files) > 20
    prefix = trained.trainer.learner._prefix  # type: ignore[attr-defined]
    states = prefix._states(trained.trainer._dataset.train[0]).numpy().tobytes()[:64]
    for path in files:
        assert states not in path.read_bytes()
        assert not any(answer.encode() in path.read_bytes() for answer in answers)


def test_the_frozen_prefix_is_read_once_and_changes_nothing(run: Run, tiny: BaseModel) -> None:
    """Its hidden states are exact: a run that computes them again at each step learns the same."""
    with_prefix = run(layers=1, epochs=2, batch_size=1, batch_tokens=64)
    tokens = [event.done for event in with_prefix.of(Preparing)]
    assert tokens == sorted(tokens) and tokens[-1] == with_prefix.of(Preparing)[-1].total
    [learner] = [tiny.learner(with_prefix.trainer._spec)]
    for step, examples in enumerate(with_prefix.trainer._batches[:3], 1):
        assert learner.learn(examples, step) > 0  # without prepare(), it reads through the layers below
    first = with_prefix.of(Step)[0].loss
    fresh = tiny.learner(with_prefix.trainer._spec)
    assert fresh.learn(with_prefix.trainer._batches[0], 1) == pytest.approx(first, rel=1e-6)


def test_a_full_disk_is_said_and_does_not_end_a_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, fails = Checkpoints.save, iter([True, True, False])

    def sometimes(*arguments: Any) -> None:
        if next(fails, False):
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*arguments)

    monkeypatch.setattr(Checkpoints, "save", sometimes)
    trained = run(max_steps=4, work=tmp_path / "work")
    notices = [event.message for event in trained.of(Notice)]
    assert notices[0] == notices[1] != "" and "disk is full" in notices[0]
    assert notices[2:] == [""]
    assert [event.step for event in trained.of(Checkpoint)] == [3, 4]


def test_the_best_adapter_wins_and_a_run_that_gets_no_better_ends(run: Run, dataset: Dataset) -> None:
    """Held out is what contradicts the rule, so that learning the rule makes it worse after a while."""
    contrary = tuple(
        replace(example, tokens=example.tokens[: example.prompt_length] + example.tokens[1:40])
        for example in dataset.heldout
    )
    trained = run(on=Dataset(dataset.train, contrary, 0), epochs=20, evaluations=30, patience=3)
    heldout = trained.of(HeldOut)
    assert trained.trainer.stopped_early
    assert trained.of(Step)[-1].step < 120
    losses = {event.step: event.loss for event in heldout if event.step > 0}
    best = min(losses, key=lambda step: losses[step])
    assert trained.trainer.best_step == best == max(event.step for event in heldout if event.best)
    assert len([step for step in losses if step > best]) == 3
    again = trained.trainer.learner.heldout_loss(contrary, lambda: None)
    assert again == pytest.approx(losses[best], rel=1e-6)


def test_answers_to_the_fixed_prompts_come_with_every_measurement(run: Run) -> None:
    trained = run(epochs=2, evaluations=3, prompts=("See 530 US 1.", "See 100 US 9."))
    assert [event.step for event in trained.of(Answers)] == [event.step for event in trained.of(HeldOut)]
    assert all(len(event.answers) == 2 for event in trained.of(Answers))


def test_every_epoch_sees_every_example_in_an_order_of_its_own(dataset: Dataset) -> None:
    steps = plan(dataset.train, a_spec(epochs=2, batch_size=5))
    assert [len(step) for step in steps] == [5, 5, 5, 5, 4] * 2
    first, second = ([example for step in steps[at : at + 5] for example in step] for at in (0, 5))
    assert sorted(first, key=hash) == sorted(second, key=hash) == sorted(dataset.train, key=hash)
    assert first != second
    assert steps == plan(dataset.train, a_spec(epochs=2, batch_size=5))
    assert steps != plan(dataset.train, a_spec(epochs=2, batch_size=5, seed=1))
    assert plan(dataset.train, a_spec(epochs=2, batch_size=5, max_steps=3)) == steps[:3]


def test_a_step_is_computed_in_few_and_equal_parts() -> None:
    lengths = (90, 100, 110, 200, 210, 220, 230, 240)
    examples = [Example((place, *range(length - 1)), 5) for place, length in enumerate(lengths)]
    whole = [sorted(len(example.tokens) for example in part) for part in parts(examples, 1400)]
    assert whole == [list(lengths)]
    halves = parts(examples, 1300)
    assert [sum(len(example.tokens) for example in part) for part in halves] == [710, 690]
    assert [example for part in halves for example in part] == examples
    assert [len(part) for part in parts(examples, 50)] == [1] * 8
    assert parts([], 50) == []


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nearly_nothing() -> None:
    spec = TrainingSpec(learning_rate=1e-3, warmup_share=0.1)
    rates = [learning_rate(step, 100, spec) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([1e-4 * step for step in range(1, 11)])
    assert max(rates) == pytest.approx(1e-3)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 1e-6
    line = [learning_rate(step, 100, replace(spec, schedule="linear")) for step in range(1, 101)]
    assert line[10:] == pytest.approx([1e-3 * (1 - past / 90) for past in range(90)])
    flat = [learning_rate(step, 100, replace(spec, schedule="constant")) for step in range(1, 101)]
    assert set(flat[10:]) == {1e-3}


def test_measuring_is_spread_evenly_ends_with_the_last_step_and_stays_cheap() -> None:
    spec = TrainingSpec(evaluations=4)
    assert evaluation_steps(spec, steps=100, train_tokens=100_000, heldout_tokens=1000) == [25, 50, 75, 100]
    assert evaluation_steps(spec, steps=2, train_tokens=100_000, heldout_tokens=1000) == [1, 2]
    assert evaluation_steps(spec, steps=100, train_tokens=1000, heldout_tokens=5000) == [100]
    assert evaluation_steps(spec, steps=7, train_tokens=1000, heldout_tokens=0) == [2, 4, 5, 7]


@pytest.mark.parametrize("warmup_share", [0, 0.5])
def test_a_run_of_one_step_learns_something(warmup_share: float) -> None:
    assert learning_rate(1, 1, TrainingSpec(warmup_share=warmup_share)) > 0

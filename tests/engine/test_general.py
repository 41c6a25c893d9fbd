"""Training through transformers and PEFT: every architecture, against the libraries by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from tests.engine.data import citation_lines
from tests.engine.families import FAMILIES, make_family
from tests.engine.learners import assert_close, fill, fill_from, nothing, take_gradients
from tests.engine.reference import a_spec, reference_loss
from webapp.training.spec import TrainingSpec
from workers.engine.base_model import BaseModel
from workers.engine.errors import EngineError
from workers.engine.events import Step
from workers.engine.examples import Example, encode, encode_prompt
from workers.engine.export import export
from workers.engine.general.base import GeneralBase
from workers.engine.general.learner import PaddedBatch, micro_batches
from workers.engine.sealed import Sealer
from workers.engine.trainer import Trainer, Work

MakeFamily = Callable[[str], Path]


@pytest.fixture(scope="session")
def family(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeFamily:
    """The folder of a tiny model by the name of its family; `llama` is the tiny model of all tests."""
    folders: dict[str, Path] = {"llama": tiny_folder}

    def make(name: str) -> Path:
        if name not in folders:
            folders[name] = make_family(tmp_path_factory.mktemp(name), name, tokenizer_from=tiny_folder)
        return folders[name]

    return make


@pytest.fixture(scope="session")
def llama(tiny_folder: Path) -> GeneralBase:
    return GeneralBase.load(tiny_folder)


def examples_for(base: Any, count: int = 6) -> tuple[Example, ...]:
    return encode(base, citation_lines(count), 512).train


def by_peft(folder: Path, adapter: Path) -> Any:
    """The exported adapter on the base, both read by the libraries alone, ready to be trained on."""
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return PeftModel.from_pretrained(base, str(adapter), is_trainable=True, autocast_adapter_dtype=False)


@pytest.mark.parametrize("settings", [{}, {"target": "attention", "layers": 1, "rslora": True}])
@pytest.mark.parametrize("name", ["llama", *FAMILIES])
def test_loss_gradients_and_export_agree_with_the_libraries(
    family: MakeFamily, name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    folder = family(name)
    base = GeneralBase.load(folder)
    spec = a_spec(batch_tokens=128, **settings)  # so few that a step has several parts
    learner = base.learner(spec)
    fill(learner)
    examples = examples_for(base)
    assert len(micro_batches(examples, spec.batch_tokens)) > 1

    export(learner, base, spec, tmp_path / "adapter")
    reference = by_peft(folder, tmp_path / "adapter").eval()
    expected = reference_loss(reference, examples)
    expected.backward()  # type: ignore[no-untyped-call]

    assert learner.heldout_loss(examples, nothing) == pytest.approx(expected.item(), rel=1e-5)
    assert learner.learn(examples, step=1) == pytest.approx(expected.item(), rel=1e-5)
    before, after = f"base_model.model.{learner.prefix}", ".default.weight"
    assert_close(
        take_gradients(learner),
        {
            parameter_name.removeprefix(before).removesuffix(after): parameter.grad
            for parameter_name, parameter in reference.named_parameters()
            if parameter.requires_grad
        },
    )


def test_a_llama_learns_as_on_the_fast_path(llama: GeneralBase, tiny_folder: Path) -> None:
    fast_base = BaseModel.load(tiny_folder)
    spec = a_spec(layers=1, rslora=True)
    general, fast = llama.learner(spec), fast_base.learner(spec)
    fill(general)
    fill_from(fast, general.tensors())
    examples = examples_for(llama)
    loss = fast.learn(examples, step=1)
    assert general.learn(examples, step=1) == pytest.approx(loss, rel=1e-5)
    assert_close(take_gradients(general), take_gradients(fast))


def test_both_paths_of_a_llama_give_the_same_answers(llama: GeneralBase, tiny_folder: Path) -> None:
    spec = a_spec()
    general, fast = llama.learner(spec), BaseModel.load(tiny_folder).learner(spec)
    fill(general)
    fill_from(fast, general.tensors())
    prompts = [example.tokens[: example.prompt_length] for example in examples_for(llama, 3)]
    assert general.answers(prompts, 12, nothing) == fast.answers(prompts, 12, nothing)


@pytest.mark.parametrize("name", ["llama", "gemma3", "phi3", "gpt2"])
def test_answers_are_the_likeliest_tokens_up_to_the_one_that_ends_them(family: MakeFamily, name: str) -> None:
    base = GeneralBase.load(family(name))
    learner = base.learner(a_spec())
    fill(learner)
    prompt = examples_for(base, 1)[0].tokens[:9]
    found = learner.answers([prompt], 8, nothing)[0]

    text: list[int] = list(prompt)
    with torch.no_grad():
        while len(text) < len(prompt) + 8:
            token = int(learner._model(input_ids=torch.tensor([text])).logits[0, -1].argmax())
            if token in base.stop_tokens:
                break
            text.append(token)
    assert found == text[len(prompt) :]

    ending = replace(base, stop_tokens=frozenset({found[3]}))
    stopped = ending.learner(a_spec())
    fill(stopped)
    assert stopped.answers([prompt], 8, nothing) == [found[: found.index(found[3])]]


def test_every_token_of_an_answer_asks_whether_to_go_on(llama: GeneralBase) -> None:
    class Ended(Exception):
        pass

    asked: list[int] = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise Ended

    with pytest.raises(Ended):
        llama.learner(a_spec()).answers([(5, 6, 7)], 50, check)
    asked.clear()
    with pytest.raises(Ended):
        llama.learner(a_spec(batch_tokens=64)).heldout_loss(examples_for(llama, 12), check)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "cohere"])
def test_only_rows_with_a_label_meet_the_head(family: MakeFamily, name: str) -> None:
    assert GeneralBase.load(family(name)).has_plain_head


def test_logits_of_a_head_with_ways_of_its_own_are_the_models(family: MakeFamily) -> None:
    assert not GeneralBase.load(family("cohere")).has_plain_head


def test_the_shortest_names_that_mean_attention_alone_are_chosen(family: MakeFamily) -> None:
    learner = GeneralBase.load(family("gpt2")).learner(a_spec(target="attention"))
    assert learner.target_modules == ["attn.c_proj", "c_attn"]  # the MLP has a c_proj too
    assert {name.rpartition(".lora")[0].split(".", 2)[2] for name in learner.tensors()} == {
        "attn.c_attn",
        "attn.c_proj",
    }


def test_bf16_learns_with_an_adapter_in_fp32(tiny_folder: Path) -> None:
    base = GeneralBase.load(tiny_folder, precision="bf16")
    learner = base.learner(a_spec())
    assert base.model.dtype == torch.bfloat16
    assert {parameter.dtype for parameter in learner.parameters()} == {torch.float32}
    losses = train(learner, examples_for(base, 2), steps=6)
    assert losses[-1] < 0.97 * losses[0]
    assert learner.precision == "bf16"


def test_the_same_seed_gives_the_same_bytes(tiny_folder: Path, tmp_path: Path) -> None:
    digests = [
        trained_bytes(tiny_folder, tmp_path / str(place), seed=seed) for place, seed in enumerate([3, 3, 4])
    ]
    assert digests[0] == digests[1] != digests[2]


def trained_bytes(folder: Path, out: Path, seed: int) -> str:
    base = GeneralBase.load(folder)
    spec = a_spec(seed=seed, dropout=0.1, batch_tokens=128)
    learner = base.learner(spec)
    train(learner, examples_for(base), steps=4)
    return export(learner, base, spec, out).sha256


def train(learner: Any, examples: tuple[Example, ...], steps: int) -> list[float]:
    optimiser = torch.optim.AdamW(learner.parameters(), lr=5e-3, weight_decay=0.0)
    losses = []
    for step in range(1, steps + 1):
        losses.append(learner.learn(examples, step))
        optimiser.step()
        optimiser.zero_grad()
    return losses


def test_dropout_depends_on_the_seed_and_the_step_alone(llama: GeneralBase) -> None:
    examples = examples_for(llama)

    def gradients(*steps: int, seed: int = 0) -> dict[str, Tensor]:
        learner = llama.learner(a_spec(dropout=0.2, seed=seed))
        fill(learner)
        for step in steps:
            for parameter in learner.parameters():
                parameter.grad = None
            learner.learn(examples, step)
        return take_gradients(learner)

    later = gradients(1, 2, 3)
    torch.rand(5)  # whatever else draws random numbers
    assert same(later, gradients(3))
    assert not same(later, gradients(2))
    assert not same(later, gradients(3, seed=1))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_learning_leaves_other_random_numbers_alone(llama: GeneralBase) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    llama.learner(a_spec(dropout=0.1)).learn(examples_for(llama), 1)
    assert torch.equal(torch.rand(3), expected)


def test_a_fresh_adapter_changes_nothing(llama: GeneralBase) -> None:
    examples = examples_for(llama)
    learner = llama.learner(a_spec(dropout=0.3))
    with torch.no_grad():
        expected = reference_loss(llama.model, examples).item()
    assert learner.heldout_loss(examples, nothing) == pytest.approx(expected, rel=1e-6)
    assert same(learner.tensors(), llama.learner(a_spec(dropout=0.3)).tensors())
    assert not same(learner.tensors(), llama.learner(a_spec(seed=1)).tensors())


def test_adapters_of_one_base_know_nothing_of_each_other(llama: GeneralBase) -> None:
    examples = examples_for(llama)
    weights = hashlib.sha256(b"".join(p.numpy().tobytes() for p in llama.model.parameters())).hexdigest()
    first = llama.learner(a_spec())
    fill(first)
    before = first.heldout_loss(examples, nothing)
    second = llama.learner(a_spec(layers=1))
    fill(second, seed=2)
    second.learn(examples, 1)
    assert first.heldout_loss(examples, nothing) == before
    assert second.heldout_loss(examples, nothing) != before
    assert not any("lora" in name for name, _ in llama.model.named_modules())
    shared = {tensor.data_ptr() for tensor in llama.model.parameters()}
    assert shared <= {tensor.data_ptr() for tensor in first._model.parameters()}
    after = hashlib.sha256(b"".join(p.numpy().tobytes() for p in llama.model.parameters())).hexdigest()
    assert after == weights


def test_only_the_top_layers_learn_when_asked(llama: GeneralBase) -> None:
    learner = llama.learner(a_spec(layers=1))
    assert {name.split(".")[1] for name in learner.tensors()} == {"1"}
    learner.learn(examples_for(llama), 1)
    assert all(parameter.grad is not None for parameter in learner.parameters())
    assert not any(parameter.requires_grad for parameter in llama.model.parameters())
    whole = llama.learner(TrainingSpec(rank=4, layers=99))
    assert {name.split(".")[1] for name in whole.tensors()} == {"0", "1"}


def test_parts_hold_examples_of_similar_length_and_so_many_tokens() -> None:
    examples = [Example(tuple(range(length)), 1) for length in (9, 2, 8, 3, 30)]
    groups = micro_batches(examples, 20)
    assert [[len(example.tokens) for example in group] for group in groups] == [[2, 3], [8, 9], [30]]


def test_a_padded_batch_keeps_every_label_with_its_row() -> None:
    batch = PaddedBatch.of([Example((1, 2, 3, 4), 2), Example((5, 6), 1)], torch.device("cpu"))
    assert batch.tokens.tolist() == [[1, 2, 3], [5, 0, 0]]
    assert batch.mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.label_rows.tolist() == [1, 2, 3]
    assert batch.labels.tolist() == [3, 4, 6]


@pytest.mark.parametrize(
    ("precision", "mode", "words"),
    [
        ("fp32", "streamed", "choose the mode “resident”"),
        ("fp32", "nf4", "4-bit weights need a CUDA device"),
        ("fp16", "resident", "fp16 needs a CUDA device"),
    ],
)
def test_what_this_machine_cannot_do_is_a_sentence(
    tiny_folder: Path, precision: str, mode: str, words: str
) -> None:
    with pytest.raises(EngineError, match=words):
        GeneralBase.load(tiny_folder, precision, mode, device="cpu")


def test_a_base_without_some_of_its_weights_is_refused(family: MakeFamily, tmp_path: Path) -> None:
    """transformers would go on with random numbers in their place."""
    folder = make_family(tmp_path / "a-model", "qwen3", tokenizer_from=family("llama"))
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EngineError, match="The base model a-model can't be read: prepare it again"):
        GeneralBase.load(folder)


def test_a_pickle_is_never_read(family: MakeFamily, tmp_path: Path) -> None:
    folder = make_family(tmp_path / "a-model", "qwen3", tokenizer_from=family("llama"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(EngineError, match="can't be read"):
        GeneralBase.load(folder)


def test_it_notices_that_a_base_was_prepared_again(family: MakeFamily, tmp_path: Path) -> None:
    folder = make_family(tmp_path / "a-model", "qwen3", tokenizer_from=family("llama"))
    base = GeneralBase.load(folder)
    assert base.is_of(folder) and not base.is_of(family("llama"))
    make_family(folder, "qwen3", tokenizer_from=family("llama"), seed=1)
    assert not base.is_of(folder)


def test_an_interrupted_run_ends_with_the_bytes_of_an_undisturbed_one(
    family: MakeFamily, tmp_path: Path
) -> None:
    base = GeneralBase.load(family("qwen3"))

    class Killed(Exception):
        pass

    def run(work: Path, out: Path, kill_after: int | None = None) -> tuple[list[Any], str]:
        events: list[Any] = []

        def check() -> None:
            if kill_after is not None and any(getattr(event, "step", 0) == kill_after for event in events):
                raise Killed

        spec = a_spec(epochs=2, batch_size=3, batch_tokens=128, dropout=0.1, evaluations=2)
        lines = [*citation_lines(9), *citation_lines(2, "heldout", start=50)]
        trainer = Trainer(
            base,
            encode(base, lines, 512),
            spec,
            work=Work(work, Sealer(bytes(32)), 0.0),
            report=events.append,
            check=check,
            prompts=[encode_prompt(base, "See 530 US 1.")],
        )
        trainer.run()
        return [event.loss for event in events if isinstance(event, Step)], export(
            trainer.learner, base, spec, out
        ).sha256

    losses, expected = run(tmp_path / "alone", tmp_path / "undisturbed")
    with pytest.raises(Killed):
        run(tmp_path / "work", tmp_path / "never", kill_after=3)
    again, digest = run(tmp_path / "work", tmp_path / "resumed")
    assert 0 < len(again) < len(losses) == 6
    assert again == losses[-len(again) :]
    assert digest == expected

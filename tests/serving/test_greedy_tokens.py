"""Greedy answers equal those of transformers and PEFT, token by token, however requests are mixed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.serving.engines import RunningEngine, reference_tokens
from workers.serving.adapter_bank import AdapterBank
from workers.serving.config import LlamaConfig
from workers.serving.kv_cache import KVStore
from workers.serving.kv_pool import KVPool
from workers.serving.llama import Llama
from workers.serving.probe import Probe
from workers.serving.sampler import Sampler
from workers.serving.scheduler import Scheduler
from workers.serving.sequence import Sequence
from workers.serving.steps import Segment
from workers.serving.text import Detokenizer, StopStrings, TextModel

PROMPTS = [
    "The court held in Grutter v. Bollinger, 539 U. S. 306, 325 (2003), that",
    "Dear Ms Vale,\n\n1. We write about the lease.",
    "Zürich — café №5 日本語 ",
]
COUNT = 24


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tiny_model / "tokenizer.json"))


@pytest.fixture(scope="module")
def expected(
    tiny_model: Path, adapters: dict[str, Path], tokenizer: Tokenizer
) -> dict[tuple[str, str], list[int]]:
    """The reference's tokens for every model and prompt."""
    models: dict[str, Path | None] = {"base": None, **adapters}
    return {
        (name, prompt): reference_tokens(tiny_model, folder, tokenizer.encode(prompt).ids, COUNT)
        for name, folder in models.items()
        for prompt in PROMPTS
    }


def test_the_adapters_answer_unlike_the_base_and_each_other(
    expected: dict[tuple[str, str], list[int]], adapters: dict[str, Path]
) -> None:
    answers = {tuple(expected[name, PROMPTS[0]]) for name in ("base", *adapters)}
    assert len(answers) == len(adapters) + 1


@dataclass(frozen=True)
class Asked:
    """One request of a mix: it comes once `after` tokens of all were told, and may be given up after some."""

    model: str
    prompt: str
    tokens: int
    after: int
    given_up_after: int | None


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Llama:
    return Llama.load(tiny_model, LlamaConfig.read(tiny_model), 512)


@pytest.fixture(scope="module")
def bank(tiny_model: Path, adapters: dict[str, Path], model: Llama) -> AdapterBank:
    config = LlamaConfig.read(tiny_model)
    made = AdapterBank(
        config, base_name="base", root=None, arena_bytes=2**24, max_registered=8, probe=Probe(model)
    )
    for name, folder in adapters.items():
        made.load(name, str(folder))
    return made


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_tokens_equal_the_references_in_every_mix(
    tiny_model: Path,
    model: Llama,
    bank: AdapterBank,
    expected: dict[tuple[str, str], list[int]],
    tokenizer: Tokenizer,
    data: st.DataObject,
) -> None:
    """Whoever is beside a request, however its prompt is cut, whenever others come, leave or are given up."""
    keys = st.sampled_from(sorted(expected))
    mix = data.draw(
        st.lists(
            st.builds(
                lambda key, tokens, after, given_up: Asked(key[0], key[1], tokens, after, given_up),
                keys,
                st.integers(1, COUNT),
                st.integers(0, 30),
                st.one_of(st.none(), st.integers(1, COUNT)),
            ),
            min_size=1,
            max_size=12,
        )
    )
    run = Mix(tiny_model, model, bank, tokenizer, mix)
    run.through(
        max_running=data.draw(st.integers(1, 8)),
        step_tokens=data.draw(st.sampled_from([4, 7, 33, 256])),
        blocks=data.draw(st.integers(6, 40)),
    )
    for asked, sequence in zip(mix, run.sequences, strict=True):
        wanted = expected[asked.model, asked.prompt][: asked.tokens]
        told = sequence.tokens[sequence.prompt_length :]
        if asked.given_up_after is None:
            assert told == wanted, asked
        else:
            assert told == wanted[: len(told)], asked


class Mix:
    """A mix of requests on a scheduler of its own, run until the last has ended."""

    def __init__(
        self, folder: Path, model: Llama, bank: AdapterBank, tokenizer: Tokenizer, mix: list[Asked]
    ) -> None:
        self._model, self._bank, self._mix = model, bank, mix
        self._text = TextModel(folder)
        self._told = 0
        self._left = [threading.Event() for _ in mix]
        self.sequences = [self._sequence(number, asked, tokenizer) for number, asked in enumerate(mix)]
        self._coming = sorted(range(len(mix)), key=lambda number: mix[number].after)

    def through(self, *, max_running: int, step_tokens: int, blocks: int) -> None:
        pool = KVPool(KVStore(self._model.config, blocks))
        self._scheduler = Scheduler(self._model, pool, max_running=max_running, step_tokens=step_tokens)
        self._submit_next()  # there is always one that the others can wait for
        self._scheduler.start()
        try:
            for left in self._left:
                assert left.wait(60)
        finally:
            self._scheduler.stop()
        assert pool.used_blocks == 0

    def _submit_next(self) -> None:
        self._scheduler.submit(self.sequences[self._coming.pop(0)])

    def _sequence(self, number: int, asked: Asked, tokenizer: Tokenizer) -> Sequence:
        adapter = None if asked.model == "base" else self._bank.acquire(asked.model)

        def ended() -> None:
            if adapter is not None:
                self._bank.release(adapter)
            self._left[number].set()
            if self._coming:
                self._submit_next()

        return Sequence(
            tokens=tokenizer.encode(asked.prompt).ids,
            max_tokens=asked.tokens,
            sampler=Sampler(temperature=0),
            detokenizer=Detokenizer(self._text),
            stops=StopStrings([]),
            stop_tokens=self._model.config.stop_tokens,
            adapter=adapter,
            report=lambda event: self._hear(number),
            ended=ended,
        )

    def _hear(self, number: int) -> None:
        """In the engine's thread, whenever a sequence tells something."""
        self._told += 1
        while self._coming and self._mix[self._coming[0]].after <= self._told:
            self._submit_next()
        sequence, limit = self.sequences[number], self._mix[number].given_up_after
        if limit is not None and len(sequence.tokens) - sequence.prompt_length >= limit:
            self._scheduler.cancel(sequence)


def test_answers_equal_the_references_over_http_streaming_and_whole_at_once(
    engine: RunningEngine, expected: dict[tuple[str, str], list[int]], tokenizer: Tokenizer
) -> None:
    def whole(name: str, prompt: str) -> str:
        answer = engine.complete(name, prompt, max_tokens=COUNT).json()
        assert answer["model"] == name
        return str(answer["choices"][0]["text"])

    def streamed(name: str, prompt: str) -> str:
        body = {"model": name, "prompt": prompt, "max_tokens": COUNT, "temperature": 0, "stream": True}
        text = ""
        with engine.http.stream("POST", "/v1/completions", json=body) as response:
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    chunk = json.loads(line.removeprefix("data: "))
                    assert chunk["model"] == name
                    text += chunk["choices"][0]["text"]
        return text

    asked: list[tuple[Callable[[str, str], str], str, str]] = [
        (ask, *key) for key in expected for ask in (whole, streamed)
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda job: job[0](job[1], job[2]), asked))
    for (_, name, prompt), answer in zip(asked, answers, strict=True):
        wanted = tokenizer.decode(expected[name, prompt])
        assert answer == wanted.rstrip("\N{REPLACEMENT CHARACTER}"), (name, prompt)


def test_eight_threads_never_get_the_wrong_adapter(
    engine: RunningEngine, expected: dict[tuple[str, str], list[int]], tokenizer: Tokenizer
) -> None:
    prompt = PROMPTS[0]
    names = [name for name, asked in expected if asked == prompt]
    wanted = {name: tokenizer.decode(expected[name, prompt]) for name in names}

    def ask_all(thread: int) -> None:
        for turn in range(15):
            name = names[(thread * 3 + turn) % len(names)]
            answer = engine.complete(name, prompt, max_tokens=COUNT).json()
            assert answer["model"] == name
            assert answer["choices"][0]["text"] == wanted[name].rstrip("\N{REPLACEMENT CHARACTER}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask_all, range(8)))


def test_a_base_with_an_untied_head_and_scaled_positions_gives_the_references_tokens(tmp_path: Path) -> None:
    from transformers import LlamaConfig as ReferenceConfig
    from transformers import LlamaForCausalLM

    torch.manual_seed(1)
    rope = {
        "rope_type": "llama3",
        "rope_theta": 10_000.0,
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    reference: Any = LlamaForCausalLM(
        ReferenceConfig(
            vocab_size=97,
            hidden_size=48,
            intermediate_size=80,
            num_hidden_layers=2,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=256,
            rope_parameters=rope,
            tie_word_embeddings=False,
            initializer_range=0.2,
        )
    )
    reference.save_pretrained(tmp_path)
    config = LlamaConfig.read(tmp_path)
    assert torch.allclose(torch.tensor(config.inverse_frequencies), reference.model.rotary_emb.inv_freq)
    prompt = torch.randint(0, 97, (1, 90)).tolist()[0]
    with torch.inference_mode():
        wanted = reference(torch.tensor([prompt])).logits[0, -1]
        cache = KVPool(KVStore(config, 4)).allocate(90)
        assert cache is not None
        model = Llama.load(tmp_path, config, 100)
        assert model.forward([Segment(prompt[:50], cache, logits=0)]).shape == (0, 97)
        cache.length = 50
        assert torch.allclose(model.forward([Segment(prompt[50:], cache)])[0], wanted, atol=1e-4)

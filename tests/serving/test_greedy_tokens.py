"""Greedy answers equal those of transformers and PEFT, token by token, however requests are mixed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from tests.serving.engines import RunningEngine, reference_tokens
from workers.serving.adapter_bank import AdapterBank
from workers.serving.config import LlamaConfig
from workers.serving.kv_cache import KVPool
from workers.serving.llama import Llama, Segment
from workers.serving.sampler import Sampler
from workers.serving.scheduler import Scheduler
from workers.serving.sequence import Sequence
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


@pytest.mark.parametrize("step_tokens", [256, 7], ids=["whole prompts", "prompts in chunks"])
def test_tokens_equal_the_references_when_all_run_together(
    tiny_model: Path,
    adapters: dict[str, Path],
    expected: dict[tuple[str, str], list[int]],
    tokenizer: Tokenizer,
    step_tokens: int,
) -> None:
    config = LlamaConfig.read(tiny_model)
    text = TextModel(tiny_model)
    bank = AdapterBank(
        config, base_name="base", root=None, arena_bytes=2**24, max_registered=8, probe=None
    )
    for name, folder in adapters.items():
        bank.load(name, str(folder))
    scheduler = Scheduler(
        Llama.load(tiny_model, config, 512), KVPool(config, 4096), max_running=6, step_tokens=step_tokens
    )
    sequences: dict[tuple[str, str], Sequence] = {}
    ended = {key: threading.Event() for key in expected}
    for name, prompt in expected:
        sequences[name, prompt] = Sequence(
            tokens=tokenizer.encode(prompt).ids,
            max_tokens=COUNT,
            sampler=Sampler(temperature=0),
            detokenizer=Detokenizer(text),
            stops=StopStrings([]),
            stop_tokens=config.stop_tokens,
            adapter=None if name == "base" else bank.acquire(name),
            report=lambda event: None,
            ended=ended[name, prompt].set,
        )
        scheduler.submit(sequences[name, prompt])
    scheduler.start()
    try:
        for key, sequence in sequences.items():
            assert ended[key].wait(60)
            assert sequence.tokens[sequence.prompt_length :] == expected[key], key
    finally:
        scheduler.stop()


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
        cache = KVPool(config, 100).allocate(90)
        assert cache is not None
        model = Llama.load(tmp_path, config, 100)
        assert model.forward([Segment(prompt[:50], cache, wants_logits=False)]).shape == (0, 97)
        cache.length = 50
        assert torch.allclose(model.forward([Segment(prompt[50:], cache)])[0], wanted, atol=1e-4)

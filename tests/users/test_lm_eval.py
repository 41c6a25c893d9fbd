"""The lm-eval harness, as anybody runs it, on tasks of our own: it measures what transformers and PEFT say.

The engine's weights are float32 here: the harness compares sums of log-probabilities with the reference's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from benchmarks.peers import peers_python
from tests.live import running_web
from tests.models import tiny_model_folder
from tests.serving.engines import ROOT, running_engine

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("web"),
    pytest.mark.peers,  # the harness brings sixty packages and takes its time to start
]

PACKAGES = ["lm-eval[api]==0.4.13", "transformers"]
TASKS = Path(__file__).parent / "lm_eval"
HOLDINGS = [json.loads(line) for line in (TASKS / "holdings.jsonl").read_text().splitlines()]
PROMPTS = ["The court", "We hold that", "The parties agree", "See also", "Counsel argued", "It is so"]
STOP, MOST = "e", 12  # as in phrases.yaml


class Reference:
    """transformers and PEFT on the tiny model with the adapter that answers, or with none."""

    def __init__(self, adapter: Path | None) -> None:
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        self._model: Any = AutoModelForCausalLM.from_pretrained(tiny_model_folder(), dtype=torch.float32)
        if adapter is not None:
            self._model = PeftModel.from_pretrained(self._model, str(adapter))

    def likelihood(self, passage: str, choice: str) -> float:
        """The log-likelihood of `choice` after `passage`."""
        import torch

        tokens, start = _tokens(f"{passage} {choice}"), len(_tokens(passage))
        with torch.inference_mode():
            logits = self._model(input_ids=torch.tensor([tokens])).logits[0]
        own = logits.log_softmax(-1)[range(start - 1, len(tokens) - 1), tokens[start:]]
        return float(own.sum())

    def likelihoods(self) -> list[list[float]]:
        return [[self.likelihood(doc["passage"], choice) for choice in doc["choices"]] for doc in HOLDINGS]

    def phrase(self, prompt: str) -> str:
        """What it writes greedily, up to the stop."""
        import torch

        ids = torch.tensor([_tokens(prompt)])
        with torch.inference_mode():
            out = self._model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=MOST, do_sample=False
            )
        text: str = _tokenizer().decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        return text.partition(STOP)[0]


@cache
def _tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model_folder())


def _tokens(text: str) -> list[int]:
    found: list[int] = _tokenizer()(text, add_special_tokens=False)["input_ids"]
    return found


@pytest.fixture(scope="module")
def exact(django_db_setup: None) -> Iterator[str]:
    """The address of a web process whose engine computes in float32."""
    options = ("--adapters-root", str(settings.ADAPTERS_DIR), "--weights", "float32")
    Path(settings.ADAPTERS_DIR).mkdir(parents=True, exist_ok=True)
    with running_engine(tiny_model_folder(), *options) as engine, running_web(engine.url) as (url, _):
        yield url


def harness(folder: Path, url: str, key: str, *options: str, **model: Any) -> dict[str, list[dict[str, Any]]]:
    """Runs both tasks in `folder`; returns every sample of each, and the whole results as `results`."""
    arguments = {
        "model": "briefs",
        "base_url": f"{url}/v1/completions",
        "tokenizer_backend": "huggingface",
        "tokenizer": tiny_model_folder(),
        "max_retries": 1,
        **model,
    }
    command = [str(peers_python("lm-eval", PACKAGES, ROOT / "constraints.txt")), "-m", "lm_eval", "run"]
    command += ["--model", "local-completions", "--tasks", "holdings,phrases", "--include_path", str(TASKS)]
    command += ["--model_args", ",".join(f"{name}={value}" for name, value in arguments.items())]
    command += ["--output_path", "results", "--log_samples", *options]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "cache")}
    environment = {**os.environ, **offline, "OPENAI_API_KEY": key}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (whole,) = folder.glob("results/**/results_*.json")
    found = {"results": [json.loads(whole.read_text())["results"]]}
    for task in ("holdings", "phrases"):
        (samples,) = folder.glob(f"results/**/samples_{task}_*.jsonl")
        lines = [json.loads(line) for line in samples.read_text().splitlines()]
        found[task] = sorted(lines, key=lambda line: line["doc_id"])
    return found


@pytest.mark.parametrize(
    ("options", "model"),
    [
        (["--batch_size", "4"], {"tokenized_requests": True, "num_concurrent": 2}),
        (["--batch_size", "1"], {"tokenized_requests": False}),
    ],
    ids=["lists of tokens", "one text at a time"],
)
def test_it_measures_what_the_reference_measures(
    exact: str, key: str, styles: list[Path], tmp_path: Path, options: list[str], model: dict[str, Any]
) -> None:
    reference = Reference(styles[0])
    phrases = [reference.phrase(prompt) for prompt in PROMPTS]
    # Half of what the adapter is to write is not what it writes: the harness must tell them apart.
    answers = [phrase if at % 2 else f"not {phrase}" for at, phrase in enumerate(phrases)]
    docs = [{"prompt": prompt, "answer": answer} for prompt, answer in zip(PROMPTS, answers, strict=True)]
    (tmp_path / "phrases.jsonl").write_text("".join(f"{json.dumps(doc)}\n" for doc in docs))
    shutil.copy(TASKS / "holdings.jsonl", tmp_path)

    found = harness(tmp_path, exact, key, *options, **model)

    expected = reference.likelihoods()
    told = [[float(value) for value, _ in sample["filtered_resps"]] for sample in found["holdings"]]
    assert told == [pytest.approx(row, abs=1e-3) for row in expected]
    assert told != [pytest.approx(row, abs=0.1) for row in Reference(None).likelihoods()], "the base's differ"
    right = [row.index(max(row)) == doc["right"] for row, doc in zip(expected, HOLDINGS, strict=True)]
    (results,) = found["results"]
    assert results["holdings"]["acc,none"] == pytest.approx(sum(right) / len(right))

    assert [sample["filtered_resps"][0] for sample in found["phrases"]] == phrases
    assert results["phrases"]["exact_match,none"] == 0.5

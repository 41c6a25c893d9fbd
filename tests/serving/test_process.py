"""The engine as a process: how it starts, refuses to start, and ends."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.engines import ROOT, engine_command, environment, running_engine


def start(model: Path, *options: str, token: str = "t") -> subprocess.CompletedProcess[str]:
    """Run an engine that must not start."""
    return subprocess.run(
        engine_command(model, *options),
        cwd=ROOT,
        env=environment(token),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def one_sentence(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def test_it_refuses_to_start_without_a_token(tiny_model: Path) -> None:
    assert "HOUSESTYLE_ENGINE_TOKEN" in one_sentence(start(tiny_model, token=""))


def test_it_refuses_a_port_that_is_taken(tiny_model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"Port {port}" in one_sentence(start(tiny_model, "--port", port))


def test_it_refuses_a_context_longer_than_the_models(tiny_model: Path) -> None:
    assert "--max-model-len" in one_sentence(start(tiny_model, "--max-model-len", "99999999"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", None),
        ("config.json", "{"),
        ("config.json", '{"model_type": "mistral"}'),
        ("tokenizer.json", None),
        ("tokenizer.json", "{}"),
        ("model.safetensors", None),
        ("model.safetensors", "nonsense"),
    ],
)
def test_it_refuses_a_model_that_is_absent_damaged_or_of_another_kind(
    tiny_model: Path, tmp_path: Path, name: str, content: str | None
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    (model / name).unlink()
    if content is not None:
        (model / name).write_text(content)
    said = one_sentence(start(model))
    assert "prepare" in said or "another base" in said


def test_it_refuses_a_model_whose_weights_do_not_fit_its_configuration(
    tiny_model: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    values = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**values, "num_hidden_layers": 99}))
    assert "prepare it again" in one_sentence(start(model))


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_also_while_it_answers(tiny_model: Path, sent: signal.Signals) -> None:
    with running_engine(tiny_model) as engine:
        body = {"model": "base", "prompt": "The", "max_tokens": 2000, "temperature": 0, "stream": True}
        with engine.http.stream("POST", "/v1/completions", json=body) as response:
            assert response.status_code == 200
            lines = response.iter_lines()  # kept: httpx hangs up once nobody holds it
            next(lines)
            engine.process.send_signal(sent)
            assert engine.process.wait(timeout=30) == 0


def test_it_starts_without_the_web_framework_or_transformers(tiny_model: Path) -> None:
    program = (
        "import sys, workers.serving.__main__\n"
        "print([name for name in ('django', 'celery', 'transformers', 'peft') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

"""The engine as a process: how it starts, refuses to start, and ends."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving.engines import ROOT, RunningEngine, engine_command, environment, running_engine
from workers.serving.__main__ import main

Refused = Callable[..., str]


@pytest.fixture
def refused(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Starts an engine that must not start, in this process; what it says of it is one sentence."""

    def start(*options: str, model: Path = tiny_model, token: str = "t") -> str:
        monkeypatch.setenv("HOUSESTYLE_ENGINE_TOKEN", token)
        assert main(["--port", "0", "--model", str(model), *options]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1, said.err
        return said.err

    return start


def test_the_process_says_one_sentence_and_ends(tiny_model: Path) -> None:
    ended = subprocess.run(
        engine_command(tiny_model),
        cwd=ROOT,
        env=environment(token=""),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)


def test_it_refuses_to_start_without_a_token(refused: Refused) -> None:
    assert "HOUSESTYLE_ENGINE_TOKEN" in refused(token="")


def test_it_refuses_a_port_that_is_taken(refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"Port {port}" in refused("--port", port)


def test_it_refuses_a_context_longer_than_the_models(refused: Refused) -> None:
    assert "--max-model-len" in refused("--max-model-len", "99999999")


def test_it_refuses_to_remember_less_than_one_request_may_need(refused: Refused) -> None:
    assert "--kv-cache-memory" in refused("--kv-cache-memory", "64KiB")


@pytest.mark.parametrize(
    "options",
    [
        ("--kv-cache-memory", "much"),
        ("--max-waiting", "0"),
        ("--weights", "int3"),
        ("--kv-cache-memory", "1GiB", "--kv-cache-tokens", "4096"),
    ],
)
def test_it_refuses_options_that_mean_nothing(
    tiny_model: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--model", str(tiny_model), *options])
    assert options[0] in capsys.readouterr().err


def test_it_says_what_it_chose(narrow_engine: RunningEngine) -> None:
    assert narrow_engine.process.stdout is not None
    said = narrow_engine.process.stdout.readline()
    assert "2,048 tokens" in said
    assert "answered at once: up to 1; that wait for it: up to 2." in said


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
    tiny_model: Path, tmp_path: Path, refused: Refused, name: str, content: str | None
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    (model / name).unlink()
    if content is not None:
        (model / name).write_text(content)
    said = refused(model=model)
    assert "prepare" in said or "another base" in said


def test_it_refuses_a_model_whose_weights_do_not_fit_its_configuration(
    tiny_model: Path, tmp_path: Path, refused: Refused
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    values = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**values, "num_hidden_layers": 99}))
    assert "prepare it again" in refused(model=model)


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

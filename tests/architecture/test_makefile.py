"""`make` is how a person starts: every target is listed, and does its own set-up."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.models import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = {"setup", "run", "test", "check", "screenshots", "test-vllm", "bench-%"}


def make(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "--no-print-directory", *words], cwd=cwd, capture_output=True, text=True)


def test_plain_make_lists_every_target_in_a_line() -> None:
    listed = dict(re.findall(r"^  make (\S+)\s+(\S.*)$", make().stdout, re.M))
    assert set(listed) >= TARGETS
    assert set(listed) == set(re.findall(r"^([a-z%-]+):.*## ", MAKEFILE, re.M))


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_target_does_its_own_set_up(target: str) -> None:
    rule = re.search(rf"^{re.escape(target)}: (.*?)##", MAKEFILE, re.M)
    assert rule is not None
    assert "$(INSTALLED)" in rule[1]


def test_another_python_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    refused = make("setup", "PYTHON=no-such-python", cwd=tmp_path)
    assert refused.returncode != 0
    assert refused.stderr.splitlines()[0] == (
        "Housestyle needs Python 3.11: install it, or name it with make PYTHON=/path/to/python3.11."
    )
    assert not (tmp_path / ".venv").exists()


def test_a_benchmark_that_does_not_exist_is_refused() -> None:
    if not (ROOT / ".venv" / "installed").exists():
        pytest.skip("this environment was not made by make setup")
    refused = make("bench-no-such-thing")
    assert refused.returncode != 0
    assert refused.stderr.startswith("There is no benchmark no-such-thing: choose one of")


def test_no_registry_host_and_no_machine_path_is_named() -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "Dockerfile", ".ci/run"):
        text = (ROOT / name).read_text()
        assert not re.search(r"--(extra-)?index-url|--find-links|https?://[^ ]*(pypi|pythonhosted)", text), (
            name
        )
        assert "/root/" not in text, name


def test_continuous_integration_calls_what_a_person_calls() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    called = re.findall(r"^make (\w+)$", script.read_text(), re.M)
    assert called == ["check", "test"]
    assert subprocess.run(["bash", "-n", script]).returncode == 0

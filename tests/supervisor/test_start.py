"""Whatever keeps the product from starting is said in one sentence, before anything was started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models import ROOT
from workers.supervisor import checks
from workers.supervisor.commands import Place, commands, database_users
from workers.supervisor.errors import StartError
from workers.supervisor.one import command_of


@pytest.fixture
def place(tmp_path: Path) -> Place:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], other.getsockname()[1]
    return Place(home=tmp_path, model=tmp_path / "model", port=ports[0], engine_port=ports[1])


def supervise(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workers.supervisor", *words],
        cwd=ROOT,
        env={**os.environ, "HOUSESTYLE_HOME": str(home)},
        capture_output=True,
        text=True,
    )


def test_a_taken_port_is_named(place: Place) -> None:
    with socket.create_server(("127.0.0.1", place.port)):
        refused = supervise(
            "--port", str(place.port), "--engine-port", str(place.engine_port), home=place.home
        )
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"Port {place.port} is taken: stop the program that has it, or choose")
    assert len(refused.stderr.splitlines()) == 1
    assert refused.stdout == ""


def test_a_number_that_is_no_port_is_refused(place: Place) -> None:
    with pytest.raises(StartError, match="99999 is no port"):
        checks.check_ports(Place(home=place.home, model=place.model, port=99999))


def test_web_and_engine_cannot_share_a_port(place: Place) -> None:
    with pytest.raises(StartError, match="two ports"):
        checks.check_ports(Place(home=place.home, model=place.model, port=place.port, engine_port=place.port))


def test_a_second_start_on_the_same_data_is_refused(place: Place) -> None:
    with checks.only_one(place.home):
        refused = supervise(home=place.home)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"Housestyle already runs with the data in {place.home}")


def test_a_model_folder_without_a_model_is_refused(place: Place) -> None:
    refused = supervise(
        "--model",
        str(place.model),
        "--port",
        str(place.port),
        "--engine-port",
        str(place.engine_port),
        home=place.home,
    )
    assert refused.returncode == 1
    assert "holds no prepared base model" in refused.stderr


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "NEEDED", (*checks.NEEDED, "no_such_package"))
    with pytest.raises(StartError, match="Not installed: no_such_package; run `make setup` first"):
        checks.check_packages()


def test_a_machine_without_the_packages_is_told_what_to_do(place: Place) -> None:
    refused = subprocess.run(
        [sys.executable, "-S", "-m", "workers.supervisor"],  # -S: an interpreter without site-packages
        cwd=ROOT,
        env={**os.environ, "HOUSESTYLE_HOME": str(place.home), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert refused.stderr.strip().endswith("is not installed: run `make setup` first.")
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StartError, match="cannot be written"), checks.only_one(tmp_path / "home"):
        pass


def test_one_process_is_started_as_the_supervisor_starts_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUSESTYLE_HOME", str(place.home))
    for name in (*database_users(place), "engine", "migrate", "prepare", "seed"):
        words = [name, "--port", str(place.port), "--engine-port", str(place.engine_port)]
        assert command_of([*words, "--model", str(place.model)]) == commands(place)[name]

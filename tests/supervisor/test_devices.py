"""Which training workers there are, what each of them sees, and how they share the machine's cores."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.models import ROOT
from workers.supervisor import devices
from workers.supervisor.commands import Place, commands, database_users
from workers.supervisor.devices import Device, environment_of, parse
from workers.supervisor.errors import StartError
from workers.supervisor.one import command_of
from workers.supervisor.processes import Processes
from workers.supervisor.signals import StopRequests

GPU = "GPU-5a1b2c3d-0000-1111-2222-333344445555"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (devices.DEVICES, devices.DEVICE, devices.THREADS, "OMP_NUM_THREADS", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)


def place(tmp_path: Path, words: str) -> Place:
    return Place(home=tmp_path, model=tmp_path / "model", training=parse(words))


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", ["training"]),
        ("0", ["training-0"]),
        ("0, 1,2", ["training-0", "training-1", "training-2"]),
        ("0+1,2", ["training-0-1", "training-2"]),
        ("cpu", ["training-cpu"]),
        ("cpu,cpu,cpu", ["training-cpu", "training-cpu-2", "training-cpu-3"]),
        (GPU, [f"training-{GPU}"]),
    ],
)
def test_there_is_one_worker_a_device(words: str, names: list[str], tmp_path: Path) -> None:
    assert [device.name for device in parse(words)] == names
    assert [name for name in database_users(place(tmp_path, words)) if "training" in name] == names
    assert set(database_users(place(tmp_path, words))) <= set(commands(place(tmp_path, words)))


@pytest.mark.parametrize(
    "words", ["gpu", "0,", "0;1", "-1", "00", "cuda:0", "0+", "cpu+0", "0 1", "../x", "GPU-"]
)
def test_what_is_no_device_is_named(words: str) -> None:
    with pytest.raises(StartError, match="which is no device: write GPU numbers"):
        parse(words)


@pytest.mark.parametrize("words", ["0,0", "0+0", "0+1,1", f"{GPU},{GPU}"])
def test_a_gpu_is_for_one_worker(words: str) -> None:
    with pytest.raises(StartError, match="twice: a GPU trains for one worker"):
        parse(words)


@pytest.mark.parametrize(("words", "seen"), [("0", "0"), ("2+3", "2,3"), ("cpu", ""), (GPU, GPU)])
def test_a_worker_sees_its_device_and_no_other(words: str, seen: str) -> None:
    (device,) = parse(words)
    added = environment_of(device, [device], {})
    assert added["CUDA_VISIBLE_DEVICES"] == seen
    assert added[devices.DEVICE] == words
    assert added["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_processes_of_one_run_talk_on_the_loopback_alone() -> None:
    (device,) = parse("0+1")
    added = environment_of(device, [device], {})
    assert {added[f"{library}_SOCKET_IFNAME"] for library in ("GLOO", "NCCL")} == {"lo"}


def test_with_nothing_said_the_environment_stays_as_it_is() -> None:
    assert environment_of(Device(), [Device()], {"CUDA_VISIBLE_DEVICES": "1"}) == {}


def test_workers_share_the_cores_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "usable_cores", lambda: 8)
    for words, threads in [
        ("cpu,cpu", "4"),
        ("cpu,cpu,cpu", "2"),
        ("0,1", "4"),
        (",".join(["cpu"] * 9), "1"),
    ]:
        workers = parse(words)
        given = {environment_of(worker, workers, {})["OMP_NUM_THREADS"] for worker in workers}
        assert given == {threads}, words


def test_one_worker_has_all_cores() -> None:
    (device,) = parse("cpu")
    assert "OMP_NUM_THREADS" not in environment_of(device, [device], {})


def test_a_number_of_threads_that_was_set_is_kept() -> None:
    workers = parse("cpu,cpu")
    assert environment_of(workers[0], workers, {devices.THREADS: "3"})["OMP_NUM_THREADS"] == "3"
    assert "OMP_NUM_THREADS" not in environment_of(workers[0], workers, {"OMP_NUM_THREADS": "5"})


@pytest.mark.parametrize("threads", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_named(threads: str) -> None:
    with pytest.raises(StartError, match="write a whole number of threads"):
        environment_of(Device("cpu"), [Device("cpu")], {devices.THREADS: threads})


def test_one_worker_is_started_as_the_supervisor_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUSESTYLE_HOME", str(tmp_path))
    table = commands(place(tmp_path, "0,1"))
    monkeypatch.setenv(devices.DEVICES, "0,1")  # so it knows how many share the cores
    for word in ("0", "1"):
        found = command_of(["training", "--device", word])
        assert found == table[f"training-{word}"]
        assert f"training-{word}@%h" in found.arguments


def test_one_worker_takes_the_only_device_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(devices.DEVICES, "1")
    assert command_of(["training"]).environment["CUDA_VISIBLE_DEVICES"] == "1"


def test_one_worker_of_several_must_say_which_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(devices.DEVICES, "0,1")
    with pytest.raises(StartError, match=r"names 2 devices, and this is one worker: .* --device 0"):
        command_of(["training"])
    with pytest.raises(StartError, match="--device 0,1 is 2 workers"):
        command_of(["training", "--device", "0,1"])
    assert command_of(["web"]).name == "web"


def test_only_training_has_a_device() -> None:
    with pytest.raises(SystemExit):
        command_of(["web", "--device", "0"])


@pytest.mark.parametrize("module", ["workers.supervisor", "workers.supervisor.one"])
def test_a_wrong_setting_is_said_in_one_sentence(module: str, tmp_path: Path) -> None:
    words = ["training"] if module.endswith("one") else []
    refused = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=ROOT,
        env={**os.environ, "HOUSESTYLE_HOME": str(tmp_path), devices.DEVICES: "gpu0"},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"{devices.DEVICES} says “gpu0”, which is no device")
    assert len(refused.stderr.splitlines()) == 1


def test_the_process_has_what_its_command_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What PyTorch really does with it, in a process started as the supervisor starts a worker."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.setattr(devices, "usable_cores", lambda: 2)
    worker = commands(place(tmp_path, "cpu,cpu"))["training-cpu-2"]
    program = "import os, torch; print(repr(os.environ['CUDA_VISIBLE_DEVICES']), torch.get_num_threads())"
    processes = Processes(tmp_path, StopRequests(), verbose=False)
    command = type(worker)("program", "program", (sys.executable, "-c", program), "", worker.environment)
    processes.step(command, show=False)
    assert (tmp_path / "program.log").read_text() == "'' 1\n"


def test_one_becomes_the_worker_with_its_environment(tmp_path: Path) -> None:
    """Celery needs no database to start and waits for its broker, which is enough to look at it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workers.supervisor.one", "training", "--device", "0+1"],
        cwd=ROOT,
        env={**os.environ, "HOUSESTYLE_HOME": str(tmp_path), devices.THREADS: "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        seen = psutil.Process(process.pid)
        for _ in range(200):
            if "training-0-1@%h" in seen.cmdline():
                break
            time.sleep(0.05)
        environment = seen.environ()
        assert environment["CUDA_VISIBLE_DEVICES"] == "0,1"
        assert environment[devices.DEVICE] == "0+1"
        assert environment["OMP_NUM_THREADS"] == "1"
        assert "training-0-1@%h" in seen.cmdline()
    finally:
        process.kill()
        process.wait()

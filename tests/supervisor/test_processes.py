"""How processes are watched and ended, on small programs of our own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.models import ROOT
from workers.supervisor.commands import Command
from workers.supervisor.errors import StartError
from workers.supervisor.processes import MOST_AGAIN, Processes
from workers.supervisor.signals import StopRequests

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleep, start_new_session={own_session})
print(child.pid, flush=True)
time.sleep(600)
"""


class Fixture:
    """Processes, and a way to start a program under them."""

    def __init__(self, logs: Path) -> None:
        self.stop = StopRequests()
        self.processes = Processes(logs, self.stop, verbose=False)
        self.logs = logs

    def command(self, program: str) -> Command:
        return Command("program", "program", (sys.executable, "-c", program))

    def start(self, program: str) -> None:
        self.processes.start(self.command(program))

    def says(self) -> str:
        return wait_for(lambda: (self.logs / "program.log").read_text())


def wait_for(what: Callable[[], str]) -> str:
    for _ in range(200):
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("nothing came")


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    return Fixture(tmp_path)


def test_a_process_that_ends_by_itself_is_reported_with_its_log(fixture: Fixture) -> None:
    fixture.start("raise SystemExit(3)")
    (process,) = fixture.processes._running.values()
    process.wait()
    with pytest.raises(StartError, match=r"program process ended by itself \(exit status 3\).*program\.log"):
        fixture.processes.check()


def test_a_step_that_fails_is_reported_with_its_log(fixture: Fixture) -> None:
    with pytest.raises(StartError, match=r"“program” failed: the end of .*program\.log says why"):
        fixture.processes.step(fixture.command("raise SystemExit(1)"), show=False)


def test_what_a_step_says_is_shown(fixture: Fixture, capfd: pytest.CaptureFixture[str]) -> None:
    fixture.processes.step(fixture.command("print('half'); print('whole')"), show=True)
    shown = wait_for(lambda: capfd.readouterr().out)
    assert "half" in shown


def test_a_process_that_does_not_listen_is_killed_with_its_group(fixture: Fixture) -> None:
    fixture.start(STUBBORN.format(own_session=False))
    grandchild = psutil.Process(int(fixture.says()))
    fixture.stop._count = 2  # Ctrl-C twice: no grace
    fixture.processes.stop()
    _, alive = psutil.wait_procs([grandchild], timeout=5)
    assert alive == []


def test_what_left_its_group_is_killed_too() -> None:
    """A supervisor of its own: it kills everything below the process it runs in."""
    program = f"""
import pathlib, sys, tempfile, time
sys.path.insert(0, {str(ROOT)!r})
from workers.supervisor.commands import Command
from workers.supervisor.processes import Processes, kill_descendants
from workers.supervisor.signals import StopRequests
stop = StopRequests()
logs = pathlib.Path(tempfile.mkdtemp())
processes = Processes(logs, stop, verbose=False)
program = {STUBBORN.format(own_session=True)!r}
processes.start(Command("program", "program", (sys.executable, "-c", program)))
while not (said := (logs / "program.log").read_text()):
    time.sleep(0.05)
stop._count = 2
processes.stop()
kill_descendants()
print(said)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not psutil.pid_exists(int(done.stdout))


def test_what_may_be_started_again_is_once_it_was_up(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(fixture.processes, "say", said.append)
    monkeypatch.setattr("workers.supervisor.processes._healthy", lambda url: True)
    sleeper = replace(fixture.command("import time; time.sleep(600)"), again=True)
    fixture.processes.start(sleeper)
    fixture.processes.wait_until_ready(sleeper)
    first = end(fixture)
    fixture.processes.check()
    (second,) = fixture.processes._running.values()
    assert second.pid != first.pid and second.poll() is None
    assert said == ["The program process ended by itself (signal 9) and is started again."]
    for _ in range(MOST_AGAIN - 1):
        end(fixture)
        fixture.processes.check()
    end(fixture)
    with pytest.raises(StartError, match="program process ended by itself"):
        fixture.processes.check()


def test_what_never_was_up_is_not_started_again(fixture: Fixture) -> None:
    fixture.processes.start(replace(fixture.command("raise SystemExit(3)"), again=True))
    (process,) = fixture.processes._running.values()
    process.wait()
    with pytest.raises(StartError, match="exit status 3"):
        fixture.processes.check()


def end(fixture: Fixture) -> subprocess.Popen[bytes]:
    (process,) = fixture.processes._running.values()
    process.kill()
    process.wait()
    return process

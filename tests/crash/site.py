"""A small installation that tests may break: servers of its own, and training workers started as the
supervisor starts them, on the tiny model.

The test's own process takes the place of web and relay: its Django speaks to the same servers.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from tests.conftest import Firm, make_firm
from tests.factories import freeze, ready_document
from tests.models import ROOT, tiny_model_folder
from webapp.adapters import selectors as adapters
from webapp.audit import selectors as audit
from webapp.celery import app
from webapp.core.embedded.child import spawn
from webapp.core.embedded.postgres import DATABASE, OWNER, Postgres
from webapp.core.embedded.valkey import Valkey
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import ENDED, Job
from webapp.core.jobs.services import LEASE
from webapp.core.tenancy import tenant_scope, worker_scope
from webapp.datasets import services as datasets
from webapp.datasets.examples import NewExample
from webapp.datasets.models import Dataset
from webapp.tenants.models import Role
from webapp.training import selectors, services
from webapp.training.models import TrainingRun
from workers.supervisor.commands import Place, commands
from workers.tasks.relay import relay

WAIT_SECONDS = 180  # how long anything may take on a busy machine before a test gives up
RELAY_SECONDS = 1.0
LONG_RUN: dict[str, Any] = {
    "rank": 4,
    "layers": 0,
    "epochs": 20,
    "max_steps": 150,
    "batch_size": 1,
    "learning_rate": 5e-3,
    "max_length": 128,
    "evaluations": 4,
    "patience": 0,
    "mode": "resident",
    "precision": "fp32",
}
SHORT_RUN: dict[str, Any] = {"max_steps": 2, "evaluations": 1}


@dataclass(frozen=True)
class Result:
    """What a run came to: its curve, its answers, and the SHA-256 of its adapter's weights."""

    curve: dict[str, list[list[float]]]
    answers: list[tuple[int, int, str]]
    adapter: str


class Worker:
    """A training worker's process. It ends with the test, however that ends."""

    def __init__(self, home: Path, model: Path, environment: dict[str, str], number: int) -> None:
        (command,) = [
            command for name, command in commands(Place(home=home, model=model)).items() if name == "training"
        ]
        self.log = home / "logs" / f"training-{number}.log"
        arguments = [*command.arguments, "--hostname", f"training-{number}@%h"]
        self.process = spawn(
            arguments, log=self.log, cwd=ROOT, environment={**environment, **command.environment}
        )

    def kill(self) -> None:
        """As an out-of-memory killer or a `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @property
    def name(self) -> str:
        """Its end in `Job.worker`."""
        return f":{self.process.pid}"

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@dataclass
class Site:
    home: Path
    postgres: Postgres
    valkey: Valkey
    environment: dict[str, str]
    workers: list[Worker] = field(default_factory=list)
    firms: list[Firm] = field(default_factory=list)
    sets: dict[uuid.UUID, Dataset] = field(default_factory=dict)

    def alive(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.process.poll() is None]

    def need_workers(self, count: int = 1) -> list[Worker]:
        """So many workers that live and listen; new ones where there are fewer."""
        while len(self.alive()) < count:
            self.start_worker()
        for worker in self.alive():
            deadline = time.monotonic() + WAIT_SECONDS
            while " ready." not in worker.log.read_text():
                assert time.monotonic() < deadline and worker.process.poll() is None, worker.log.read_text()
                time.sleep(0.05)
        return self.alive()

    def holder(self, run: TrainingRun) -> Worker:
        """Who trains the run."""
        name = self.look(run).job.worker
        (worker,) = [worker for worker in self.alive() if name.endswith(worker.name)]
        return worker

    def start_worker(self) -> Worker:
        worker = Worker(self.home, tiny_model_folder(), self.environment, len(self.workers))
        self.workers.append(worker)
        return worker

    def firm(self, number: int = 0) -> Firm:
        while len(self.firms) <= number:
            self.firms.append(make_firm(f"Firm{len(self.firms)}", {"alice": Role.STAFF}))
        return self.firms[number]

    def start(self, firm: Firm | None = None, **changes: Any) -> TrainingRun:
        """Queue a run, long enough to be interrupted, on the firm's dataset: the same for every run."""
        firm = firm or self.firm()
        if firm.tenant.id not in self.sets:
            self.sets[firm.tenant.id] = _dataset(firm)
        with tenant_scope(firm.tenant.id):
            return services.start(
                member=firm.alice,
                dataset=self.sets[firm.tenant.id],
                adapter_name="briefs",
                changes=LONG_RUN | changes,
            )

    def folder(self, run: TrainingRun) -> Path:
        return self.home / "storage" / "checkpoints" / str(run.tenant_id) / str(run.id)

    def look(self, run: TrainingRun) -> TrainingRun:
        with tenant_scope(run.tenant_id):
            return selectors.run(run.tenant_id, run.id)

    def wait(
        self, run: TrainingRun, until: Callable[[TrainingRun], object], *, relaying: bool = True
    ) -> TrainingRun:
        """Look often until `until` holds; the relay does its work meanwhile."""
        deadline, next_relay = time.monotonic() + WAIT_SECONDS, 0.0
        while True:
            found = self.look(run)
            if until(found):
                return found
            if time.monotonic() > deadline or found.job.has_ended:
                raise AssertionError(
                    f"the run is {found.job.state} ({found.phase}, step {found.step} of {found.steps}): "
                    f"{found.job.message} {found.job.trace}\n{self.workers[-1].log.read_text()[-3000:]}"
                )
            if relaying and time.monotonic() > next_relay:
                relay()
                next_relay = time.monotonic() + RELAY_SECONDS
            time.sleep(0.01)

    def finish(self, *runs: TrainingRun) -> list[TrainingRun]:
        return [self.wait(run, lambda found: found.job.has_ended) for run in runs]

    def result(self, run: TrainingRun) -> Result:
        """Of a run that has ended well. What it left is checked: nothing but its one version."""
        found = self.look(run)
        assert (found.job.state, found.job.message) == ("succeeded", ""), found.job.trace
        deadline = time.monotonic() + WAIT_SECONDS
        while self.folder(run).exists():  # it goes just after the end was written
            assert time.monotonic() < deadline, "what the run needed to go on is still there"
            time.sleep(0.01)
        with tenant_scope(run.tenant_id):
            curve, answered = selectors.curve(found), selectors.answers(found)
            (version,) = adapters.versions(run.tenant_id).filter(run=run)
            ends = [
                event.action
                for event in audit.events(run.tenant_id)
                if event.action.startswith("job.") and event.data.get("object") == str(run.id)
            ]
        assert ends == ["job.succeeded"], "one end"
        folder = self.home / "storage" / "adapters" / str(run.tenant_id) / str(version.id)
        assert sorted(path.name for path in folder.iterdir()) == [
            "adapter_config.json",
            "adapter_model.safetensors",
            "housestyle.json",
        ]
        rows = [(row.step, row.place, row.text) for asked in answered for row in asked.answers]
        return Result(curve, rows, version.sha256)

    def let_lease_run_out(self, run: TrainingRun) -> None:
        """As half a minute does, for a worker that is dead."""
        with worker_scope():
            Job.objects.filter(id=run.job_id).update(lease_until=Now() - LEASE)

    def let_it_be_time(self, run: TrainingRun) -> None:
        """As half a minute does, for a run that was postponed."""
        with worker_scope():
            Job.objects.filter(id=run.job_id).update(not_before=Now())

    def end_all(self) -> None:
        """Take what waits out of the queue, so that the next test begins with none."""
        for firm in self.firms:
            with tenant_scope(firm.tenant.id):
                for job in Job.objects.exclude(state__in=ENDED):
                    jobs.request_cancel(job)

    def restart_broker(self, away_seconds: float) -> None:
        """A new process at the old address that knows nothing of the messages before."""
        assert self.valkey.process is not None
        self.valkey.process.kill()
        self.valkey.process.wait()
        time.sleep(away_seconds)
        self.valkey.process = self.valkey._spawn()

    def restart_database(self, away_seconds: float) -> None:
        self.postgres.stop()
        connection.close()
        time.sleep(away_seconds)
        self.postgres.start(lambda _: None)

    def close(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.send(signal.SIGCONT)
                worker.kill()


def _dataset(firm: Firm) -> Dataset:
    chosen = [ready_document(firm, by=firm.alice) for _ in range(2)]
    with tenant_scope(firm.tenant.id):
        dataset = datasets.create(
            member=firm.alice, name="Briefs", document_ids=[document.id for document in chosen]
        )
        freeze(
            dataset,
            train=[_example(page) for page in range(12)],
            heldout=[_example(page) for page in range(100, 104)],
        )
    return dataset


def _example(page: int) -> NewExample:
    return NewExample("cite", prompt=f"See 539 US 306, {page}.", completion=f"See 539 U. S. 306, {page}.")


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Start the servers, bring the database up to date, and let this process's Django speak to them."""
    home = folder / "home"
    (home / "static").mkdir(parents=True)
    # The same secrets, so that this process and the workers open the same keys.
    shutil.copyfile(Path(settings.HOME) / "secrets.json", home / "secrets.json")
    (home / "secrets.json").chmod(0o600)
    postgres = Postgres(home / "postgres", home / "logs" / "postgres.log", durable=False)
    valkey = Valkey(home / "valkey", home / "logs" / "valkey.log")
    try:
        postgres.start(lambda _: None)
        valkey.start(lambda _: None)
        environment = {
            **os.environ,
            "HOUSESTYLE_HOME": str(home),
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "HOUSESTYLE_MODEL_DIR": str(tiny_model_folder()),
            "HOUSESTYLE_CHECKPOINT_SECONDS": "0.2",
            "OMP_NUM_THREADS": "1",  # threads that spin for each other are slow where others work too
        }
        migrate = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
        subprocess.run(migrate, cwd=ROOT, env=environment | {"HOUSESTYLE_DATABASE_ROLE": ""}, check=True)
        with _spoken_to(postgres, valkey):
            made = Site(home, postgres, valkey, environment)
            try:
                yield made
            finally:
                made.close()
    finally:
        valkey.stop()
        postgres.stop()


@contextmanager
def _spoken_to(postgres: Postgres, valkey: Valkey) -> Iterator[None]:
    own = connection.settings_dict
    there = {"NAME": DATABASE, "USER": OWNER, "PASSWORD": "", "HOST": str(postgres.folder), "PORT": "5432"}
    assert f"host={str(postgres.folder).replace('/', '%2F')}&" in postgres.url, "the folder's name is short"
    before = {name: own[name] for name in there}
    connection.close()
    own.update(there)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.conf, "broker_url", valkey.url)
        patch.setattr(settings, "BASE_MODEL_DIR", tiny_model_folder())
        try:
            yield
        finally:
            connection.close()
            own.update(before)

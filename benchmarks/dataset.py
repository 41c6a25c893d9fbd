"""How long a thousand documents take to become a frozen dataset, and how fast a large one opens.

Both on servers and a home of their own, through the product's own services, jobs and pages.
"""

from __future__ import annotations

import json
import os
import random
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webapp.datasets.models import Dataset
    from webapp.tenants.models import Membership

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".housestyle"
MODEL = "SmolLM2-135M-Instruct"
PAGES, WORDS_A_PAGE = 10, 400
PASSWORD = "a password of this run only"

WHO = "court panel plaintiff defendant agency tenant trustee surety carrier insurer lender buyer seller"
DID = "denies concedes recites disputes pleads overlooks preserves waives proves assumes rejects affirms"
WHAT = "notice standing damages costs delay venue remand waiver consent tender breach title lien novation"
HOW = "plainly squarely narrowly expressly promptly rightly flatly wholly openly fairly barely soundly"
WHY = "on this record|without more|as a matter of law|by any measure|in good faith|at trial|below|in equity"
REPORTERS = ("U.S.", "F.3d", "F.2d", "S. Ct.", "F. Supp. 2d", "N.E.2d", "P.3d")
NAMES = (
    "Adler Brandt Castro Dunham Eriksen Farrow Gould Hale Ibsen Jarvis Keane Lowell Mercer Nolan Osgood Pryce"
)


@dataclass(frozen=True)
class Built:
    """`peak_bytes` is the most memory that the building process ever held."""

    seconds: float
    peak_bytes: int
    documents: int
    examples: int
    tokens: int


@dataclass(frozen=True)
class Opened:
    """Milliseconds until a page of the dataset was here, by what was asked, and the database's queries."""

    milliseconds: dict[str, float]
    queries: int


def measure_build(documents: int = 1000) -> Built:
    """Make `documents` documents of ten pages, then let one job build a dataset of them."""
    with _product() as environment:
        code = f"from benchmarks import dataset; dataset.make_documents({documents})"
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
        done = subprocess.run(
            [sys.executable, "-c", "from benchmarks import dataset; dataset.run_job()"],
            cwd=ROOT,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    said = json.loads(done.stdout.splitlines()[-1])
    return Built(documents=documents, **said)


def measure_page(examples: int = 100_000, times: int = 9) -> Opened:
    """Make a frozen dataset of so many examples and open its pages over HTTP; the median of `times`."""
    with _product() as environment:
        code = f"from benchmarks import dataset; dataset.open_pages({examples}, {times})"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return Opened(**json.loads(done.stdout.splitlines()[-1]))


def document_text(number: int) -> str:
    """Ten pages of a brief that nobody wrote: headings, paragraphs, about four citations a page."""
    dice = random.Random(number)
    topic = f"{dice.choice(NAMES.split())} {dice.choice(WHAT.split())}"
    paragraphs = [f"Brief on the {topic} in Matter {number}"]
    words = 0
    while words < PAGES * WORDS_A_PAGE:
        if dice.random() < 0.12:
            paragraphs.append(f"{dice.choice('IVX')}. The {dice.choice(WHAT.split())} of the {topic}")
        text = " ".join(_sentence(dice, topic) for _ in range(dice.randint(3, 7)))
        paragraphs.append(text)
        words += len(text.split())
    return "\n\n".join(paragraphs)


def _sentence(dice: random.Random, topic: str) -> str:
    who, did, what, how = (dice.choice(words.split()) for words in (WHO, DID, WHAT, HOW))
    said = f"The {who} {how} {did} the {what} of the {topic}, and the {dice.choice(WHAT.split())} "
    said += f"{dice.choice(WHY.split('|'))} number {dice.randint(2, 999)}"
    if dice.random() < 0.15:
        one, other = dice.sample(NAMES.split(), 2)
        cite = f"{dice.randint(20, 580)} {dice.choice(REPORTERS)} {dice.randint(1, 1200)}"
        said += f". See {one} v. {other}, {cite}, {dice.randint(1201, 1400)} ({dice.randint(1950, 2020)})"
    return said + "."


@contextmanager
def _product() -> Iterator[dict[str, str]]:
    """The environment of processes that share a migrated database, a broker and a prepared base model."""
    from webapp.core import embedded

    if not (HOME / "models" / MODEL / "config.json").exists():
        command = [sys.executable, "-m", "workers.engine.prepare", "--home", str(HOME)]
        subprocess.run(command, cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix="housestyle-bench-") as folder:
        before = dict(os.environ)
        os.environ["HOUSESTYLE_HOME"] = folder
        os.environ["HOUSESTYLE_MODEL_DIR"] = str(HOME / "models" / MODEL)
        try:
            (Path(folder) / "static").mkdir()  # looked for at every start of the web process
            with embedded.running(Path(folder), durable=False):
                environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "webapp.settings"}
                command = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
                subprocess.run(command, cwd=ROOT, env=environment, check=True)
                yield environment
        finally:
            os.environ.clear()
            os.environ.update(before)


# What follows runs in processes that `_product` has an environment for.


def make_documents(count: int) -> None:
    """A firm with so many documents that were read, and a dataset of all of them that waits for its job."""
    member = _member()
    from webapp.core.jobs import services as jobs
    from webapp.core.jobs.models import JobKind, JobState
    from webapp.core.tenancy import firm_scope
    from webapp.datasets import services as datasets
    from webapp.documents import services
    from webapp.documents.layout import Layout
    from workers import similarity

    ids = []
    for number in range(count):
        text = document_text(number)
        signature = similarity.signature(text)
        with firm_scope(member.tenant_id):
            document = services.upload(member=member, name=f"brief-{number:04}.txt", data=text.encode())
        claim = jobs.claim(JobKind.EXTRACT, worker="benchmark")
        assert claim is not None
        with firm_scope(member.tenant_id):
            services.record_text(document=document, layout=Layout.of_text(text), pages=PAGES, kind="txt")
            services.record_likeness(
                document=document, signature=signature, bands=similarity.bands(signature)
            )
            jobs.finish(claim, JobState.SUCCEEDED)
        ids.append(document.id)
    with firm_scope(member.tenant_id):
        datasets.create(member=member, name="A thousand briefs", document_ids=ids)


def run_job() -> None:
    """Build the dataset that waits, as a worker's process does; says what it took on the last line."""
    _django()
    from django.db.models import Sum

    from webapp.core.jobs.models import Job, JobKind
    from webapp.core.tenancy import firm_scope, worker_scope
    from webapp.datasets.models import Dataset, Example
    from workers.tasks.build_dataset import build_dataset

    began = time.monotonic()
    build_dataset()
    seconds = time.monotonic() - began
    with worker_scope():
        job = Job.objects.get(kind=JobKind.BUILD)
    with firm_scope(job.tenant_id):
        dataset = Dataset.objects.select_related("job").get()
        assert dataset.state == "ready", dataset.reason
        sums = Example.objects.aggregate(asked=Sum("prompt_tokens"), answered=Sum("completion_tokens"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    said: dict[str, float] = {"seconds": seconds, "peak_bytes": peak, "examples": dataset.example_count}
    said["tokens"] = sums["asked"] + sums["answered"]
    print(json.dumps(said))


def open_pages(examples: int, times: int) -> None:
    """Open a dataset's first, last, filtered and searched page over HTTP."""
    member = _member()
    dataset = _large_dataset(member, examples)
    path = f"/datasets/{dataset.id}/"
    pages = {
        "first": path,
        "deep": f"{path}?after={examples - 500}",
        "one side and kind": f"{path}?split=heldout&kind=cite",
        "search": f"{path}?q=passage+77",
    }
    with _web() as url:
        from tests.product import Browser  # signs in as a person does

        browser = Browser(url, member.user.email, PASSWORD)
        found = {}
        for name, page in pages.items():
            took = []
            for _ in range(times):
                began = time.perf_counter()
                browser.get(page).raise_for_status()
                took.append(1000 * (time.perf_counter() - began))
            found[name] = round(statistics.median(took), 1)
    print(json.dumps({"milliseconds": found, "queries": _queries(member, path)}))


def _large_dataset(member: Membership, examples: int) -> Dataset:
    from django.db import connection

    from webapp.core.jobs import services as jobs
    from webapp.core.jobs.models import Job, JobKind, JobState
    from webapp.core.tenancy import firm_scope
    from webapp.datasets import services
    from webapp.datasets.models import Dataset, Example
    from webapp.documents import services as documents
    from webapp.documents.layout import Layout

    chosen = []
    for number in range(2):
        text = document_text(number)
        with firm_scope(member.tenant_id):
            document = documents.upload(member=member, name=f"{number}.txt", data=text.encode())
        claim = jobs.claim(JobKind.EXTRACT, worker="benchmark")
        assert claim is not None
        with firm_scope(member.tenant_id):
            documents.record_text(document=document, layout=Layout.of_text(text), pages=PAGES, kind="txt")
            jobs.finish(claim, JobState.SUCCEEDED)
        chosen.append(document)
    with firm_scope(member.tenant_id):
        dataset = services.create(
            member=member, name="Large", document_ids=[document.id for document in chosen]
        )
        words = document_text(3)[:1500]
        for at in range(0, examples, 5000):
            Example.objects.bulk_create(
                Example(
                    tenant_id=member.tenant_id,
                    dataset=dataset,
                    document=chosen[number % 2],
                    split="heldout" if number % 7 == 0 else "train",
                    position=number,
                    kind=("cite", "draft", "continue")[number % 3],
                    prompt=f"Put the citations of passage {number} into our house style. {words}",
                    completion=words,
                    prompt_tokens=400,
                    completion_tokens=380,
                )
                for number in range(at, min(at + 5000, examples))
            )
        heldout = -(-examples // 7)
        third = {"train": (examples - heldout) // 3, "heldout": heldout // 3}
        Dataset.objects.filter(id=dataset.id).update(
            sha256="0" * 64,
            train_examples=examples - heldout,
            heldout_examples=heldout,
            manifest={"counts": dict.fromkeys(("cite", "draft", "continue"), third)},
        )
        Job.objects.filter(id=dataset.job_id).update(state=JobState.SUCCEEDED, ended_at="2026-01-01T00:00Z")
        with connection.cursor() as cursor:  # as the build of a large dataset does at its end
            cursor.execute("SELECT housestyle_analyze_examples()")
    return dataset


def _queries(member: Membership, path: str) -> int:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(SERVER_NAME="localhost")
    client.force_login(member.user, backend="django.contrib.auth.backends.ModelBackend")
    with CaptureQueriesContext(connection) as captured:
        client.get(path)
    return len(captured)


@contextmanager
def _web() -> Iterator[str]:
    """A web process; where it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "webapp.asgi:application", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning"], cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, "the web process does not answer"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _member() -> Membership:
    """A paralegal of a new firm."""
    _django()
    from webapp.core.tenancy import firm_scope
    from webapp.tenants import selectors, services
    from webapp.tenants.models import Role

    firm = services.create_firm(name="Benchmark LLP")
    with firm_scope(firm.id):
        made = services.add_member(
            tenant_id=firm.id,
            by=None,
            email="paralegal@benchmark.example",
            name="Paralegal",
            role=Role.STAFF,
            password=PASSWORD,
        )
        return selectors.member(firm.id, made.id)


def _django() -> Any:
    import django

    django.setup()

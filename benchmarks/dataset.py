"""How long a thousand documents take to become a frozen dataset, and how fast a large one opens.

Both on servers and a home of their own, through the product's own services, jobs and pages.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.briefs import PAGES, document_text
from benchmarks.product import PASSWORD, ROOT, a_member, django, product, web

if TYPE_CHECKING:
    from webapp.datasets.models import Dataset
    from webapp.tenants.models import Membership


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
    with product() as environment:
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
    with product() as environment:
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


# What follows runs in processes that `product` has an environment for.


def make_documents(count: int) -> None:
    """A firm with so many documents that were read, and a dataset of all of them that waits for its job."""
    member = a_member()
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
    django()
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
    member = a_member()
    dataset = _large_dataset(member, examples)
    path = f"/datasets/{dataset.id}/"
    pages = {
        "first": path,
        "deep": f"{path}?after={examples - 500}",
        "one side and kind": f"{path}?split=heldout&kind=cite",
        "search": f"{path}?q=passage+77",
    }
    with web() as url:
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
        assert dataset.job is not None
        Job.objects.filter(id=dataset.job.id).update(state=JobState.SUCCEEDED, ended_at="2026-01-01T00:00Z")
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

"""Half an hour of the gateway and the engine as firms use them: `make soak`.

30 keys of ten firms ask without a pause, whole and streamed, while versions are put live, tried out, rolled
back, retired and replaced. Every version answers with a mark of its own and the engine has room for fewer
than there are, so one wrong adapter is one wrong word. Afterwards every token is in the usage rows, once.
"""

from __future__ import annotations

import logging
import os
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import openai
import psutil
import pytest
from django.conf import settings
from django.db import connections

from tests.engines.marks import marks
from tests.live import running_web
from tests.models import vllm_model_folder
from tests.serving.engines import RunningEngine, running_engine
from tests.soak.cast import Key, SoakFirm, make_cast
from webapp.core.tenancy import tenant_scope
from webapp.usage.models import UsageHour, UsageRow

SECONDS = float(os.environ.get("HOUSESTYLE_SOAK_SECONDS", "1800"))
FIRMS, CLIENTS, VERSIONS_AT_MOST = 10, 12, 400
RESIDENT = 20  # adapters that the engine has room for, of 30 that are asked for
PROMPTS = ("The court held that", "Dear Ms. Vale,", "See Grutter v. Bollinger, 539 U. S. 306.")

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(int(SECONDS) + 900),
    pytest.mark.django_db(transaction=True),
]


class Count:
    """What the clients saw, by key: requests, prompt tokens, completion tokens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.tokens_in: Counter[str] = Counter()
        self.tokens_out: Counter[str] = Counter()

    def add(self, key: str, tokens_in: int, tokens_out: int) -> None:
        with self._lock:
            self.requests[key] += 1
            self.tokens_in[key] += tokens_in
            self.tokens_out[key] += tokens_out


@pytest.fixture(scope="module")
def soak_engine() -> Iterator[RunningEngine]:
    root = Path(settings.ADAPTERS_DIR)
    root.mkdir(parents=True, exist_ok=True)
    base = vllm_model_folder()
    room = str(RESIDENT * _adapter_bytes(base))
    # Little room for prefixes: what is kept of them grows until it is full, and memory is to be seen flat.
    options = ["--adapters-root", str(root), "--max-model-len", "1024", "--lora-memory", room]
    options += ["--kv-cache-tokens", "8192"]
    with running_engine(base, *options) as engine:
        yield engine


def test_half_an_hour_of_everything(soak_engine: RunningEngine, tmp_path: Path) -> None:
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # one line a request
    base = vllm_model_folder()
    words = iter(marks(base, VERSIONS_AT_MOST))
    firms = make_cast(base, tmp_path, words, FIRMS)
    seen, changes, problems = Count(), Counter[str](), list[str]()
    stop = threading.Event()
    with running_web(soak_engine.url) as (url, web):
        processes = [psutil.Process(web.pid), psutil.Process(soak_engine.process.pid)]
        jobs: list[Callable[[], None]] = [
            partial(_ask, firms, url, seen, stop, seed) for seed in range(CLIENTS)
        ]
        jobs.append(partial(_change, firms, changes, stop))
        with _threads(jobs, stop, problems):
            memory = _watch(processes, SECONDS, problems)
        _wait_until_all_rows_are_closed(firms)
    assert not problems, problems[0]
    assert min(changes[what] for what in ("put live", "tried", "rolled back", "retired")) > 0
    _every_token_is_counted_once(firms, seen)
    for process, sizes in memory.items():
        _is_flat(process, sizes)
    print(f"{sum(seen.requests.values())} requests, {dict(changes)}, {sum(seen.tokens_out.values())} tokens")


def _ask(firms: list[SoakFirm], url: str, seen: Count, stop: threading.Event, seed: int) -> None:
    dice = random.Random(seed)
    with openai.OpenAI(base_url=f"{url}/v1", api_key="each its own", max_retries=0, timeout=60) as client:
        while not stop.is_set():
            firm = dice.choice(firms)
            key = dice.choice(firm.keys)
            _ask_once(firm, key, client.with_options(api_key=key.secret), seen, dice)


def _ask_once(firm: SoakFirm, key: Key, client: openai.OpenAI, seen: Count, dice: random.Random) -> None:
    prompt, most, began = dice.choice(PROMPTS), dice.randint(2, 12), time.monotonic()
    if dice.random() < 0.5:
        whole = client.completions.create(model="", prompt=prompt, max_tokens=most, temperature=0)
        text, label, usage = whole.choices[0].text, whole.model, whole.usage
    else:
        text, label, usage = "", "", None
        for chunk in client.completions.create(
            model="",
            prompt=prompt,
            max_tokens=most,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        ):
            label, usage = chunk.model, chunk.usage or usage
            text += "".join(choice.text for choice in chunk.choices)
    assert usage is not None
    seen.add(key.id, usage.prompt_tokens, usage.completion_tokens)
    assert label in firm.may_answer(began, time.monotonic()), f"{label} answered and may not"
    assert set(text.split()) == {firm.marks[label]}, f"{label} answered {text!r}, not {firm.marks[label]!r}"


def _change(firms: list[SoakFirm], changes: Counter[str], stop: threading.Event) -> None:
    """One release after the other: live, on trial, back, retired and replaced."""
    dice = random.Random(1)
    while not stop.wait(2):
        firm = dice.choice(firms)
        live = firm.live
        other = dice.choice([version for version in firm.versions if version.id != live.id])
        what = dice.choice(["put live", "tried", "rolled back", "retired"])
        if what == "put live":
            firm.put_live(other)
        elif what == "tried":
            firm.try_out(other, dice.choice([5, 25, 50]))
            stop.wait(1)
            firm.withdraw(other)
        elif what == "rolled back":
            firm.put_live(other)
            firm.roll_back(live)
        else:
            firm.retire(other)
            firm.new_version()
        changes[what] += 1
    connections.close_all()


@contextmanager
def _threads(jobs: list[Callable[[], None]], stop: threading.Event, problems: list[str]) -> Iterator[None]:
    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as problem:
            problems.append(f"{type(problem).__name__}: {problem}")
            stop.set()

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def _watch(processes: list[psutil.Process], seconds: float, problems: list[str]) -> dict[str, list[int]]:
    """Resident bytes of each process, every few seconds, until the time is over or something went wrong."""
    sizes: dict[str, list[int]] = {str(process.cmdline()[2:4]): [] for process in processes}
    until = time.monotonic() + seconds
    while time.monotonic() < until and not problems:
        for process, found in zip(processes, sizes.values(), strict=True):
            found.append(process.memory_info().rss)
        time.sleep(min(5.0, seconds / 20))
    return sizes


def _wait_until_all_rows_are_closed(firms: list[SoakFirm]) -> None:
    deadline = time.monotonic() + 30
    while any(_is_open(firm) for firm in firms):
        assert time.monotonic() < deadline, "a request's row was never closed"
        time.sleep(0.2)


def _is_open(firm: SoakFirm) -> bool:
    with tenant_scope(firm.firm.tenant.id):
        return bool(UsageRow.objects.of(firm.firm.tenant.id).filter(status=None).exists())


def _every_token_is_counted_once(firms: list[SoakFirm], seen: Count) -> None:
    for firm in firms:
        tenant_id = firm.firm.tenant.id
        with tenant_scope(tenant_id):
            rows = list(UsageRow.objects.of(tenant_id).values_list("key_id", "tokens_in", "tokens_out"))
            hours = list(
                UsageHour.objects.of(tenant_id).values_list("key_id", "requests", "tokens_in", "tokens_out")
            )
        for key in firm.keys:
            wanted = (seen.requests[key.id], seen.tokens_in[key.id], seen.tokens_out[key.id])
            own = [row for row in rows if str(row[0]) == key.id]
            assert (len(own), sum(row[1] for row in own), sum(row[2] for row in own)) == wanted
            summed = [hour for hour in hours if str(hour[0]) == key.id]
            assert tuple(sum(hour[at] for hour in summed) for at in (1, 2, 3)) == wanted


def _is_flat(process: str, sizes: list[int]) -> None:
    """The last quarter is no larger than the second, but for a twentieth: what grows with time grows on."""
    quarter = len(sizes) // 4
    early, late = statistics.median(sizes[quarter : 2 * quarter]), statistics.median(sizes[-quarter:])
    print(f"{process}: {early / 1e6:.0f} MB in the second quarter, {late / 1e6:.0f} MB in the last")
    assert late < 1.05 * early + 16e6, f"{process} grew from {early} to {late} bytes"


def _adapter_bytes(base: Path) -> int:
    """What a marked adapter takes in the engine: three modules of one layer."""
    import json

    from tests.engines.marks import RANK

    config = json.loads((base / "config.json").read_text())
    return 4 * 3 * RANK * int(config["hidden_size"] + config["intermediate_size"])

"""What /metrics tells, exactly, and what it never tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serving.bench import Bench, load_model
from tests.serving.engines import RunningEngine
from workers.serving.llama import Llama
from workers.serving.metrics import Metrics

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def numbers(text: str) -> Numbers:
    """Every sample by name (without the prefix) and labels."""
    return {
        (sample.name.removeprefix("housestyle_engine_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(bench: Bench) -> Numbers:
    return numbers(bench.scheduler.metrics.text().decode())


def requests(found: Numbers) -> dict[tuple[str, str], float]:
    """By adapter and outcome."""
    return {
        (dict(labels)["adapter"], dict(labels)["outcome"]): value
        for (name, labels), value in found.items()
        if name == "requests_total"
    }


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Llama:
    return load_model(tiny_model)


@pytest.fixture
def bench(tiny_model: Path, model: Llama) -> Iterator[Bench]:
    bench = Bench(tiny_model, model, max_waiting=16)
    yield bench
    bench.close()


def test_counts_are_exact_after_many_requests(bench: Bench) -> None:
    bench.scheduler.start()
    lengths = [3, 70, 41, 1, 90, 12]
    asked = [
        bench.ask(list(range(1, length + 1)), max_tokens=number + 1, scope=b"a scope")
        for number, length in enumerate(lengths)
    ]
    for one in asked:
        one.wait()
    again = bench.ask(list(range(1, 91)), max_tokens=2, scope=b"a scope").wait()
    found = of(bench)
    assert requests(found) == {("base", "completed"): 7}
    assert found["prompt_tokens_total", ()] == sum(lengths) + 90
    chosen = [len(one.answer) for one in (*asked, again)]
    assert found["generated_tokens_total", ()] == sum(chosen)
    assert found["time_to_first_token_seconds_count", ()] == 7
    assert found["inter_token_seconds_count", ()] == sum(chosen) - 7
    assert found["prefix_queried_tokens_total", ()] == sum(lengths) + 90
    assert found["prefix_hit_tokens_total", ()] == bench.pool.hit_tokens >= 64
    assert found["requests_waiting", ()] == found["requests_running", ()] == 0
    assert found["kv_blocks", ()] == bench.pool.blocks
    assert (found["kv_blocks_used", ()], found["kv_blocks_idle", ()]) == (0, bench.pool.idle_blocks)
    assert found["step_sequences_sum", ()] >= found["generated_tokens_total", ()]


def test_it_tells_how_each_request_ended(bench: Bench) -> None:
    asked = [bench.ask() for _ in range(8)]
    with pytest.raises(Exception, match="Too many"):
        bench.ask()
    bench.scheduler.cancel(asked[0].sequence)
    asked[1].sequence.accept = None  # type: ignore[assignment,method-assign]  # a mistake in its own state
    assert of(bench)["requests_waiting", ()] == 8
    bench.scheduler.start()
    for one in asked:
        one.wait()
    ended = {"completed": 6, "cancelled": 1, "failed": 1, "refused": 1}
    assert requests(of(bench)) == {("base", outcome): count for outcome, count in ended.items()}


def test_times_are_from_arrival_and_from_token_to_token(bench: Bench) -> None:
    clock = Clock()
    metrics = Metrics(clock)
    sequence = bench.make([1, 2, 3]).sequence
    metrics.arrived(sequence)
    for seconds in (3.0, 0.25, 0.5):
        clock.now += seconds
        metrics.chose(sequence)
        sequence.tokens.append(7)
    metrics.ended(sequence, "completed")
    found = numbers(metrics.text().decode())
    assert found["time_to_first_token_seconds_sum", ()] == pytest.approx(3.0)
    assert found["inter_token_seconds_sum", ()] == pytest.approx(0.75)
    assert found["time_to_first_token_seconds_bucket", (("le", "2.0"),)] == 0
    assert found["time_to_first_token_seconds_bucket", (("le", "4.0"),)] == 1
    assert not metrics._since


def test_two_engines_count_apart(tiny_model: Path, model: Llama, bench: Bench) -> None:
    other = Bench(tiny_model, model)
    other.scheduler.start()
    other.ask().wait()
    other.close()
    assert requests(of(other)) == {("base", "completed"): 1}
    assert requests(of(bench)) == {}


def test_metrics_are_behind_the_token(narrow_engine: RunningEngine) -> None:
    refused = narrow_engine.http.get("/metrics", headers={"Authorization": "Bearer another"})
    assert refused.status_code == 401
    assert "housestyle_engine" not in refused.text
    told = narrow_engine.http.get("/metrics")
    assert told.status_code == 200
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_an_adapters_line_goes_with_the_adapter(
    narrow_engine: RunningEngine, adapters: dict[str, Path]
) -> None:
    base = requests(numbers(narrow_engine.http.get("/metrics").text)).get(("base", "completed"), 0)
    assert narrow_engine.load("lo-1", adapters["rank-16"]).status_code == 200
    assert narrow_engine.load("lo-2", adapters["rank-4"]).status_code == 200
    for name in ("lo-1", "lo-1", "lo-2", "base"):
        assert narrow_engine.complete(name, "The parties agree").status_code == 200
    found = numbers(narrow_engine.http.get("/metrics").text)
    expected = {("lo-1", "completed"): 2.0, ("lo-2", "completed"): 1.0, ("base", "completed"): base + 1}
    assert requests(found).items() >= expected.items()
    assert found["adapters", ()] == found["adapters_resident", ()] == 2
    assert found["adapter_bytes", ()] > 0
    assert found["adapter_hits_total", ()] >= 3
    assert narrow_engine.unload("lo-1").status_code == 200
    left = narrow_engine.http.get("/metrics").text
    assert "lo-1" not in left
    assert requests(numbers(left))["lo-2", "completed"] == 1
    assert narrow_engine.unload("lo-2").status_code == 200


def test_no_text_and_no_firm_is_in_the_numbers(narrow_engine: RunningEngine) -> None:
    secret = "Wintermute v. Neuromancer"
    assert narrow_engine.complete("base", secret, cache_salt="firm-4711").status_code == 200
    told = narrow_engine.http.get("/metrics").text
    assert "Wintermute" not in told
    assert "4711" not in told


def test_prefixes_are_shared_by_one_firms_requests_on_one_load(
    narrow_engine: RunningEngine, adapters: dict[str, Path]
) -> None:
    prompt = list(range(200, 300))  # 96 of them are whole blocks

    def hits(model: str, salt: str | None) -> float:
        def told() -> float:
            return numbers(narrow_engine.http.get("/metrics").text)["prefix_hit_tokens_total", ()]

        before = told()
        assert narrow_engine.complete(model, prompt, cache_salt=salt).status_code == 200
        return told() - before

    assert [hits("base", "firm a"), hits("base", "firm a"), hits("base", "firm b")] == [0, 96, 0]
    assert [hits("base", None), hits("base", None), hits("base", ""), hits("base", "")] == [0, 0, 0, 0]
    for _ in range(2):  # the name again, and nothing that was read under it before
        assert narrow_engine.load("lo-3", adapters["rank-16"]).status_code == 200
        assert [hits("lo-3", "firm a"), hits("lo-3", "firm a")] == [0, 96]
        assert narrow_engine.unload("lo-3").status_code == 200

"""How answers look and end: streaming, stop strings, seeds, usage, clients that leave."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.serving.engines import TOKEN, RunningEngine, running_engine
from tests.serving.test_requests import refusal

PROMPT = "The parties agree that"


def stream(engine: RunningEngine, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Every event of a streamed answer; it must be told as finished."""
    with engine.http.stream("POST", path, json={**body, "stream": True}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        data = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert data[-1] == "[DONE]"
    return [json.loads(line) for line in data[:-1]]


@pytest.mark.parametrize("model", ["base", "rank-16"])
def test_streaming_says_what_the_whole_answer_says(engine: RunningEngine, model: str) -> None:
    whole = engine.chat(model, PROMPT, max_tokens=20).json()
    body = {
        "model": model,
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": 20,
        "temperature": 0,
    }
    events = stream(engine, "/v1/chat/completions", body)
    assert all(event["model"] == model and event["object"] == "chat.completion.chunk" for event in events)
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
    assert text == whole["choices"][0]["message"]["content"]
    assert events[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"] == "length"
    assert all("usage" not in event for event in events)


def test_usage_is_streamed_when_asked_for(engine: RunningEngine) -> None:
    body = {"model": "base", "prompt": PROMPT, "max_tokens": 5, "temperature": 0}
    events = stream(engine, "/v1/completions", {**body, "stream_options": {"include_usage": True}})
    assert all(event["usage"] is None for event in events[:-1])
    assert events[-1]["choices"] == []
    assert events[-1]["usage"] == engine.complete("base", PROMPT, max_tokens=5).json()["usage"]


def test_usage_counts_tokens(engine: RunningEngine) -> None:
    usage = engine.complete("base", [5, 6, 7], max_tokens=4).json()["usage"]
    assert usage == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_max_completion_tokens_is_the_newer_name_of_max_tokens(engine: RunningEngine) -> None:
    answer = engine.chat("base", PROMPT, max_tokens=None, max_completion_tokens=3).json()
    assert answer["usage"]["completion_tokens"] == 3


def test_an_answer_ends_before_a_stop_string_streaming_and_whole(engine: RunningEngine) -> None:
    text = engine.complete("base", PROMPT, max_tokens=30).json()["choices"][0]["text"]
    stop = text[12:17]
    wanted = text[: text.index(stop)]
    whole = engine.complete("base", PROMPT, max_tokens=30, stop=["never in there", stop]).json()["choices"][0]
    assert (whole["text"], whole["finish_reason"]) == (wanted, "stop")
    body = {"model": "base", "prompt": PROMPT, "max_tokens": 30, "temperature": 0, "stop": stop}
    events = stream(engine, "/v1/completions", body)
    assert "".join(event["choices"][0]["text"] for event in events) == wanted
    assert events[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_seed_repeats_an_answer_and_another_gives_another(engine: RunningEngine) -> None:
    def ask(seed: int) -> str:
        settings = {"seed": seed, "temperature": 1.2, "top_p": 0.95, "max_tokens": 20}
        return str(engine.complete("rank-16", PROMPT, **settings).json()["choices"][0]["text"])

    assert ask(7) == ask(7) != ask(8)


def test_sampling_without_a_seed_varies(engine: RunningEngine) -> None:
    asked = (engine.complete("base", PROMPT, temperature=1, max_tokens=12).json() for _ in range(4))
    assert len({answer["choices"][0]["text"] for answer in asked}) > 1


def test_a_tiny_temperature_and_a_tiny_nucleus_are_greedy(engine: RunningEngine) -> None:
    greedy = engine.complete("base", PROMPT).json()["choices"]
    assert engine.complete("base", PROMPT, temperature=1e-30).json()["choices"] == greedy
    assert engine.complete("base", PROMPT, temperature=1, top_p=1e-9).json()["choices"] == greedy


def test_the_official_client_is_answered_streaming_and_not(engine: RunningEngine) -> None:
    with openai.OpenAI(base_url=f"{engine.url}/v1", api_key=TOKEN, max_retries=0) as client:
        assert "rank-4" in {model.id for model in client.models.list()}
        whole = client.chat.completions.create(
            model="rank-4", messages=[{"role": "user", "content": PROMPT}], max_tokens=10, temperature=0
        )
        assert whole.model == "rank-4"
        pieces = client.chat.completions.create(
            model="rank-4",
            messages=[{"role": "user", "content": PROMPT}],
            max_tokens=10,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        text, usage = "", None
        for piece in pieces:
            assert piece.model == "rank-4"
            text += "".join(choice.delta.content or "" for choice in piece.choices)
            usage = piece.usage
        assert text == whole.choices[0].message.content
        assert usage == whole.usage
        assert client.completions.create(model="base", prompt=PROMPT, max_tokens=3).choices[0].finish_reason
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="unknown", messages=[{"role": "user", "content": PROMPT}])
    with (
        openai.OpenAI(base_url=f"{engine.url}/v1", api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()


@pytest.fixture(scope="module")
def narrow(tiny_model: Path, adapters: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An engine with one place and a context so long that no test outlives an answer that fills it."""
    folder = tmp_path_factory.mktemp("endless") / tiny_model.name  # adapters tell their base by its name
    folder.mkdir()
    for path in tiny_model.iterdir():
        (folder / path.name).symlink_to(path)
    config = json.loads((tiny_model / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 1_000_000}))
    with running_engine(folder, "--max-num-seqs", "1", "--max-loras", "2") as running:
        assert running.load("rank-16", adapters["rank-16"]).status_code == 200
        yield running


def endless(model: str = "base") -> dict[str, Any]:
    return {"model": model, "prompt": PROMPT, "max_tokens": 900_000, "temperature": 0}


def wait_for_load(engine: RunningEngine, load: int) -> None:
    deadline = time.monotonic() + 90  # an endless answer takes far longer than this
    while engine.load_now() > load:
        assert time.monotonic() < deadline, "the place was not freed"
        time.sleep(0.05)


def test_a_client_that_leaves_a_stream_frees_its_place(narrow: RunningEngine) -> None:
    with narrow.http.stream("POST", "/v1/completions", json={**endless(), "stream": True}) as response:
        assert response.status_code == 200
        lines = response.iter_lines()  # kept: httpx hangs up once nobody holds it
        next(lines)
        assert narrow.load_now() == 1
    wait_for_load(narrow, 0)
    assert narrow.complete("base", PROMPT).status_code == 200


def test_a_client_that_stops_waiting_for_a_whole_answer_frees_its_place(narrow: RunningEngine) -> None:
    with pytest.raises(httpx.ReadTimeout):
        narrow.http.post("/v1/completions", json=endless(), timeout=httpx.Timeout(30, read=1))
    wait_for_load(narrow, 0)


def test_a_request_waits_for_its_place_and_may_leave_the_queue(narrow: RunningEngine) -> None:
    with narrow.http.stream("POST", "/v1/completions", json={**endless(), "stream": True}) as response:
        lines = response.iter_lines()  # kept, as above
        next(lines)
        with pytest.raises(httpx.ReadTimeout):
            narrow.http.post("/v1/completions", json=endless(), timeout=httpx.Timeout(30, read=1))
        wait_for_load(narrow, 1)
    wait_for_load(narrow, 0)


def test_a_request_in_flight_on_an_unloaded_adapter_finishes_first(
    narrow: RunningEngine, adapters: dict[str, Path]
) -> None:
    wanted = narrow.complete("rank-16", PROMPT, max_tokens=400).json()["choices"][0]["text"]
    unloaded = threading.Event()

    def unload() -> None:
        assert narrow.unload("rank-16").status_code == 200
        unloaded.set()

    body = {**endless("rank-16"), "max_tokens": 400, "stream": True}
    with narrow.http.stream("POST", "/v1/completions", json=body) as response:
        lines = response.iter_lines()
        events = [next(lines)]
        unloading = threading.Thread(target=unload)
        unloading.start()
        while "rank-16" in narrow.http.get("/v1/models").text:
            pass
        assert narrow.complete("rank-16", PROMPT).status_code == 404  # new requests find it gone at once
        events += list(lines)
    unloading.join(30)
    assert unloaded.is_set()
    chunks = [json.loads(line.removeprefix("data: ")) for line in events if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == wanted
    assert narrow.load("rank-16", adapters["rank-16"]).status_code == 200


def test_an_adapter_beyond_the_places_is_refused(narrow: RunningEngine, adapters: dict[str, Path]) -> None:
    assert narrow.load("second", adapters["rank-4"]).status_code == 200
    assert refusal(narrow.load("third", adapters["rank-4"]), 507)["code"] == "no_place"
    assert narrow.unload("second").status_code == 200

"""Whatever is sent to `/v1`: never a 500, always OpenAI's shape, and everything works on afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.live import Web, own_words
from tests.users.bodies import RAW, SCHEMAS, bodies

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("web")]

PROMPT = "Put the citations of this passage into our house style."
ROUTES = ["chat/completions", "completions"]
PATHS = [
    *ROUTES,
    "models",
    "models/briefs",
    "embeddings",
    "load_lora_adapter",
    "",
    "%2e%2e",
    "completions/",
    "models/%2f",
]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "BREW"]

bounded = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture
def http(web: Web, key: str) -> Any:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with httpx.Client(base_url=web.openai_url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture(autouse=True)
def everything_works_on(web: Web, http: httpx.Client, styles: list[Path]) -> Any:
    """The web and the engine live, nothing is left running, and the adapter answers as ever."""
    yield
    assert web.engine.process.poll() is None
    while web.engine.load_now():
        pass
    body = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 12, "temperature": 0}
    answer = http.post("/chat/completions", json=body).json()
    assert answer["choices"][0]["message"]["content"] == own_words(web.engine, styles[0], PROMPT)


def check(response: httpx.Response) -> None:
    """Answered, or refused with a sentence that a program can read."""
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        check_refusal(response.json())
    elif response.headers["Content-Type"].startswith("text/event-stream"):
        lines = [
            line.removeprefix("data: ") for line in response.text.split("\n") if line.startswith("data:")
        ]
        if "error" in lines[-1]:
            check_refusal(json.loads(lines.pop()))
        else:
            assert lines.pop() == "[DONE]"
        assert all(json.loads(line)["object"] for line in lines)
    else:
        assert response.json()["object"]


def check_refusal(body: dict[str, Any]) -> None:
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str) and error["message"].endswith((".", "…”."))
    assert "server_error" not in (error["type"], error["code"])


def fuzz(count: int, *what: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], None]:
    """Runs what it decorates on so many examples: pytest's fixtures outlive them all."""

    def run(body: Callable[..., None]) -> None:
        settings(bounded, max_examples=count)(given(*what)(body))()

    return run


@pytest.mark.parametrize("route", ROUTES)
def test_any_body_is_answered_or_refused(http: httpx.Client, route: str) -> None:
    @fuzz(100, bodies(route))
    def ask(body: dict[str, Any]) -> None:
        check(http.post(f"/{route}", content=json.dumps(body)))


def test_any_schema_is_held_to_or_refused(http: httpx.Client) -> None:
    def ask(schema: Any) -> int:
        wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        body = {"prompt": "The court", "max_tokens": 4, "response_format": wanted}
        response = http.post("/completions", content=json.dumps(body))
        check(response)
        return response.status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, SCHEMAS)) == {200, 400}


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_hardly_json_is_refused(http: httpx.Client, route: str) -> None:
    for raw in RAW:
        response = http.post(f"/{route}", content=raw)
        check(response)
        assert response.status_code in (400, 413), raw[:60]

    @fuzz(30, st.binary(max_size=200))
    def ask(raw: bytes) -> None:
        check(http.post(f"/{route}", content=raw))


def test_any_method_path_and_header_is_answered_or_refused(http: httpx.Client) -> None:
    paths = st.sampled_from(PATHS) | st.text(max_size=20).map(
        lambda text: quote(text, safe="", errors="replace")
    )
    values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=40).map(str.strip)
    names = st.sampled_from(
        ["Authorization", "Content-Type", "Accept", "Content-Encoding", "Expect", "Range"]
    )

    @fuzz(100, st.sampled_from(METHODS), paths, st.dictionaries(names, values, max_size=2))
    def ask(method: str, path: str, headers: dict[str, str]) -> None:
        raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        response = http.request(method, f"/{path}", content=b"{}", headers=raw)
        if method == "HEAD":
            assert response.status_code < 500
        else:
            check(response)

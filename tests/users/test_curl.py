"""curl, as the guide to the API shows it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live import Web, own_words

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("web"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here"),
]

PROMPT = "Put the citations of this passage into our house style."
BODY = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 12, "temperature": 0}


def curl(url: str, key: str, body: str, *options: str) -> tuple[int, str, str]:
    """The status, the type of content and the answer to a POST of `body`."""
    command = ["curl", "--silent", "--show-error", "--max-time", "60", *options, url]
    command += ["-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json", "-d", "@-"]
    command += ["--write-out", "\n%{http_code} %{content_type}"]
    done = subprocess.run(command, input=body, capture_output=True, text=True, check=True)
    answer, _, told = done.stdout.rpartition("\n")
    status, _, kind = told.partition(" ")
    return int(status), kind, answer


def error_of(answer: str) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(answer)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_it_is_answered(web: Web, key: str, styles: list[Path]) -> None:
    status, kind, answer = curl(f"{web.openai_url}/chat/completions", key, json.dumps(BODY))
    assert (status, kind) == (200, "application/json")
    said = json.loads(answer)
    assert said["model"] == "briefs@1"
    assert said["choices"][0]["message"]["content"] == own_words(web.engine, styles[0], PROMPT)


def test_it_is_answered_in_pieces(web: Web, key: str, styles: list[Path]) -> None:
    body = json.dumps({**BODY, "stream": True})
    status, kind, answer = curl(f"{web.openai_url}/chat/completions", key, body, "--no-buffer")
    assert (status, kind) == (200, "text/event-stream")
    *events, done = [line.removeprefix("data: ") for line in answer.splitlines() if line]
    assert done == "[DONE]"
    pieces = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events]
    assert len(pieces) > 3
    assert "".join(pieces) == own_words(web.engine, styles[0], PROMPT)


def test_a_wrong_key_is_told_so(web: Web, key: str) -> None:
    status, _, answer = curl(f"{web.openai_url}/chat/completions", key[:-1], json.dumps(BODY))
    assert (status, error_of(answer)["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("body", ["", "{", '{"messages": [}', "[]", "\x00"], ids=repr)
def test_what_is_no_json_object_is_told_so(web: Web, key: str, body: str) -> None:
    status, _, answer = curl(f"{web.openai_url}/completions", key, body)
    assert (status, error_of(answer)["code"]) == (400, "invalid_json")


def test_a_single_backslash_too_few_does_not_go_unnoticed(web: Web, key: str) -> None:
    body = '{"prompt": "a path C:\\users", "max_tokens": 1}'
    status, _, answer = curl(f"{web.openai_url}/completions", key, body)
    assert (status, error_of(answer)["code"]) == (400, "invalid_json")

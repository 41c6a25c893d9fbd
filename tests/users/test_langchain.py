"""LangChain's ChatOpenAI, in an environment of its own: its newest wants other packages than ours are."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import peers_python
from tests.live import Web, own_words

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("web"),
    pytest.mark.peers,  # it is installed first
]

PACKAGES = ["langchain-openai==1.7.4", "openai==3.54.0"]
PROMPTS = ["Put this citation into our house style.", "Who decides?", "The court held"]


def ask(web: Web, key: str) -> dict[str, Any]:
    script = Path(__file__).with_name("langchain_client.py")
    command = [str(peers_python("langchain", PACKAGES)), str(script), web.openai_url, key, *PROMPTS]
    environment = {**os.environ, "LANGSMITH_TRACING": "false"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_chat_openai_is_answered_in_every_way_it_asks(web: Web, key: str, styles: list[Path]) -> None:
    expected = [own_words(web.engine, styles[0], prompt) for prompt in PROMPTS]
    said = ask(web, key)
    assert (said["invoke"], said["model"]) == (expected[0], "briefs@1")
    assert said["async"] == expected[0]
    assert said["batch"] == expected
    assert "".join(said["stream"]) == said["system"] != expected[0]
    assert len([piece for piece in said["stream"] if piece]) > 3
    assert said["usage"]["output_tokens"] == 12
    (usage,) = said["stream_usage"]
    assert usage == said["system_usage"] and usage["output_tokens"] == 12
    assert set(said["structured"]) == {"court", "overruled"}
    assert said["refused"] == "model_not_found"

"""HOUSESTYLE_ENGINES: what it says, and one sentence for each thing that is wrong with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.models import ROOT
from webapp.serving.engine_settings import EngineSettingsError, Kind, Replica, parse
from workers.supervisor import engines
from workers.supervisor.errors import StartError


def test_engines_are_named_by_kind_and_address() -> None:
    words = "here=embedded:http://127.0.0.1:8801, big-one=vllm:https://vllm.internal:8000/?slots=32,"
    environment = {"HOUSESTYLE_ENGINE_TOKEN_BIG_ONE": "its own"}
    assert parse(words, environment, shared_token="shared") == (
        Replica("here", Kind.EMBEDDED, "http://127.0.0.1:8801", "shared"),
        Replica("big-one", Kind.VLLM, "https://vllm.internal:8000", "its own", 32),
    )


@pytest.mark.parametrize("words", ["", "  ", " , "])
def test_nothing_said_names_none(words: str) -> None:
    assert parse(words, {}) == ()


def test_of_a_vllm_two_slots_are_kept() -> None:
    """One for the base, one that stays free."""
    (replica,) = parse("a=vllm:http://a:1?slots=32", {})
    assert replica.places == 30
    (replica,) = parse("a=embedded:http://a:1", {})
    assert replica.places is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("http://127.0.0.1:8801", "write name=kind:address"),
        ("A=embedded:http://a:1", "begin with a small letter"),
        ("a=triton:http://a:1", "is “triton”: an engine is embedded or vllm"),
        ("a=embedded:a:1", "gives a the address “a:1”"),
        ("a=embedded:http://a:99999", "write http:// or https://"),
        ("a=embedded:http://a:1/v1", "nothing of a user or a path"),
        ("a=embedded:http://me:secret@a:1", "“http://…@a:1”"),
        ("a=embedded:http://a:1?slots=8", "counts its own"),
        ("a=embedded:http://a:1?token=x", "only slots can be said"),
        ("a=vllm:http://a:1", "must say how many slots a has"),
        ("a=vllm:http://a:1?slots=2", "3 or more"),
        ("a=vllm:http://a:1?slots=many", "must say how many slots"),
        ("a=embedded:http://a:1,a=embedded:http://b:1", "name “a” twice"),
        ("a=embedded:http://a:1,b=vllm:http://a:1?slots=9", "address “http://a:1” twice"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(words: str, sentence: str) -> None:
    with pytest.raises(EngineSettingsError) as wrong:
        parse(words, {})
    (problem,) = wrong.value.problems
    assert sentence in problem
    assert problem.endswith(".")
    assert "secret" not in problem


def test_every_problem_is_said_at_once() -> None:
    with pytest.raises(EngineSettingsError) as wrong:
        parse("A=triton:nowhere, b=vllm:http://b:1", {})
    assert len(wrong.value.problems) == 4


def test_a_token_is_never_shown() -> None:
    (replica,) = parse("a=embedded:http://a:1", {}, shared_token="hush")
    assert "hush" not in repr(replica)


def test_the_web_does_not_start_with_engines_that_are_none() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import webapp.settings"],
        cwd=ROOT,
        env={"HOUSESTYLE_ENGINES": "a=vllm:http://a:1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "HOUSESTYLE_ENGINES must say how many slots a has" in done.stderr.splitlines()[-1]


def test_the_supervisor_starts_the_engine_that_is_named_at_its_port_and_no_other() -> None:
    assert engines.own({}, 8801).started
    named = {
        "HOUSESTYLE_ENGINES": "here=embedded:http://127.0.0.1:8801,big=vllm:http://vllm:8000?slots=9",
        "HOUSESTYLE_ENGINE_TOKEN_HERE": "its own",
    }
    assert engines.own(named, 8801) == engines.Own(started=True, token="its own")
    assert not engines.own(named, 8901).started
    with pytest.raises(StartError, match="name=kind:address"):
        engines.own({"HOUSESTYLE_ENGINES": "nonsense"}, 8801)

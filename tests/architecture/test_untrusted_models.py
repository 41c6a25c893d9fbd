"""Promises about models and adapters that somebody else wrote: nothing of theirs is unpickled or run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import ROOT

SHIPPED = sorted(path for folder in ("webapp", "workers") for path in (ROOT / folder).rglob("*.py"))
# Modules that read pickles, and functions of others that do.
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNPICKLING = {"torch.load", "torch.jit.load", "numpy.load", "np.load", "torch.hub.load"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imported(module: ast.Module) -> Iterator[str]:
    """Modules by the first part of their names, and what is taken from them by its full name."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def calls(module: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(module) if isinstance(node, ast.Call))


def test_the_code_that_ships_is_looked_at() -> None:
    assert ROOT / "workers" / "engine" / "general" / "base.py" in SHIPPED


def unpickles(module: ast.Module) -> bool:
    names = {*imported(module), *(ast.unparse(call.func) for call in calls(module))}
    return bool(names & (PICKLES | UNPICKLING))


def test_nothing_is_ever_unpickled() -> None:
    assert [str(path.relative_to(ROOT)) for path in SHIPPED if unpickles(tree(path))] == []


def test_no_code_that_comes_with_a_model_is_trusted() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in SHIPPED
        for call in calls(tree(path))
        for keyword in call.keywords
        if keyword.arg == "trust_remote_code"
        and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
    ]
    assert found == []


def test_models_are_read_from_safetensors_only() -> None:
    """AutoModel would take a pickle where there is nothing else. convert.py names the GGUF file it reads."""
    reading = [
        (path, call)
        for path in SHIPPED
        for call in calls(tree(path))
        if ast.unparse(call.func).endswith("AutoModelForCausalLM.from_pretrained")
    ]
    assert reading
    for path, call in reading:
        said = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        safe = said.get("use_safetensors") == "True" or path.name == "convert.py"
        assert safe and said.get("trust_remote_code") == "False", f"{path.relative_to(ROOT)}:{call.lineno}"


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("import pickle", True),
        ("from torch import load", True),
        ("torch.load('x')", True),
        ("import json; json.load(file)", False),
    ],
)
def test_the_search_finds_what_it_looks_for(text: str, caught: bool) -> None:
    assert unpickles(ast.parse(text)) == caught

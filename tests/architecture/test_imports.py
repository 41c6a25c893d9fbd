"""Who may import whom, and whether what is imported is declared."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.models import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"webapp", "workers", "tests", "benchmarks"}


def declared(*extras: str) -> set[str]:
    listed = list(PROJECT["dependencies"])
    for extra in extras:
        listed += PROJECT["optional-dependencies"][extra]
    return {normal(re.split(r"[\[<>=~! ]", line, maxsplit=1)[0]) for line in listed}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# One makes files for the repository, on a developer's machine; one runs in an environment of its own.
TOOLS = {ROOT / "webapp" / "demo" / "make_files.py", ROOT / "tests" / "users" / "langchain_client.py"}


def imported(folder: Path) -> dict[str, Path]:
    """Top-level modules of others that the files below `folder` import, each with one file that does."""
    found: dict[str, Path] = {}
    for path in set(folder.rglob("*.py")) - TOOLS:
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                if top not in OURS and top not in sys.stdlib_module_names:
                    found.setdefault(top, path)
    return found


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("webapp", ("embedded",)),
        ("workers", ("worker", "embedded")),
        ("tests", ("worker", "embedded", "dev")),
    ],
)
def test_every_import_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    distributions = packages_distributions()
    allowed = declared(*extras)
    missing = {
        module: str(path.relative_to(ROOT))
        for module, path in imported(ROOT / folder).items()
        if not any(normal(name) in allowed for name in distributions.get(module, [module]))
    }
    assert missing == {}


def test_every_declared_package_is_pinned() -> None:
    pinned = {
        normal(line.split("==")[0])
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    assert declared("worker", "nf4", "embedded", "dev") - pinned - {"housestyle"} == set()


def test_the_rules_of_imports_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout

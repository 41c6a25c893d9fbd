"""Promises about what a process loads, asked of clean interpreters."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.models import ROOT

MODEL_LIBRARIES = {"torch", "transformers", "peft", "safetensors", "tokenizers"}


def loaded_by(statements: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after `statements`."""
    program = f"{statements}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "webapp.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "entry",
    [
        # Asking for the URL patterns imports every view, serialiser and form.
        "import webapp.asgi; from django.urls import get_resolver; get_resolver().url_patterns",
        "import webapp.celery",
        "import workers.app",
        "import workers.supervisor.__main__",
        "import workers.supervisor.one",
        "import workers.extraction.read",
    ],
)
def test_it_starts_without_the_model_libraries(entry: str) -> None:
    assert loaded_by(entry) & MODEL_LIBRARIES == set()


@pytest.mark.parametrize(
    "entry",
    [
        "import workers.extraction.read",
        "import workers.supervisor.__main__",
        "import webapp.core.embedded",
        "import webapp.training.spec",
        "import webapp.training.estimate",
        "import workers.serving.__main__",
        "import workers.engine.child",
    ],
)
def test_it_starts_without_django(entry: str) -> None:
    assert loaded_by(entry) & {"django", "celery", "rest_framework"} == set()


@pytest.mark.parametrize("module", ["spec", "estimate", "estimate.known"])
def test_the_training_spec_and_the_estimator_are_standard_library_only(module: str) -> None:
    outside = loaded_by(f"import webapp.training.{module}") - set(sys.stdlib_module_names) - {"webapp"}
    assert outside & {"django", "pydantic", "numpy", "torch", "httpx"} == set()

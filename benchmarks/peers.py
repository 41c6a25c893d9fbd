"""Environments of the peers, apart from the project's own: made once, and anew when their packages change."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.product import ROOT

ENVIRONMENTS = ROOT / ".venv-peers"


def peers_python(name: str, packages: Sequence[str], constraints: Path | None = None) -> Path:
    """The Python of the environment `name` with these packages; what they need is held to `constraints`."""
    folder = ENVIRONMENTS / name
    python, mark = folder / "bin" / "python", folder / "installed"
    wanted = "\n".join(packages)
    if mark.exists() and mark.read_text() == wanted:
        return python
    print(f"Installing {', '.join(packages)} into {folder.relative_to(ROOT)}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    subprocess.run(pip if constraints is None else [*pip, "--constraint", str(constraints)], check=True)
    mark.write_text(wanted)
    return python

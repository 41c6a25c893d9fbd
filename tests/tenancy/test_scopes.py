"""Whoever opens a firm's transaction says who looks: no page, API or worker can forget it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.models import ROOT

# Where nobody looks: what these do concerns no matter that anybody could be screened off yet.
WITHOUT_A_VIEWER = {
    "webapp/core/jobs/services.py": "a heartbeat renews one job's lease",
    "webapp/demo/services.py": "the demo firms are made by the operator",
    "webapp/tenants/management/commands/create_firm.py": "a firm is made by the operator",
    "webapp/tenants/services.py": "a firm is made by the operator",
}

# Outside of services.
WHOLE_FIRM = {
    "webapp/serving/selectors.py": "which versions engines must hold: asked by workers",
    "webapp/serving/shadow.py": "what a copy came to is recorded, whoever asked",
    "webapp/tenants/matters.py": "a matter's number is one in the whole firm",
    "webapp/tenants/selectors.py": "which events of the log are to be hidden",
    "webapp/usage/selectors.py": "a budget counts every request, whoever may know of its adapter",
    "webapp/usage/texts.py": "the firm's key seals a text, whoever asked",
    "webapp/usage/upkeep.py": "a beat task ends what dead processes left",
}


def calls(folder: str, name: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call of `name` below a folder, with the file it is in."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield str(Path(path).relative_to(ROOT)), node


def test_the_web_always_says_who_looks() -> None:
    silent = {
        path
        for path, call in calls("webapp", "tenant_scope")
        if not any(keyword.arg == "viewer" for keyword in call.keywords)
    }
    assert silent == set(WITHOUT_A_VIEWER)


def test_workers_see_the_whole_firm() -> None:
    assert [path for path, _ in calls("workers", "tenant_scope")] == []
    assert len(list(calls("workers", "firm_scope"))) >= 5


def test_no_view_sees_the_whole_firm() -> None:
    """A service may, for a rule that holds for all of the firm; what it reads so must not reach a person."""
    whole = {path for path, _ in calls("webapp", "firm_scope")}
    assert whole
    assert not [path for path in whole if "/services" not in path and path not in WHOLE_FIRM]

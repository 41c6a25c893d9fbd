"""The engine serves one base model: adapters of another are neither put live nor loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Firm
from tests.factories import approved
from webapp.adapters.models import AdapterVersion
from webapp.core.errors import Conflict, Unavailable
from webapp.core.tenancy import tenant_scope
from webapp.serving import selectors, services
from webapp.serving.engine import loading
from webapp.serving.engine.targets import Target
from webapp.serving.engine_settings import Kind, Replica

SERVED, OTHER = "a" * 64, "b" * 64


@pytest.fixture(autouse=True)
def served(settings: Any, tmp_path: Path) -> None:
    """A prepared base, as far as the web reads one."""
    about = {"name": "served", "revision": SERVED, "chat_template_sha256": "c" * 64}
    (tmp_path / "housestyle.json").write_text(json.dumps(about))
    settings.BASE_MODEL_DIR = tmp_path


def approved_of(firm: Firm, revision: str) -> AdapterVersion:
    version = approved(firm, by=firm.alice, approver=firm.bob)
    version.run.base_model, version.run.base_revision = "tiny-other", revision
    with tenant_scope(firm.tenant.id):
        version.run.save()
    return version


def test_an_adapter_of_another_base_is_not_put_live(firm: Firm) -> None:
    version = approved_of(firm, OTHER)
    with tenant_scope(firm.tenant.id):
        with pytest.raises(Conflict, match=r"does not serve \(tiny-other, b{12}\)"):
            services.put_live(member=firm.bob, version=version)
        assert selectors.live(firm.tenant.id) is None


def test_an_adapter_of_the_served_base_is_put_live(firm: Firm) -> None:
    version = approved_of(firm, SERVED)
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=version)
        assert selectors.live_version(firm.tenant.id) == version


def test_what_was_live_stays_live_when_another_is_refused(firm: Firm) -> None:
    first, second = approved_of(firm, SERVED), approved_of(firm, OTHER)
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.bob, version=first)
        with pytest.raises(Conflict):
            services.put_live(member=firm.bob, version=second)
        assert selectors.live_version(firm.tenant.id) == first


def test_the_engine_is_never_asked_to_load_an_adapter_of_another_base(firm: Firm) -> None:
    """Of equal sizes it would load, and answer nonsense."""
    version = approved_of(firm, OTHER)

    nobody = Replica("engine", Kind.EMBEDDED, "http://127.0.0.1:1", "token")
    with pytest.raises(Unavailable, match="belongs to another base model"):
        loading.load(nobody, Target.of(version))

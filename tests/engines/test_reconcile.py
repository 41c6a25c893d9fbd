"""Engines are brought to hold what is live or on trial in all firms, and let go what nobody needs."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command

from tests.conftest import Firm
from tests.engines.stand_in import StandIn, standing_in
from tests.live import learned
from tests.models import tiny_model_folder
from webapp.adapters.models import AdapterVersion
from webapp.core import storage
from webapp.core.tenancy import tenant_scope
from webapp.serving import reconcile, rollouts, services
from webapp.serving.empty_adapter import EMPTY
from webapp.serving.engine.targets import WEIGHTS
from webapp.serving.engine_settings import Kind, Replica

OTHERS = "lo-" + "f" * 32  # a version that is neither live nor on trial


@pytest.fixture(scope="module")
def started() -> Iterator[list[StandIn]]:
    with ExitStack() as stack:
        yield [stack.enter_context(standing_in(name)) for name in ("one", "two")]


@pytest.fixture
def engines(started: list[StandIn], settings: Any) -> list[StandIn]:
    """An embedded engine and a vLLM with two places."""
    one, two = started
    settings.ENGINES = (
        Replica(f"e{uuid.uuid4().hex[:8]}", Kind.EMBEDDED, one.url, "token"),
        Replica(f"v{uuid.uuid4().hex[:8]}", Kind.VLLM, two.url, "token", 4),
    )
    settings.BASE_MODEL_DIR = tiny_model_folder()
    return [each.reset() for each in started]


@pytest.fixture
def style(tmp_path: Path) -> Path:
    """Files that a stand-in would load."""
    (tmp_path / WEIGHTS).write_bytes(b"weights")
    return tmp_path


def live(firm: Firm, style: Path, *, by: str = "alice", approver: str = "bob") -> AdapterVersion:
    version = learned(firm, style, by=firm.people[by], approver=firm.people[approver])
    with tenant_scope(firm.tenant.id):
        services.put_live(member=firm.people[approver], version=version)
    return version


@pytest.fixture
def versions(firm: Firm, other_firm: Firm, style: Path) -> list[AdapterVersion]:
    """What is live in two firms."""
    return [live(firm, style), live(other_firm, style, by="carol", approver="dave")]


def files_of(version: AdapterVersion) -> Path:
    return storage.adapter_dir(version.tenant_id, version.id)


def used(name: str, seconds_ago: float, settings: Any) -> None:
    """Note a use of the name on every engine."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        for replica in settings.ENGINES:
            client.zadd(f"housestyle:engine:{replica.name}:last", {name: time.time() - seconds_ago})


def test_every_engine_comes_to_hold_what_is_live(
    engines: list[StandIn], versions: list[AdapterVersion]
) -> None:
    names = {version.engine_name for version in versions}
    reconcile.reconcile()
    assert set(engines[0].adapters) == names
    assert set(engines[1].adapters) == names | {EMPTY}
    assert {Path(path) for path in engines[0].adapters.values()} == {files_of(row) for row in versions}
    assert all(held.in_order for held in reconcile.survey())


def test_a_restarted_engine_is_told_again_and_one_that_knows_all_is_left_alone(
    engines: list[StandIn], versions: list[AdapterVersion]
) -> None:
    reconcile.reconcile()
    engines[0].forget()
    reconcile.reconcile()
    assert [engine.loads for engine in engines] == [4, 3]
    assert len(engines[0].adapters) == 2


def test_what_is_on_trial_is_held_too(
    engines: list[StandIn], firm: Firm, versions: list[AdapterVersion], style: Path
) -> None:
    trial = learned(firm, style, by=firm.alice, approver=firm.bob)
    with tenant_scope(firm.tenant.id):
        rollouts.send_share(member=firm.bob, version=trial, share=5)
    reconcile.reconcile()
    assert trial.engine_name in engines[0].adapters


def test_what_was_taken_off_goes_once_it_was_not_used_for_a_while(
    engines: list[StandIn], firm: Firm, versions: list[AdapterVersion], settings: Any
) -> None:
    reconcile.reconcile()
    with tenant_scope(firm.tenant.id):
        services.take_off(member=firm.bob)
    used(versions[0].engine_name, 60, settings)
    reconcile.reconcile()
    assert all(versions[0].engine_name in engine.adapters for engine in engines)
    used(versions[0].engine_name, reconcile.KEPT_SECONDS + 1, settings)
    reconcile.reconcile()
    assert not any(versions[0].engine_name in engine.adapters for engine in engines)
    assert all(versions[1].engine_name in engine.adapters for engine in engines)


def test_names_that_others_gave_are_left_alone(
    engines: list[StandIn], versions: list[AdapterVersion]
) -> None:
    for engine in engines:
        engine.adapters = {"theirs": "/a", OTHERS: "/b"}
    reconcile.reconcile()
    for engine in engines:
        assert "theirs" in engine.adapters
        assert OTHERS not in engine.adapters


def test_a_vllm_with_fewer_places_holds_what_fits_and_never_more(
    engines: list[StandIn], firm: Firm, versions: list[AdapterVersion], settings: Any
) -> None:
    settings.ENGINES = (Replica("small", Kind.VLLM, engines[1].url, "token", 3),)
    used(OTHERS, 1, settings)
    engines[1].adapters = {OTHERS: "/b"}
    for _ in range(2):
        reconcile.reconcile()
    assert engines[1].most == 2
    assert EMPTY in engines[1].adapters and OTHERS not in engines[1].adapters
    (held,) = reconcile.survey()
    assert held.in_order and len(held.wanted) == 1


def test_one_that_cannot_be_loaded_keeps_no_other_from_it(
    engines: list[StandIn], versions: list[AdapterVersion]
) -> None:
    (files_of(versions[0]) / WEIGHTS).write_bytes(b"damaged")
    reconcile.reconcile()
    assert set(engines[0].adapters) == {versions[1].engine_name}
    assert reconcile.survey()[0].missing == {versions[0].engine_name}


def test_an_engine_that_is_away_keeps_no_other_from_being_served(
    engines: list[StandIn], versions: list[AdapterVersion], settings: Any
) -> None:
    away = Replica("away", Kind.EMBEDDED, "http://127.0.0.1:1", "token")
    settings.ENGINES = (away, *settings.ENGINES)
    held = reconcile.reconcile()
    assert [row.healthy for row in held] == [False, True, True]
    assert len(engines[0].adapters) == 2


def test_operators_see_numbers_and_no_words_of_a_firm(
    engines: list[StandIn],
    versions: list[AdapterVersion],
    settings: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reconcile.reconcile()
    call_command("engines")
    shown = capsys.readouterr().out
    for replica in settings.ENGINES:
        assert replica.name in shown
    assert "2 of 2" in shown
    assert "briefs" not in shown and "Ashworth" not in shown
    engines[0].forget()
    with pytest.raises(CommandError, match="1 of 2 engines"):
        call_command("engines")
    assert "0 of 2" in capsys.readouterr().out


def test_putting_live_lets_a_worker_reconcile_at_once(
    firm: Firm, style: Path, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    woken: list[str] = []
    monkeypatch.setattr("webapp.core.jobs.services.publish", woken.append)
    with django_capture_on_commit_callbacks(execute=True):
        live(firm, style)
    assert reconcile.TASK in woken

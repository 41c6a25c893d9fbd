"""The whole product under its supervisor: it starts, it ends, and it leaves no process behind."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.models import tiny_model_folder
from tests.product import Product, running_product

pytestmark = pytest.mark.slow


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    with running_product(home=tmp_path / "home", model=tiny_model_folder()) as running:
        yield running


def family(product: Product) -> list[psutil.Process]:
    return psutil.Process(product.process.pid).children(recursive=True)


def named(product: Product, word: str) -> psutil.Process:
    return next(process for process in family(product) if word in " ".join(process.cmdline()))


def assert_gone(processes: list[psutil.Process], seconds: float = 20) -> None:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    assert [process.cmdline() for process in alive] == []


def said(product: Product) -> str:
    return (product.home / "supervisor.log").read_text()


def test_it_answers_says_who_may_sign_in_and_leaves_nothing_after_ctrl_c(product: Product) -> None:
    assert httpx.get(f"{product.url}/healthz").status_code == 200
    accounts = product.home / "demo.json"
    assert accounts.stat().st_mode & 0o777 == 0o600
    assert json.loads(accounts.read_text())["url"] == product.url
    for firm in product.firms:
        assert firm["staff"]["password"] in said(product)
    everybody = family(product)
    assert len(everybody) >= 5

    product.process.send_signal(signal.SIGINT)
    assert product.process.wait(30) == 0
    assert_gone(everybody)


def test_ctrl_c_twice_stops_at_once(product: Product) -> None:
    everybody = family(product)
    os.kill(named(product, "documents@").pid, signal.SIGSTOP)  # it will not listen
    product.process.send_signal(signal.SIGINT)
    while "once more Ctrl-C stops at once" not in said(product):
        time.sleep(0.05)
    product.process.send_signal(signal.SIGINT)
    assert product.process.wait(30) == 0
    assert_gone(everybody)


def test_a_child_that_dies_is_named_and_everything_stops(product: Product) -> None:
    everybody = family(product)
    named(product, "uvicorn").kill()
    assert product.process.wait(30) == 1
    assert "The web process ended by itself (signal 9), so everything was stopped" in said(product)
    assert_gone(everybody)


def test_nothing_outlives_a_supervisor_that_was_killed(product: Product) -> None:
    everybody = family(product)
    product.process.kill()
    product.process.wait(10)
    assert_gone(everybody)

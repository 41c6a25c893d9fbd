"""Formats of other word processors, turned into DOCX or PDF by LibreOffice in a process with limits."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.extraction import packed
from workers.extraction.result import ExtractionRefused, Limits
from workers.extraction.sniff import locked

ROOT = Path(__file__).resolve().parents[2]
# Far above what a long brief needs: LibreOffice itself takes 1 to 2 seconds and 2 GiB of address space.
CONVERSION = Limits(memory_bytes=6 * 2**30, cpu_seconds=90, wall_seconds=120)
WRITTEN_BYTES = 200 * 2**20  # in any one file
RESTART = 81  # LibreOffice's exit code when it has set up a new profile and wants to start again
STARTS = 3

# What the bytes are is known by now, so LibreOffice need not guess, and cannot be talked into another filter.
READERS = {
    "doc": "MS Word 97",
    "docx": "MS Word 2007 XML",
    "odt": "writer8",
    "rtf": "Rich Text Format",
    "wpd": "WordPerfect",
}
WRITERS = {"docx": "docx:MS Word 2007 XML", "pdf": "pdf:writer_pdf_Export"}

# No macros, no active content, no links followed, no data from other hosts: what is in the file, and no more.
_SETTINGS = {
    "/org.openoffice.Office.Common/Security/Scripting": {
        "MacroSecurityLevel": "3",
        "DisableMacrosExecution": "true",
        "BlockUntrustedRefererLinks": "true",
    },
    "/org.openoffice.Office.Writer/Content/Update": {"Link": "0"},
    "/org.openoffice.Office.Calc/Content/Update": {"Link": "0"},
    # A proxy that is not there.
    "/org.openoffice.Inet/Settings": {
        "ooInetProxyType": "2",
        "ooInetHTTPProxyName": "127.0.0.1",
        "ooInetHTTPProxyPort": "9",
        "ooInetHTTPSProxyName": "127.0.0.1",
        "ooInetHTTPSProxyPort": "9",
        "ooInetNoProxy": "",
    },
}


def check(kind: str, data: bytes, limits: Limits) -> None:
    """Refuse what LibreOffice would ask a password for, and an OpenDocument text that unpacks too far.

    Raises ExtractionRefused (encrypted, corrupt, too_complex).
    """
    if kind == "doc" and _doc_is_locked(data):
        raise locked("This Word file")
    # [WPDOC] prefix: the bytes 12 and 13 are the checksum of the password, or none.
    if kind == "wpd" and data[12:14] != b"\0\0":
        raise locked("This WordPerfect file")
    if kind == "odt":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                packed.check(archive, limits, _bomb)
                names = set(archive.namelist())
                manifest = b""
                if "META-INF/manifest.xml" in names:
                    with archive.open("META-INF/manifest.xml") as member:
                        manifest = member.read(2**20)
        except packed.DAMAGE:
            raise _damaged() from None
        if b"encryption-data" in manifest or "encrypted-package" in names:
            raise locked("This OpenDocument text")


def _doc_is_locked(data: bytes) -> bool:
    """[MS-DOC] 2.5.1: the stream that starts with 0xA5EC holds flags, of which 0x0100 is fEncrypted."""
    for at in range(512, len(data), 512):
        if data[at : at + 2] == b"\xec\xa5":
            return bool(int.from_bytes(data[at + 10 : at + 12], "little") & 0x0100)
    return False


def program() -> str | None:
    """LibreOffice's own binary; the script in front of it would leave it running when that is killed."""
    script = shutil.which("soffice") or shutil.which("libreoffice")
    if script is None:
        return None
    binary = Path(script).resolve().with_name("soffice.bin")
    return str(binary) if binary.exists() else script


@contextmanager
def converted(path: Path, kind: str, to: str, limits: Limits = CONVERSION) -> Iterator[Path]:
    """The file at `path`, of a kind in READERS, as DOCX or PDF for as long as the context lasts.

    Raises ExtractionRefused: no_converter, corrupt, too_complex.
    """
    with tempfile.TemporaryDirectory(prefix="housestyle-office-") as name:
        yield _convert(path, kind, to, Path(name), limits)


def to_pdf(path: Path, kind: str, limits: Limits = CONVERSION) -> bytes:
    """The pages of the file at `path` as LibreOffice prints them. Raises ExtractionRefused as `converted`."""
    with converted(path, kind, "pdf", limits) as pdf:
        return pdf.read_bytes()


def _convert(path: Path, kind: str, to: str, folder: Path, limits: Limits) -> Path:
    soffice = program()
    if soffice is None:
        raise ExtractionRefused(
            "no_converter",
            "LibreOffice is not installed here, and this kind of file needs it; save this one as DOCX or PDF "
            "and upload that.",
        )
    source = folder / f"document.{kind}"
    shutil.copyfile(path, source)
    _write_profile(folder / "profile" / "user")
    command = [
        soffice,
        "--headless",
        "--invisible",
        "--norestore",
        "--nologo",
        "--nolockcheck",
        "--nodefault",
        "--nofirststartwizard",
        f"-env:UserInstallation={(folder / 'profile').as_uri()}",
        f"--infilter={READERS[kind]}",
        "--convert-to",
        WRITERS[to],
        "--outdir",
        str(folder / "out"),
        str(source),
    ]
    for _ in range(STARTS):
        if _run(command, folder, limits) != RESTART:
            break
    made = folder / "out" / f"document.{to}"
    if not made.is_file() or made.stat().st_size == 0:
        raise _damaged()
    return made


def _run(command: list[str], folder: Path, limits: Limits) -> int:
    """Run LibreOffice in a process group of its own, which ends here whatever happens."""
    launch = [sys.executable, "-m", "workers.extraction.launch"]
    given = [json.dumps(dataclasses.asdict(limits)), str(WRITTEN_BYTES)]
    process = subprocess.Popen(
        [*launch, *given, *command],
        cwd=ROOT,
        env={
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "SAL_USE_VCLPLUGIN": "svp",
            "PATH": os.defpath,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(limits.wall_seconds)
    except subprocess.TimeoutExpired:
        raise _too_slow() from None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def _write_profile(user: Path) -> None:
    user.mkdir(parents=True)
    items = "".join(
        f'<item oor:path="{path}"><prop oor:name="{name}" oor:op="fuse"><value>{value}</value></prop></item>'
        for path, settings in _SETTINGS.items()
        for name, value in settings.items()
    )
    names = 'xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
    (user / "registrymodifications.xcu").write_text(
        f'<?xml version="1.0" encoding="UTF-8"?><oor:items {names}>{items}</oor:items>'
    )


def _damaged() -> ExtractionRefused:
    return ExtractionRefused(
        "corrupt",
        "This file is damaged so that it cannot be read; open it in the program that made it and save it as "
        "DOCX or PDF.",
    )


def _bomb() -> ExtractionRefused:
    return ExtractionRefused(
        "too_complex",
        "This file unpacks to far more than a document holds; save it as a PDF or split it.",
    )


def _too_slow() -> ExtractionRefused:
    return ExtractionRefused(
        "too_complex", "This file takes too long to read; save it as a PDF and upload that, or split it."
    )

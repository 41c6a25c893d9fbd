"""ZIP archives: the files that lie in them, each to be read as if it had come by itself."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import PurePosixPath

from webapp.documents.formats import KINDS
from workers.extraction import packed
from workers.extraction.cleanup import readable
from workers.extraction.result import Extracted, ExtractionRefused, Limits, Member
from workers.extraction.sniff import locked

MAX_NAME = 200  # characters
_FOLDERS = {"__MACOSX", ".git", ".svn"}
_NAMES = {"thumbs.db", "desktop.ini"}


def read_zip(data: bytes, limits: Limits, depth: int) -> Extracted:
    """The files in an archive that itself lay in `depth` others.

    Raises ExtractionRefused: encrypted, corrupt, too_complex, too_large, no_text.
    """
    if depth > limits.depth:
        raise ExtractionRefused(
            "too_complex",
            "This archive lies too deep in other archives or e-mails; save it by itself and upload it again.",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            packed.check(archive, limits, lambda: _bomb(limits))
            wanted = [member for member in archive.infolist() if _is_wanted(member)]
            if any(member.flag_bits & 0x1 for member in wanted):
                raise locked("This archive")
            if len(wanted) > limits.members:
                raise ExtractionRefused(
                    "too_large",
                    f"This archive holds {len(wanted)} files and one may hold {limits.members}; split it.",
                )
            members = tuple(Member(clean_name(member.filename), archive.read(member)) for member in wanted)
    except packed.DAMAGE:
        raise ExtractionRefused(
            "corrupt", "This archive is damaged; pack it again, or upload the files that are in it."
        ) from None
    if not any(PurePosixPath(member.name).suffix.lower() in KINDS for member in members):
        raise ExtractionRefused(
            "no_text",
            "This archive holds no file that Housestyle reads; put PDF, Word or text files into it.",
        )
    return Extracted("zip", members=members)


def clean_name(name: str) -> str:
    """The last part of a member's path: never a way out of a folder, nor anything that cannot be shown."""
    last = readable(PurePosixPath(name.replace("\\", "/")).name)
    return last[-MAX_NAME:] if last not in ("", ".", "..") else "unnamed"


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    """Whether a person put it there: no folder, no link, nothing that systems leave behind."""
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    if member.is_dir() or not parts or not _FOLDERS.isdisjoint(parts):
        return False
    if stat.S_ISLNK(member.external_attr >> 16):
        return False
    name = parts[-1].lower()
    return not name.startswith((".", "~$")) and name not in _NAMES


def _bomb(limits: Limits) -> ExtractionRefused:
    return ExtractionRefused(
        "too_complex",
        f"This archive unpacks to more than {limits.unpacked_bytes // 2**20} MB or to far more than it seems "
        "to hold; split it, or upload the files that are in it.",
    )

"""Archives: the files in them, and no way out, no bomb, no archive in an archive in an archive."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from tests.extraction.conftest import Read
from tests.extraction.files import docx, overlapping_docx, packed, pdf
from tests.extraction.test_refusals import is_one_sentence
from workers.extraction import ExtractionRefused, Limits
from workers.extraction.result import Member


def locked_zip() -> bytes:
    """An archive whose one member says that it is encrypted, in its own header and in the list."""
    data = bytearray(packed({"a.txt": b"words"}))
    data[6] |= 1
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


def test_it_gives_the_files_in_an_archive(read: Read) -> None:
    files = {"brief.pdf": pdf(), "letters/lease.docx": docx(), "notes.txt": "Über".encode()}
    found = read(packed(files), "matter.zip")
    assert (found.kind, found.text) == ("zip", "")
    assert found.members == tuple(Member(name.split("/")[-1], data) for name, data in files.items())


def test_what_systems_leave_behind_is_left_out(read: Read) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.mkdir("folder")
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        for name in (
            "__MACOSX/._a.txt",
            ".DS_Store",
            "folder/Thumbs.db",
            "desktop.ini",
            "~$brief.docx",
            "folder/a.txt",
        ):
            archive.writestr(name, b"words")
    assert [member.name for member in read(out.getvalue(), "a.zip").members] == ["a.txt"]


@pytest.mark.parametrize("name", ["../../etc/cron.d/a.txt", "/etc/a.txt", "C:\\Windows\\a.txt", "..\\a.txt"])
def test_a_member_s_name_leads_nowhere(read: Read, name: str) -> None:
    assert [member.name for member in read(packed({name: b"words"}), "a.zip").members] == ["a.txt"]


def test_an_archive_in_an_archive_is_opened_and_a_deeper_one_refused(read: Read) -> None:
    inner = packed({"a.txt": b"words"})
    (member,) = read(packed({"inner.zip": inner}), "outer.zip").members
    assert member == Member("inner.zip", inner)
    assert [found.name for found in read(inner, "inner.zip", depth=1).members] == ["a.txt"]
    with pytest.raises(ExtractionRefused, match="lies too deep in other archives") as refused:
        read(inner, "inner.zip", depth=2)
    assert refused.value.code == "too_complex"
    is_one_sentence(refused.value.message)


CHECKSUM = struct.pack("<I", zlib.crc32(b"words"))
BAD = {
    "nothing but pictures": (packed({"a.png": b"\x89PNG"}), "no_text"),
    "nothing at all": (packed({".DS_Store": b"x"}), "no_text"),
    "a password": (locked_zip(), "encrypted"),
    "a member that unpacks a thousandfold": (packed({"a.txt": bytes(8 << 20)}), "too_complex"),
    "a cut end": (packed({"a.txt": b"words" * 100})[:-30], "corrupt"),
    "a wrong checksum": (packed({"a.txt": b"words"}).replace(CHECKSUM, b"\0\0\0\0"), "corrupt"),
}


@pytest.mark.parametrize(("data", "code"), BAD.values(), ids=BAD.keys())
def test_it_refuses_in_one_sentence(read: Read, data: bytes, code: str) -> None:
    with pytest.raises(ExtractionRefused) as refused:
        read(data, "a.zip")
    assert refused.value.code == code
    is_one_sentence(refused.value.message)


def test_members_that_overlap_are_refused(read: Read) -> None:
    data = overlapping_docx().replace(b"word/document.xml", b"docs/document.txt")
    with pytest.raises(ExtractionRefused) as refused:
        read(data, "a.zip")
    assert refused.value.code == "too_complex"


def test_more_files_or_bytes_than_allowed_are_refused(read: Read) -> None:
    files = {f"{number}.txt": b"words" for number in range(5)}
    with pytest.raises(ExtractionRefused, match="holds 5 files and one may hold 4"):
        read(packed(files), "a.zip", Limits(members=4))
    with pytest.raises(ExtractionRefused, match="unpacks to more than 0 MB"):
        read(packed(files), "a.zip", Limits(unpacked_bytes=20))

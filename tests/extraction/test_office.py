"""Formats that only LibreOffice opens: converted within limits, cut off from network and disk, then read.

`samples/brief.*` hold one brief, saved by LibreOffice in each format; the WordPerfect file is made by code.
"""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pypdfium2
import pytest

from tests.extraction.conftest import Read
from tests.extraction.files import BRIEF, packed, word, wordperfect
from tests.extraction.test_refusals import OLE, is_one_sentence
from tests.extraction.test_word import kinds, marked
from workers.extraction import ExtractionRefused, Limits, office
from workers.extraction.sandbox import extract_in_child

SAMPLES = Path(__file__).with_name("samples")
needs_office = pytest.mark.skipif(office.program() is None, reason="LibreOffice is not installed here")

TEXT = "application/vnd.oasis.opendocument.text"
LOCKED_MANIFEST = b"<manifest:encryption-data manifest:checksum-type='SHA1/1K'/>"


def odt(content: bytes = b"", manifest: bytes = b"") -> bytes:
    return packed({"mimetype": TEXT.encode(), "content.xml": content, "META-INF/manifest.xml": manifest})


def locked_doc() -> bytes:
    """The sample with the flag that says that its text is encrypted ([MS-DOC] 2.5.2)."""
    data = bytearray((SAMPLES / "brief.doc").read_bytes())
    start = next(at for at in range(512, len(data), 512) if data[at : at + 2] == b"\xec\xa5")
    data[start + 11] |= 0x01
    return bytes(data)


@needs_office
@pytest.mark.parametrize("kind", ["doc", "rtf", "odt"])
def test_it_reads_what_another_word_processor_saved(read: Read, kind: str) -> None:
    found = read((SAMPLES / f"brief.{kind}").read_bytes(), f"brief.{kind}")
    assert found.kind == kind
    assert kinds(found) == [
        ("heading", "I. Argument"),
        ("heading", "A. The complaint pleads no notice"),
        ("paragraph", f"{BRIEF[0]}¹"),
        ("quote", "Threadbare recitals of a cause of action do not suffice."),
        ("numbered", "1. The plaintiff never wrote to the defendant."),
        ("numbered", "2. The defendant learnt of it in court."),
        ("paragraph", "The lease costs two million dollars."),
        ("paragraph", "We offer peace at any price."),
        ("footnote", f"1 {BRIEF[1]}"),
    ]
    assert marked(found, "deleted") == [("", "five million", "Bob Stone")]
    assert marked(found, "inserted") == [("dollars", "", "Carol Reed")]
    assert marked(found, "comment") == [("", "Is this privileged?", "Dora Lane")]
    assert marked(found, "hidden") == [("at any price", "", "")]


@needs_office
def test_it_reads_a_wordperfect_file(read: Read) -> None:
    found = read(wordperfect(), "BRIEF.WPD")
    assert (found.kind, found.text) == ("wpd", "\n\n".join(BRIEF))


@needs_office
def test_the_pages_of_a_word_file_can_be_printed(tmp_path: Path) -> None:
    path = tmp_path / "brief"
    path.write_bytes(word(f"<w:p><w:r><w:t>{BRIEF[0]}</w:t></w:r></w:p>"))
    document = pypdfium2.PdfDocument(office.to_pdf(path, "docx"))
    assert len(document) == 1
    assert "pleads no fact from which" in document[0].get_textpage().get_text_range()


@needs_office
def test_several_conversions_at_once_do_not_meet(tmp_path: Path) -> None:
    def convert(number: int) -> str:
        path = tmp_path / str(number)
        path.write_bytes(wordperfect(f"The brief with the number {number}."))
        return extract_in_child(path, "brief.wpd").text

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(convert, range(3)))
    assert found == [f"The brief with the number {number}." for number in range(3)]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (locked_doc(), "a.doc"),
        (wordperfect(key=0x1234), "a.wpd"),
        (odt(b"\x93\x12", LOCKED_MANIFEST), "a.odt"),
        (OLE + "EncryptedPackage".encode("utf-16-le") + bytes(100), "a.doc"),
    ],
    ids=["doc", "wpd", "odt", "docx named doc"],
)
def test_a_locked_file_is_refused_before_libreoffice_is_asked(read: Read, data: bytes, name: str) -> None:
    with pytest.raises(ExtractionRefused, match="locked with a password") as refused:
        read(data, name)
    assert refused.value.code == "encrypted"
    is_one_sentence(refused.value.message)


def test_an_opendocument_bomb_is_refused(read: Read) -> None:
    with pytest.raises(ExtractionRefused) as refused:
        read(odt(bytes(64 << 20)), "a.odt")
    assert refused.value.code == "too_complex"


@needs_office
@pytest.mark.parametrize(
    ("data", "name"),
    [(OLE + "WordDocument".encode("utf-16-le") + bytes(2000), "a.doc"), (odt(b"<no xml"), "a.odt")],
    ids=["doc", "odt"],
)
def test_what_libreoffice_cannot_open_is_refused_in_words(read: Read, data: bytes, name: str) -> None:
    with pytest.raises(ExtractionRefused) as refused:
        read(data, name)
    assert refused.value.code == "corrupt"
    is_one_sentence(refused.value.message)


def test_without_libreoffice_it_says_so(read: Read, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExtractionRefused, match="LibreOffice is not installed here") as refused:
        read(wordperfect(), "a.wpd")
    assert refused.value.code == "no_converter"
    is_one_sentence(refused.value.message)


@needs_office
def test_a_conversion_that_overruns_leaves_no_process_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)  # it remembers where temporary files go
    path = tmp_path / "brief.wpd"
    path.write_bytes(wordperfect())
    with pytest.raises(ExtractionRefused, match="takes too long"):
        office.to_pdf(path, "wpd", Limits(wall_seconds=0, memory_bytes=6 * 2**30))
    running = [command.read_bytes() for command in Path("/proc").glob("[0-9]*/cmdline")]
    assert not any(bytes(tmp_path) in command for command in running)
    assert os.listdir(tmp_path) == ["brief.wpd"]


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """The address of a web server, and the paths that anybody asked it for."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        do_HEAD = do_OPTIONS = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    server.server_close()
    thread.join()


@needs_office
def test_a_document_reaches_neither_the_network_nor_other_files(
    read: Read, asked: tuple[str, list[str]], tmp_path: Path
) -> None:
    """LibreOffice as it comes does ask for the picture: twice."""
    address, paths = asked
    secret = tmp_path / "secret.txt"
    secret.write_text("The words of another client.")
    names = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for short, name in (
            ("office", "office"),
            ("text", "text"),
            ("draw", "drawing"),
            ("svg", "svg-compatible"),
        )
    )
    section = (
        '<text:section text:name="{0}"><text:section-source xlink:href="{0}" text:filter-name="Text"/>'
        "</text:section>"
    )
    content = (
        f'<office:document-content {names} xmlns:xlink="http://www.w3.org/1999/xlink" office:version="1.2">'
        "<office:body><office:text><text:p>The brief.</text:p>"
        f"{section.format(secret.as_uri())}{section.format(address + '/section.txt')}"
        '<text:p><draw:frame svg:width="2cm" svg:height="2cm" text:anchor-type="as-char">'
        f'<draw:image xlink:href="{address}/picture.png" xlink:type="simple"/></draw:frame></text:p>'
        "</office:text></office:body></office:document-content>"
    )
    entry = '<manifest:file-entry manifest:full-path="{}" manifest:media-type="{}"/>'
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f"{entry.format('/', TEXT)}{entry.format('content.xml', 'text/xml')}</manifest:manifest>"
    )
    data = odt(content.encode(), manifest.encode())
    assert read(data, "a.odt").text == "The brief."
    path = tmp_path / "a.odt"
    path.write_bytes(data)
    assert len(pypdfium2.PdfDocument(office.to_pdf(path, "odt"))) == 1
    assert paths == []

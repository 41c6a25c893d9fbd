"""Web pages: what a browser shows of them, in blocks."""

from __future__ import annotations

import pytest

from tests.extraction.conftest import Read
from tests.extraction.files import BRIEF
from tests.extraction.test_word import kinds
from webapp.documents.layout import Block, BlockKind
from workers.extraction import ExtractionRefused

PAGE = f"""<!DOCTYPE html><html><head><title>Not in the text</title><style>p {{color: red}}</style></head>
<body>
<nav><a href="/">Home</a></nav><script>document.write("run me")</script>
<h1>Memorandum</h1><h3>Standing</h3>
<p>{BRIEF[0]}
   It goes on <b>here</b>.</p>
<blockquote><p>Notice is due.</p></blockquote>
<ol start="3"><li>Third point.</li><li><p>Fourth point.</p><p>More on it.</p></li></ol>
<ul><li>A bullet.</li></ul>
<p style="display: none">Never seen.</p><div hidden>Nor this.</div>
<table><tr><td>Exhibit</td><td>The lease</td></tr></table>
One line<br>and another<br><br>A new paragraph
</body></html>"""


def test_it_reads_a_page_in_blocks(read: Read) -> None:
    found = read(PAGE.encode(), "memo.html")
    assert (found.kind, found.pages) == ("html", 1)
    assert found.layout.blocks[:2] == (
        Block(BlockKind.HEADING, "Memorandum", level=1),
        Block(BlockKind.HEADING, "Standing", level=3),
    )
    assert kinds(found)[2:] == [
        ("paragraph", f"{BRIEF[0]} It goes on here."),
        ("quote", "Notice is due."),
        ("numbered", "3. Third point."),
        ("numbered", "4. Fourth point."),
        ("paragraph", "More on it."),
        ("numbered", "• A bullet."),
        ("paragraph", "Exhibit"),
        ("paragraph", "The lease"),
        ("paragraph", "One line and another"),
        ("paragraph", "A new paragraph"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        "<p>“§ 2” naïve</p>".encode(),
        '<meta charset="windows-1252"><p>“§ 2” naïve</p>'.encode("cp1252"),
        b"<p>&ldquo;&sect; 2&rdquo; na&iuml;ve</p>",
        '<meta charset="no-such-thing"><p>“§ 2” naïve</p>'.encode(),
        '<meta charset="rot13"><p>“§ 2” naïve</p>'.encode(),
    ],
)
def test_it_reads_pages_in_the_encoding_that_they_name(read: Read, data: bytes) -> None:
    assert read(data, "page.htm").text == "“§ 2” naïve"


def test_a_page_without_words_is_refused(read: Read) -> None:
    with pytest.raises(ExtractionRefused) as refused:
        read(b"<html><script>let x = 1</script></html>", "a.html")
    assert refused.value.code == "no_text"


def test_elements_nested_in_thousands_are_read_or_refused(read: Read) -> None:
    assert read(b"<b>" * 20_000 + b"Deep down.", "deep.html").text == "Deep down."

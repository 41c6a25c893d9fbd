"""E-mails: heads, body, quoted replies apart, and what is attached."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from tests.extraction.conftest import Read
from tests.extraction.files import BRIEF, docx, mail
from tests.extraction.test_refusals import is_one_sentence
from tests.extraction.test_word import kinds
from webapp.documents.layout import Block, BlockKind
from workers.extraction import ExtractionRefused, Limits
from workers.extraction.result import Member

HEADS = [
    ("heading", "Motion to dismiss"),
    ("paragraph", "From: Alice <alice@firm.example>"),
    ("paragraph", "To: bob@firm.example"),
    ("paragraph", "Date: Tue, 03 Mar 2026 09:00:00 +0000"),
]


def test_it_reads_who_wrote_what(read: Read) -> None:
    found = read(mail(), "mail.eml")
    assert found.kind == "eml"
    assert found.layout.blocks[0] == Block(BlockKind.HEADING, "Motion to dismiss", level=1)
    assert kinds(found) == [*HEADS, *(("paragraph", line) for line in BRIEF)]


def test_a_quoted_reply_is_a_quote(read: Read) -> None:
    body = "I agree.\n\nOn Monday Bob wrote:\n> We should settle.\n>> We should not.\n"
    assert kinds(read(mail(body), "mail.eml"))[4:] == [
        ("paragraph", "I agree."),
        ("paragraph", "On Monday Bob wrote:"),
        ("quote", "We should settle."),
        ("quote", "We should not."),
    ]


def test_all_below_outlook_s_rule_is_quoted(read: Read) -> None:
    body = "I agree.\n\n-----Original Message-----\nFrom: Bob\n\nWe should settle.\n"
    found = kinds(read(mail(body), "mail.eml"))[4:]
    assert found[0] == ("paragraph", "I agree.")
    assert {kind for kind, _ in found[1:]} == {"quote"}
    assert "We should settle." in found[-1][1]


def test_html_is_read_where_there_is_no_plain_text(read: Read) -> None:
    page = "<p>I <b>agree</b>.</p><blockquote>We should settle.</blockquote><script>run()</script>"
    assert kinds(read(mail("", page), "mail.eml"))[4:] == [
        ("paragraph", "I agree."),
        ("quote", "We should settle."),
    ]
    assert kinds(read(mail("I agree.", "<p>Not this.</p>"), "mail.eml"))[4:] == [("paragraph", "I agree.")]


def test_attachments_come_as_files_of_their_own(read: Read) -> None:
    attached = [("lease.docx", docx()), ("../../etc/winmail.dat", b"\x78\x9f\x3e\x22")]
    assert read(mail(attached=attached), "mail.eml").members == (
        Member("lease.docx", docx()),
        Member("winmail.dat", b"\x78\x9f\x3e\x22"),
    )


def test_a_forwarded_message_is_a_file_and_a_logo_is_none(read: Read) -> None:
    message = EmailMessage()
    message["Subject"] = "FW: lease"
    message.set_content("See below.")
    inner = EmailMessage()
    inner["Subject"] = "The lease"
    inner.set_content("It ends in May.")
    message.add_attachment(inner)
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", cid="<logo>", disposition="inline")
    found = read(message.as_bytes(), "mail.eml")
    assert [member.name for member in found.members] == ["attachment 1.eml"]
    assert "It ends in May." in read(found.members[0].data, "attachment 1.eml", depth=1).text


def test_an_encrypted_message_is_refused_in_words(read: Read) -> None:
    data = b"From: a@b.example\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nMIA"
    with pytest.raises(ExtractionRefused, match="encrypted") as refused:
        read(data, "mail.eml")
    assert refused.value.code == "encrypted"
    is_one_sentence(refused.value.message)


def test_too_many_attachments_are_refused(read: Read) -> None:
    attached = [(f"{number}.txt", b"word") for number in range(4)]
    with pytest.raises(ExtractionRefused, match="too many attachments"):
        read(mail(attached=attached), "mail.eml", Limits(members=3))


@pytest.mark.parametrize("depth", [400, 3000])
def test_parts_nested_without_end_are_refused_or_read(read: Read, depth: int) -> None:
    lines = ["From: a@b.example", "Subject: deep"]
    for number in range(depth):
        lines += [f'Content-Type: multipart/mixed; boundary="b{number}"', "", f"--b{number}"]
    with pytest.raises(ExtractionRefused) as refused:
        read(
            "\n".join([*lines, "Content-Type: image/png", "", "words"]).encode(),
            "mail.eml",
            Limits(text_bytes=3),
        )
    is_one_sentence(refused.value.message)

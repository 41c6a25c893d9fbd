"""E-mails as files: who wrote whom what and when, with quoted replies apart, and what is attached."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from dataclasses import replace
from email import policy
from email.message import EmailMessage, MIMEPart

from webapp.documents.layout import Block, BlockKind, Layout
from workers.extraction.archive import clean_name
from workers.extraction.cleanup import readable
from workers.extraction.html import blocks_of
from workers.extraction.result import Extracted, ExtractionRefused, Limits, Member
from workers.extraction.txt import read_txt

MAX_PARTS = 2000
MAX_DEPTH = 5  # messages that a message may have been forwarded in, each as an attachment
HEADERS = ("From", "To", "Cc", "Date")
_SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted")
_QUOTED = re.compile(r"(?:>[ \t]?)+")
# Where Outlook begins to quote: it marks no line of what follows.
_QUOTED_BELOW = re.compile(
    r"-{2,}\s*(?:original message|forwarded message)\s*-{2,}|from:.{1,200}\bsent:", re.I
)


def read_eml(data: bytes, limits: Limits, depth: int) -> Extracted:
    """An e-mail's subject as a heading, its heads, its body, and its attachments as members.

    Raises ExtractionRefused: corrupt, encrypted, too_complex, too_large.
    """
    if depth > MAX_DEPTH:
        raise ExtractionRefused(
            "too_complex",
            "This e-mail lies too deep inside other e-mails; save it by itself and upload it again.",
        )
    try:
        message = email.message_from_bytes(data, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return _read(message, limits)
    except (ExtractionRefused, MemoryError):
        raise
    except RecursionError:
        raise ExtractionRefused(
            "too_complex", "This e-mail nests too many parts; save its text as a PDF and upload that."
        ) from None
    except Exception:
        # The standard library's parser of headers raises whatever it trips over in a malformed one.
        raise ExtractionRefused(
            "corrupt", "This e-mail is damaged; open it in your mail program and save it again as .eml."
        ) from None


def _read(message: EmailMessage, limits: Limits) -> Extracted:
    for count, _ in enumerate(message.walk(), 1):
        if count > MAX_PARTS:
            raise ExtractionRefused(
                "too_complex", "This e-mail has too many parts; save its text as a PDF and upload that."
            )
    if message.get_content_type() in _SEALED and "signed" not in str(message.get_param("smime-type", "")):
        raise ExtractionRefused(
            "encrypted",
            "This e-mail is encrypted; open it in your mail program, save its text as a PDF and upload that.",
        )
    blocks = [*_heads(message), *_body(message, limits)]
    return Extracted("eml", layout=Layout(tuple(blocks)), members=tuple(_members(message, limits)))


def _heads(message: EmailMessage) -> Iterator[Block]:
    subject = readable(str(message.get("Subject", "")))
    if subject:
        yield Block(BlockKind.HEADING, subject, level=1)
    for name in HEADERS:
        value = readable(str(message.get(name, "")))
        if value:
            yield Block(BlockKind.PARAGRAPH, f"{name}: {value}")


def _body(message: EmailMessage, limits: Limits) -> list[Block]:
    """The plain text that a mail program wrote, else its HTML."""
    for wanted in ("plain", "html"):
        part = message.get_body((wanted,))
        if part is None:
            continue
        text = _text(part)
        blocks = _plain(text) if wanted == "plain" else blocks_of(text, limits)
        if blocks:
            return _with_quotes(blocks)
    return []


def _text(part: MIMEPart) -> str:
    try:
        content = part.get_content()
    except LookupError:  # an encoding that nobody knows
        data = part.get_payload(decode=True)
        content = data.decode("utf-8", "replace") if isinstance(data, bytes) else ""
    return content if isinstance(content, str) else ""


def _plain(text: str) -> list[Block]:
    """Paragraphs of what was written; lines that start with `>` are quotes, without it."""
    blocks: list[Block] = []
    runs: list[tuple[int, list[str]]] = []  # how often quoted, and the lines
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        signs = _QUOTED.match(line)
        quoted = signs[0].count(">") if signs else 0
        if not runs or runs[-1][0] != quoted:
            runs.append((quoted, []))
        runs[-1][1].append(line[signs.end() :] if signs else line)
    for quoted, lines in runs:
        said = "\n".join(lines)
        if said.strip():
            found = read_txt(said.encode("utf-8", "replace")).layout.blocks
            blocks += [replace(block, kind=BlockKind.QUOTE, level=0) if quoted else block for block in found]
    return blocks


def _with_quotes(blocks: list[Block]) -> list[Block]:
    below = next((at for at, block in enumerate(blocks) if _QUOTED_BELOW.match(block.text)), len(blocks))
    return blocks[:below] + [replace(block, kind=BlockKind.QUOTE, level=0) for block in blocks[below:]]


def _members(message: EmailMessage, limits: Limits) -> Iterator[Member]:
    """What is attached. Pictures within the text, like logos in signatures, are no documents."""
    count = 0
    for part in message.iter_attachments():
        if part.get_content_maintype() == "image" and (
            part.get("Content-ID") or part.get_content_disposition() == "inline"
        ):
            continue
        data, ending = _bytes(part)
        if not data:
            continue
        count += 1
        if count > limits.members:
            raise ExtractionRefused(
                "too_large", "This e-mail has too many attachments; save them and upload them by themselves."
            )
        yield Member(clean_name(part.get_filename() or f"attachment {count}{ending}"), data)


def _bytes(part: EmailMessage) -> tuple[bytes, str]:
    """An attachment and the ending that its type would have, where it has no name."""
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload(0)
        return (inner.as_bytes(), ".eml") if isinstance(inner, EmailMessage) else (b"", "")
    data = part.get_payload(decode=True)
    endings = {"application/pdf": ".pdf", "text/plain": ".txt", "text/html": ".html"}
    return data if isinstance(data, bytes) else b"", endings.get(part.get_content_type(), "")

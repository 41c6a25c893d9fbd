"""From a mixed drop of ten files to a frozen dataset, as a paralegal does it in a browser."""

from __future__ import annotations

import json
import random
import re

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.browser.chromium import sign_in
from tests.extraction.files import mail, p, packed, pdf, word
from tests.product import Product

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("product"), pytest.mark.timeout(1200)]

SOON = 240_000  # milliseconds at most: on a busy machine a worker takes a while to begin
CASES = (
    "Brown v. Board of Education, 347 U. S. 483, 495 (1954)",
    "Celotex Corp. v. Catrett, 477 U. S. 317, 322 (1986)",
    "Ashcroft v. Iqbal, 556 U. S. 662, 678 (2009)",
    "Grutter v. Bollinger, 539 U. S. 306, 325 (2003)",
)
WHO = ("The court", "The agency", "The tenant", "The trustee", "A surety", "The carrier", "Neither party")
DID = ("denies", "concedes", "recites", "disputes", "pleads", "overlooks", "preserves", "waives", "proves")
WHAT = ("notice", "standing", "damages", "costs", "delay", "venue", "remand", "waiver", "consent", "tender")
WHY = ("on this record", "without more", "as a matter of law", "by any measure", "in good faith", "at trial")
TELEPHONE = "(212) 736-5000"


def paragraphs(topic: str) -> list[str]:
    """Eight paragraphs about `topic` that are like no other file's, with citations in one house's form."""
    dice = random.Random(topic)

    def sentence() -> str:
        who, did, what, why = (dice.choice(words) for words in (WHO, DID, WHAT, WHY))
        return f"{who} {did} the {what} of the {topic} and the {dice.choice(WHAT)} {why}."

    return [
        " ".join([sentence(), sentence(), f"See {dice.choice(CASES)}.", sentence(), sentence()])
        for _ in range(8)
    ]


def payload(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def ten_files() -> list[FilePayload]:
    lines = [re.findall(r".{1,90}(?: |$)", text) for text in paragraphs("lease")]
    changed = word(
        "".join(p(text) for text in paragraphs("charter"))
        + '<w:p><w:del w:author="Dora"><w:r><w:delText>Settle for less.</w:delText></w:r></w:del>'
        "<w:r><w:t>The charter is filed.</w:t></w:r></w:p>"
    )
    call = [*paragraphs("letter"), f"Call the clerk at {TELEPHONE}."]
    page = "".join(f"<p>{text}</p>" for text in paragraphs("treaty"))
    pairs = [{"prompt": f"Cite case {n}.", "completion": f"{CASES[n % 4]}, no. {n}."} for n in range(6)]
    inside = {
        "inner/statute.txt": "\n\n".join(paragraphs("statute")).encode(),
        "inner/notes.md": "\n\n".join(["# Notes on the bond", *paragraphs("bond")]).encode(),
    }
    return [
        payload("lease.pdf", pdf([[line.strip() for line in page] for page in lines])),
        payload("charter.docx", changed),
        payload("letter.txt", "\n\n".join(call).encode()),
        payload("treaty.html", f"<html><body><h1>The treaty</h1>{page}</body></html>".encode()),
        payload("mail.eml", mail("\n\n".join(paragraphs("offer")))),
        payload("matter.zip", packed(inside)),
        payload("pairs.jsonl", "\n".join(map(json.dumps, pairs)).encode()),
        payload("copy.txt", "\n\n".join(call).encode()),
        payload("empty.pdf", b""),
        payload("picture.docx", b"\x89PNG\r\n\x1a\n" + b"\0" * 64),
    ]


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has_text=re.compile(rf"^\s*{re.escape(name)}"))


def test_from_ten_files_to_a_frozen_dataset(page: Page, product: Product) -> None:
    sign_in(page, product, 1, "staff")
    page.goto(f"{product.url}/documents/")
    page.locator("#files").set_input_files(ten_files())

    ready = ["lease.pdf", "charter.docx", "letter.txt", "treaty.html", "mail.eml", "pairs.jsonl"]
    for name in [*ready, "statute.txt", "notes.md"]:
        expect(row(page, name)).to_contain_text("Ready", timeout=SOON)
    expect(row(page, "matter.zip")).to_contain_text("Opened", timeout=SOON)
    for name in ("empty.pdf", "picture.docx"):
        expect(row(page, name)).to_contain_text("Refused", timeout=SOON)
        expect(row(page, name).locator(".reason").first).to_contain_text(re.compile(r"\w+.*\.$"))
    told = page.locator(".upload").filter(has_text="copy.txt")
    expect(told).to_contain_text("is the same file as “letter.txt”")

    settle_findings(page)
    make_and_read_the_dataset(page, product, [*ready, "statute.txt", "notes.md"])


def settle_findings(page: Page) -> None:
    """The telephone number and the deleted words are told; one is redacted, the other noted."""
    row(page, "letter.txt").get_by_role("link", name="letter.txt").click()
    page.locator("#document a[href$='/findings/']").first.click()
    expect(page.get_by_text(TELEPHONE).first).to_be_visible()
    page.get_by_role("button", name="Redact this phone number").click()
    expect(page.locator("main")).to_contain_text("1 settled")
    expect(page.locator("main")).to_contain_text("[Phone 1]")


def make_and_read_the_dataset(page: Page, product: Product, names: list[str]) -> None:
    page.goto(f"{product.url}/documents/")
    for name in names:
        page.get_by_label(f"Choose {name}", exact=True).check()
    page.get_by_role("button", name=re.compile("Make a dataset")).click()
    page.get_by_label("Name", exact=True).fill("Ten files")
    page.get_by_role("button", name="Make the dataset").click()
    expect(page.get_by_role("heading", name="Examples")).to_be_visible(timeout=SOON)
    expect(page.locator("main")).to_contain_text("Ready", timeout=SOON)
    dataset = page.url
    expect(page.locator("main")).to_contain_text("347 U. S. 483")

    page.get_by_role("link", name=re.compile("style profile", re.IGNORECASE)).first.click()
    expect(page.locator("main")).to_contain_text("U. S.")
    page.goto(dataset)
    page.get_by_role("link", name=re.compile("quality report", re.IGNORECASE)).first.click()
    expect(page.locator("main")).to_contain_text("Phone number")

    page.goto(dataset)
    page.get_by_role("link", name=re.compile("as the model sees it", re.IGNORECASE)).first.click()
    expect(page.locator(".tokens .token-special").first).to_have_text("<|im_start|>")
    assert page.locator(".tokens .token-counts").count() > 10
    assert TELEPHONE not in page.content()

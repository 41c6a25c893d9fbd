"""The main job as people do it, in a real browser against the running product."""

from __future__ import annotations

import io
import re
import zipfile

import openai
import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.browser.chromium import sign_in
from tests.product import Product

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("product"),
    pytest.mark.timeout(1200),
]

SOON = 240_000  # milliseconds at most: on a busy machine a worker takes a while to begin
PARAGRAPH = (
    "The court in Brown v. Board of Education, 347 U. S. 483, 495 (1954), held that it could not "
    "stand, and the later decision in Celotex Corp. v. Catrett, 477 U. S. 317, 322 (1986), says who has the "
    "burden. Nothing in the record before us suggests that the parties meant anything else when they signed. "
)


def text_file(name: str) -> FilePayload:
    body = "\n\n".join(f"{number}. {PARAGRAPH * 2}" for number in range(1, 7))
    return {"name": name, "mimeType": "text/plain", "buffer": f"{name}\n\n{body}".encode()}


def word_file(name: str) -> FilePayload:
    namespace = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = "".join(f"<w:p><w:r><w:t>{PARAGRAPH * 2}</w:t></w:r></w:p>" for _ in range(6))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("[Content_Types].xml", "<Types/>")
        out.writestr(
            "word/document.xml", f'<w:document xmlns:w="{namespace}"><w:body>{body}</w:body></w:document>'
        )
    return {"name": name, "mimeType": "application/zip", "buffer": archive.getvalue()}


EMPTY: FilePayload = {"name": "empty.pdf", "mimeType": "application/pdf", "buffer": b""}
MISLABELLED: FilePayload = {
    "name": "picture.pdf",
    "mimeType": "application/pdf",
    "buffer": b"\x89PNG\r\n\x1a\n" + b"\0" * 64,
}


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has_text=name)


def test_from_dropped_files_to_a_live_adapter(page: Page, product: Product) -> None:
    sign_in(page, product, 0, "staff")
    drop_files(page, product)
    make_a_dataset(page, product)
    version = train_and_watch(page)
    expect(page.get_by_text("Your role does not decide")).to_be_visible()

    sign_in(page, product, 0, "approver")
    approve_and_put_live(page, version)
    compare_in_the_playground(page, product)
    ask_through_the_api(product)


def drop_files(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/documents/")
    page.locator("#files").set_input_files(
        [text_file("first.txt"), word_file("second.docx"), text_file("third.txt"), EMPTY, MISLABELLED]
    )
    for name in ("first.txt", "second.docx", "third.txt"):
        expect(row(page, name)).to_contain_text("Ready", timeout=SOON)
    for name in ("empty.pdf", "picture.pdf"):
        expect(row(page, name)).to_contain_text("Refused", timeout=SOON)
        expect(row(page, name).locator(".reason")).to_contain_text(re.compile(r"\w+.*\.$"))


def make_a_dataset(page: Page, product: Product) -> None:
    page.reload()
    for name in ("first.txt", "second.docx", "third.txt"):
        page.get_by_label(f"Choose {name}").check()
    page.get_by_role("button", name="Make a dataset").click()
    page.get_by_label("Name").fill("From the browser")
    page.get_by_role("button", name="Make the dataset").click()
    expect(page.get_by_role("heading", name="Examples")).to_be_visible(timeout=SOON)
    expect(row(page, "first.txt")).to_contain_text(re.compile("Training|Held out"))
    assert {page.locator("td .side-heldout").count(), page.locator("td .side-train").count()} == {1, 2}
    expect(page.locator(".example").first).to_contain_text("347 U. S. 483")


def train_and_watch(page: Page) -> str:
    page.get_by_role("link", name="Train on this").click()
    page.get_by_label("Adapter name").fill("browser")
    page.get_by_text("Quick", exact=True).click()
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_text(re.compile(r"Step \d+ of \d+"))).to_be_visible(timeout=SOON)
    expect(page.get_by_role("link", name="See the version")).to_be_visible(timeout=SOON)
    expect(page.locator("#curve canvas")).to_be_visible()
    expect(page.get_by_text("the held-out loss", exact=False).first).to_be_visible()
    page.get_by_role("link", name="See the version").click()
    expect(page.get_by_role("heading", name="browser@1")).to_be_visible()
    return page.url


def approve_and_put_live(page: Page, version: str) -> None:
    page.goto(version)
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("button", name="Put live").click()
    expect(page.get_by_text("It answers your firm's programs")).to_be_visible()


def compare_in_the_playground(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/playground/")
    page.get_by_label("Longest answer").select_option("64")
    page.get_by_role("button", name="Send").click()
    answers = page.locator(".answer")
    expect(answers).to_have_count(2)
    for answer in (answers.nth(0), answers.nth(1)):
        expect(answer.locator("footer")).to_contain_text(re.compile(r"\d+ tokens"), timeout=SOON)
        expect(answer.locator(".answer-text")).not_to_be_empty()
    expect(answers.nth(0)).to_contain_text("Base model")
    expect(answers.nth(1)).to_contain_text("browser@1")


def ask_through_the_api(product: Product) -> None:
    client = openai.OpenAI(base_url=f"{product.url}/v1", api_key=product.firms[0]["api_key"], max_retries=0)
    answer = client.chat.completions.with_raw_response.create(
        model="", messages=[{"role": "user", "content": "Hello"}], max_tokens=4
    )
    assert answer.headers["X-Housestyle-Adapter"] == "browser@1"
    assert answer.parse().choices[0].message.role == "assistant"


def test_the_other_firm_sees_none_of_it(page: Page, product: Product) -> None:
    sign_in(page, product, 1, "staff")
    page.goto(f"{product.url}/documents/")
    expect(page.get_by_role("heading", name="Documents")).to_be_visible()
    expect(page.get_by_text("first.txt")).to_have_count(0)


def test_a_short_window_has_no_sideways_scroll(page: Page, product: Product) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    sign_in(page, product, 0, "approver")
    for path in ("/", "/documents/", "/datasets/", "/training/", "/adapters/", "/playground/"):
        page.goto(product.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path

"""A file whose connection breaks goes on where it stopped: by itself, and when its sender says so."""

from __future__ import annotations

import hashlib

import pytest
from playwright.sync_api import FilePayload, Page, Request, Route, expect

from tests.browser.chromium import sign_in
from tests.product import Product

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("product"), pytest.mark.timeout(1200)]

SOON = 240_000  # milliseconds at most
PART = 2 * 2**20
PARTS = "**/documents/uploads/*/"


def large_text(word: str) -> FilePayload:
    """A text of three parts."""
    line = f"The {word} of the record is settled, and nothing before us suggests otherwise.\n\n"
    return {
        "name": f"{word}.txt",
        "mimeType": "text/plain",
        "buffer": (line * (5 * 2**20 // len(line))).encode(),
    }


def arrived(page: Page, product: Product, file: FilePayload) -> None:
    """The document holds the bytes that were sent."""
    row = page.get_by_role("row").filter(has_text=file["name"])
    expect(row).to_be_visible(timeout=SOON)
    href = row.get_by_role("link", name=file["name"]).get_attribute("href")
    answer = page.request.get(f"{product.url}{href}original/")
    assert hashlib.sha256(answer.body()).digest() == hashlib.sha256(file["buffer"]).digest()


def test_a_broken_part_is_sent_again_and_no_other(page: Page, product: Product) -> None:
    sign_in(page, product, 0, "staff")
    page.goto(f"{product.url}/documents/")
    broken: list[str] = []
    sent: list[str] = []

    def break_once(route: Route, request: Request) -> None:
        offset = request.headers.get("upload-offset", "")
        if request.method == "PATCH" and offset == str(PART) and not broken:
            broken.append(offset)
            route.abort("connectionreset")
            return
        if request.method == "PATCH":
            sent.append(offset)
        route.continue_()

    page.route(PARTS, break_once)
    file = large_text("brokenness")
    page.locator("#files").set_input_files([file])
    arrived(page, product, file)
    assert broken == [str(PART)]
    assert sent == ["0", str(PART), str(2 * PART)]


def test_a_file_that_gave_up_goes_on_where_it_stopped(page: Page, product: Product) -> None:
    sign_in(page, product, 0, "staff")
    page.goto(f"{product.url}/documents/")
    first: list[str] = []

    def break_all_but_the_first(route: Route, request: Request) -> None:
        offset = request.headers.get("upload-offset", "")
        if request.method == "PATCH" and offset == "0":
            first.append(offset)
            route.continue_()
        elif request.method == "PATCH":
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(PARTS, break_all_but_the_first)
    file = large_text("perseverance")
    page.locator("#files").set_input_files([file])
    expect(page.locator(".upload-says").first).to_contain_text("What arrived is kept", timeout=SOON)
    page.unroute(PARTS)

    sent: list[str] = []
    page.on(
        "request",
        lambda request: sent.append(request.headers["upload-offset"]) if request.method == "PATCH" else None,
    )
    page.get_by_role("button", name="Go on").click()
    arrived(page, product, file)
    assert first == ["0"]
    assert sent == [str(PART), str(2 * PART)], "what had arrived is not sent twice"

"""`make screenshots`: pictures on the way through the main job, on the real base model."""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.chromium import launch, sign_in
from tests.models import base_model_folder
from tests.product import ROOT, Product, running_product

IMAGES = ROOT / "docs" / "images"
LONG = 600_000  # milliseconds: Quick on two cores, with room


def main() -> None:
    from webapp.core.embedded import running

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=IMAGES)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="housestyle-") as folder,
        running(Path(folder), durable=False),
        running_product(home=Path(folder) / "product", model=base_model_folder()) as product,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        take(page, product, out)
        browser.close()


def take(page: Page, product: Product, out: Path) -> None:
    def picture(name: str) -> None:
        page.screenshot(path=out / f"{name}.png")
        print(f"docs/images/{name}.png" if out == IMAGES else out / f"{name}.png", flush=True)

    sign_in(page, product, 0, "staff")
    page.goto(f"{product.url}/documents/")
    expect(page.get_by_role("heading", name="8 ready")).to_be_visible(timeout=LONG)
    picture("documents")
    page.goto(f"{product.url}/datasets/new/")
    page.get_by_label("Name", exact=True).fill("Briefs and opinions")
    page.get_by_role("button", name="Make the dataset").click()
    expect(page.get_by_role("link", name="Train on this")).to_be_visible(timeout=LONG)
    picture("dataset")
    dataset = page.url
    page.get_by_role("link", name="Style profile").click()
    picture("profile")
    page.goto(dataset)
    page.get_by_role("link", name="Train on this").click()
    page.get_by_label("Adapter name").fill("briefs")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_text(re.compile(r"Step [5-9] of"))).to_be_visible(timeout=LONG)
    page.wait_for_timeout(2000)
    picture("training")
    expect(page.get_by_role("link", name="See the version")).to_be_visible(timeout=LONG)
    page.get_by_role("link", name="See the version").click()
    version = page.url

    sign_in(page, product, 0, "approver")
    page.goto(version)
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("button", name="Put live").click()
    picture("version")
    page.goto(f"{product.url}/playground/")
    page.get_by_role("button", name="Send").click()
    for answer in range(2):
        expect(page.locator(".answer footer").nth(answer)).to_contain_text("tokens", timeout=LONG)
    page.locator("#answers").scroll_into_view_if_needed()
    picture("playground")


if __name__ == "__main__":
    main()

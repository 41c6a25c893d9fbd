"""The distribution's Chromium, as tests and the screenshots use it."""

from __future__ import annotations

import re
import shutil
from typing import Any

from playwright.sync_api import Browser, Page, Playwright, expect

from tests.product import Product

ARGUMENTS = [
    "--no-sandbox",  # it refuses to run as root with one, and visits only our own pages
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)


def sign_in(page: Page, product: Product, firm: int, role: str) -> None:
    account: dict[str, Any] = product.firms[firm][role]
    page.context.clear_cookies()
    page.goto(f"{product.url}/sign-in/")
    page.get_by_label("E-mail").fill(account["email"])
    page.get_by_label("Password").fill(account["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(re.escape(product.url) + "/$"))

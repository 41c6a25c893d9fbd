"""Templates compile, load nothing from elsewhere, and name only files that exist."""

from __future__ import annotations

import hashlib
import re

import pytest
from django.contrib.staticfiles import finders
from django.template.loader import get_template

from tests.models import ROOT

TEMPLATES = {
    str(path.relative_to(folder)): path
    for folder in [ROOT / "templates", *ROOT.glob("webapp/*/templates")]
    for path in sorted(folder.rglob("*.html"))
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_compiles(name: str) -> None:
    get_template(name)


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_needs_no_other_host_and_no_inline_code(name: str) -> None:
    """The content security policy would refuse them in silence."""
    source = TEMPLATES[name].read_text()
    assert not re.search(r"""(src|href)\s*=\s*["'](https?:)?//""", source), "loads from another host"
    assert not re.search(r"<script(?![^>]*\b(src|type=\"application/json\"))", source), "inline script"
    assert not re.search(r"<style|\sstyle\s*=|\son\w+\s*=\s*[\"']", source), "inline style or handler"


@pytest.mark.parametrize("name", TEMPLATES)
def test_its_static_files_exist(name: str) -> None:
    source = TEMPLATES[name].read_text()
    named = set(re.findall(r"""{%\s*static\s+["']([^"']+)["']\s*%}""", source))
    assert {path for path in named if finders.find(path) is None} == set()


def test_the_files_of_others_are_the_pinned_ones() -> None:
    vendor = ROOT / "static" / "vendor"
    listed = dict(
        re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", (vendor / "VENDOR.md").read_text(), re.M)
    )
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.iterdir()
        if path.name != "VENDOR.md"
    }
    assert listed == there


def test_every_icon_that_is_used_exists() -> None:
    sprite = (ROOT / "static" / "vendor" / "icons.svg").read_text()
    there = set(re.findall(r'<symbol id="([\w-]+)"', sprite))
    used = {
        icon
        for path in TEMPLATES.values()
        for icon in re.findall(r"vendor/icons\.svg['\"]\s*%}#([\w-]+)", path.read_text())
    }
    assert used - there == set()

"""The demo firms' documents: readable, in one house style each, and enough to learn it from."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from webapp.citations import BLUEBOOK, COURT, Form, to_house_form, to_neutral_form
from webapp.datasets.examples import NewExample, build_examples, cite
from webapp.datasets.models import all_kinds
from webapp.datasets.paragraphs import paragraphs
from webapp.demo.make_files import FIRMS, docx
from workers.extraction.sandbox import extract_in_child

STYLES = {"ashworth-vale": COURT, "brightwater": BLUEBOOK}
DOCUMENTS = sorted(path for path in FIRMS.glob("*/*") if path.suffix != ".md")


def text(path: Path) -> str:
    return extract_in_child(path, path.name).text


def examples(path: Path) -> list[NewExample]:
    """What a dataset makes of the file; the base counts about four letters as a token."""
    blocks = extract_in_child(path, path.name).layout.blocks
    return build_examples(
        blocks, title=path.name, kinds=all_kinds(), max_tokens=300, count_tokens=lambda text: len(text) // 4
    )


def test_each_firm_has_eight_documents_of_three_formats() -> None:
    counts = Counter((path.parent.name, path.suffix) for path in DOCUMENTS)
    assert counts == {
        (firm, end): n for firm in STYLES for end, n in ((".txt", 4), (".docx", 2), (".pdf", 2))
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_document_reads_back_as_it_was_written(path: Path) -> None:
    source = path.with_suffix(".md")
    written = (source if source.exists() else path).read_text(encoding="utf-8")
    assert text(path).split("\n\n") == paragraphs(written)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_document_keeps_to_its_firms_citation_form(path: Path) -> None:
    style: Form = STYLES[path.parent.name]
    for paragraph in paragraphs(text(path)):
        assert to_house_form(paragraph, style) == paragraph


def test_the_word_files_are_those_of_their_sources() -> None:
    for path in FIRMS.glob("*/*.docx"):
        assert path.read_bytes() == docx(paragraphs(path.with_suffix(".md").read_text(encoding="utf-8")))


@pytest.mark.parametrize("slug", STYLES)
def test_a_firm_gives_enough_examples_of_every_kind(slug: str) -> None:
    kinds = Counter(
        example.kind for path in DOCUMENTS if path.parent.name == slug for example in examples(path)
    )
    assert kinds["cite"] >= 40
    assert kinds["draft"] >= 10
    assert kinds["continue"] >= 10


def test_the_suggested_prompts_are_neutral() -> None:
    firms = json.loads((FIRMS / "firms.json").read_text(encoding="utf-8"))["firms"]
    assert {firm["slug"] for firm in firms} == set(STYLES)
    for firm in firms:
        assert len(firm["prompts"]) == 3
        for prompt in firm["prompts"]:
            assert prompt.startswith(cite.INSTRUCTION)
            assert to_neutral_form(prompt) == prompt

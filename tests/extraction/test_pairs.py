"""Ready-made pairs: JSONL, chats, CSV and Excel."""

from __future__ import annotations

import datetime
import json

import pytest

from tests.extraction.conftest import Read
from tests.extraction.files import packed, workbook
from tests.extraction.test_refusals import is_one_sentence
from webapp.documents.pairs import Pair, Table
from workers.extraction import ExtractionRefused, Limits

GOOD = {"prompt": "Who sued?", "completion": "Acme did."}


def lines(*items: object) -> bytes:
    return "\n".join(json.dumps(item) for item in items).encode()


def said(*words: str) -> list[dict[str, str]]:
    """A chat: system, then user and assistant by turns."""
    roles = ["system", *["user", "assistant"] * len(words)]
    return [{"role": role, "content": content} for role, content in zip(roles, words, strict=False)]


def test_it_reads_prompts_and_completions(read: Read) -> None:
    found = read(
        lines(GOOD, {"prompt": " a\n b", "completion": "c\0d \ud83d\ude00\ud800"}) + b"\n\n", "a.jsonl"
    )
    assert found.kind == "jsonl"
    assert found.pairs == (Pair("Who sued?", "Acme did."), Pair(" a\n b", "cd 😀"))


def test_a_chat_of_two_answers_is_two_pairs_each_after_what_was_said(read: Read) -> None:
    chat = said("Be brief.", "Who sued?", "Acme.", "Whom?", "Bolt.")
    assert read(lines({"messages": chat}), "a.jsonl").pairs == (
        Pair("Who sued?", "Acme.", tuple(chat[:1])),
        Pair("Whom?", "Bolt.", tuple(chat[:3])),
    )


def test_what_housestyle_exports_is_read_back(read: Read) -> None:
    pair = Pair("Who sued?", "Acme did.", tuple(said("Be brief.")), "heldout", "continue")
    assert read(lines(vars(pair)), "a.jsonl").pairs == (pair,)


def test_a_list_in_json_is_read_too(read: Read) -> None:
    assert read(json.dumps([GOOD]).encode(), "a.json").pairs == (Pair("Who sued?", "Acme did."),)


BAD = {
    "no JSON": (b'{"prompt": "a", "completion":', "Line 2 is not valid JSON"),
    "nested without end": (b"[" * 100_000, "Line 2 is not valid JSON"),
    "a list": (b"[1]", "Line 2 is not a JSON object"),
    "other names": (lines({"instruction": "a", "output": "b"}), 'Line 2 has neither a "prompt"'),
    "an empty answer": (lines({"prompt": "a", "completion": " "}), 'Line 2 has no words in its "completion"'),
    "a number": (lines({"prompt": 1, "completion": "b"}), 'Line 2 has no words in its "prompt"'),
    "no answer": (lines({"messages": said("Be brief.", "Who?")}), "Line 2 has a chat without an answer"),
    "no question": (
        lines({"messages": [{"role": "assistant", "content": "Acme."}]}),
        "Line 2 has an answer with no question",
    ),
    "another role": (lines({"messages": [{"role": "tool", "content": "x"}]}), "Line 2 has a message whose"),
    "no messages": (lines({"messages": "Who?"}), "Line 2 has"),
}


@pytest.mark.parametrize(("line", "words"), BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_named_by_its_number(read: Read, line: bytes, words: str) -> None:
    with pytest.raises(ExtractionRefused) as refused:
        read(lines(GOOD) + b"\n" + line, "a.jsonl")
    assert refused.value.code == "bad_data"
    assert refused.value.message.startswith(words)
    is_one_sentence(refused.value.message)


def test_a_file_without_examples_or_with_too_many_is_refused(read: Read) -> None:
    with pytest.raises(ExtractionRefused, match="holds no examples"):
        read(b"\n\n", "a.jsonl")
    with pytest.raises(ExtractionRefused, match="is no list of examples"):
        read(lines(GOOD), "a.json")
    with pytest.raises(ExtractionRefused, match="more examples than one may"):
        read(lines(GOOD, GOOD, GOOD), "a.jsonl", Limits(rows=2))


def test_a_chat_that_repeats_itself_without_bound_is_refused(read: Read) -> None:
    chat = said(*["word " * 20] * 2001)
    with pytest.raises(ExtractionRefused, match="more examples than one may"):
        read(lines({"messages": chat}), "a.jsonl")


TABLE = Table(("Question", "Answer"), (("Who sued?", "Acme, not Bolt."), ("When?", "In May;\nin 2019.")))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_is_read_whatever_separates_its_columns(read: Read, delimiter: str) -> None:
    rows = [
        ["Question", "Answer"],
        ["Who sued?", '"Acme, not Bolt."'],
        ["", ""],
        ["When?", '"In May;\nin 2019."'],
    ]
    data = "\r\n".join(delimiter.join(row) for row in rows).encode()
    found = read(data, "a.csv")
    assert (found.kind, found.table) == ("csv", TABLE)


def test_excel_s_own_word_on_the_delimiter_and_its_code_page_are_heeded(read: Read) -> None:
    found = read("sep=;\r\nFrage;Antwort\r\nÜber, was;§ 2".encode("cp1252"), "a.csv")
    assert found.table == Table(("Frage", "Antwort"), (("Über, was", "§ 2"),))


def test_without_a_header_the_columns_are_counted(read: Read) -> None:
    first = "What is a motion in limine and when is it to be made before trial?"
    assert read(f"{first},It depends.\nWho?,Acme,2019".encode(), "a.csv").table == Table(
        ("Column 1", "Column 2", "Column 3"), ((first, "It depends.", ""), ("Who?", "Acme", "2019"))
    )


def test_the_first_sheet_of_a_workbook_is_read(read: Read) -> None:
    data = workbook(
        [
            ["Question", "Answer", "Year"],
            ["Who?", "Acme", 2019.0],
            ["When?", datetime.datetime(2019, 5, 1), 1.5],
        ],
        [["Another sheet"]],
    )
    found = read(data, "a.xlsx")
    assert (found.kind, found.table) == (
        "xlsx",
        Table(("Question", "Answer", "Year"), (("Who?", "Acme", "2019"), ("When?", "2019-05-01", "1.5"))),
    )


def test_a_table_that_is_too_large_is_refused(read: Read) -> None:
    with pytest.raises(ExtractionRefused, match="larger than one may be"):
        read(b"a,b\nc,d\ne,f", "a.csv", Limits(rows=2))
    with pytest.raises(ExtractionRefused, match="more than 100 columns"):
        read(workbook([["word"] * 101]), "a.xlsx")


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"1,2\n3,4", "a.csv", "no_text"),
        (workbook([]), "a.xlsx", "no_text"),
        (packed({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<no"}), "a.xlsx", "corrupt"),
        (packed({"[Content_Types].xml": b"<Types/>", "xl/a.xml": bytes(8 << 20)}), "a.xlsx", "too_complex"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_words(
    read: Read, data: bytes, name: str, code: str
) -> None:
    with pytest.raises(ExtractionRefused) as refused:
        read(data, name)
    assert refused.value.code == code
    is_one_sentence(refused.value.message)

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.documents.layout import Block, BlockKind, Layout
from webapp.findings.models import Finding, FindingKind, FindingState
from webapp.findings.recognisers import find
from webapp.findings.redaction import NAMES, REDACTED, Pseudonyms, previews, redact


def layout(*texts: str) -> Layout:
    return Layout(tuple(Block(BlockKind.PARAGRAPH, text) for text in texts))


def finding(
    text: str, words: str, kind: FindingKind, state: FindingState = FindingState.OPEN, *, nth: int = 0
) -> Finding:
    start = [match.start() for match in re.finditer(re.escape(words), text)][nth]
    return Finding(kind=kind, start=start, end=start + len(words), state=state)


def recognised(of: Layout, state: FindingState = FindingState.OPEN) -> list[Finding]:
    return [
        Finding(kind=found.kind, start=found.start, end=found.end, state=state) for found in find(of.text)
    ]


def texts(blocks: Sequence[Block]) -> list[str]:
    return [block.text for block in blocks]


@pytest.mark.parametrize("state", [FindingState.OPEN, FindingState.REDACTED])
def test_what_is_redacted_or_undecided_becomes_a_pseudonym(state: FindingState) -> None:
    text = layout(
        "Write to jane@example.com, 123-45-6789.",
        "Call (212) 736-5000; born March 3, 1980.",
        "See 539 U. S. 306.",
    )
    assert texts(redact(text, recognised(text, state), Pseudonyms())) == [
        "Write to [E-mail 1], [Social Security number 1].",
        "Call [Phone 1]; born [Date of birth 1].",
        "See 539 U. S. 306.",
    ]


@pytest.mark.parametrize("state", [FindingState.ACCEPTED, FindingState.IGNORED])
def test_what_somebody_decided_may_stay_stays(state: FindingState) -> None:
    text = layout("PRIVILEGED AND CONFIDENTIAL", "Write to jane@example.com, 123-45-6789.")
    assert redact(text, recognised(text, state), Pseudonyms()) == list(text.blocks)


def test_one_value_has_one_pseudonym_however_and_wherever_it_is_written() -> None:
    pseudonyms = Pseudonyms()
    one = layout("Call (212) 736-5000 or 212-736-5001.")
    other = layout(
        "Tel. 2127365000 and +1 212.736.5001, not 212-736-5002.", "Born 03/03/1980.", "DOB March 3, 1980"
    )
    assert texts(redact(one, recognised(one), pseudonyms)) == ["Call [Phone 1] or [Phone 2]."]
    assert texts(redact(other, recognised(other), pseudonyms)) == [
        "Tel. [Phone 1] and [Phone 2], not [Phone 3].",
        "Born [Date of birth 1].",
        "DOB [Date of birth 1]",
    ]


def test_the_same_documents_in_the_same_order_get_the_same_pseudonyms() -> None:
    text = layout("Write to b@example.com, a@example.com and B@EXAMPLE.COM.")
    assert redact(text, recognised(text), Pseudonyms()) == redact(text, recognised(text), Pseudonyms())
    assert (
        redact(text, recognised(text), Pseudonyms())[0].text
        == "Write to [E-mail 1], [E-mail 2] and [E-mail 1]."
    )


@pytest.mark.parametrize("kind", [FindingKind.BLACK_BOX, FindingKind.HIDDEN, FindingKind.INSERTED])
def test_words_that_the_file_hid_are_redacted_without_a_name(kind: FindingKind) -> None:
    text = layout("The sum was one million.", "No more.")
    assert texts(redact(text, [finding(text.text, "one million", kind)], Pseudonyms())) == [
        f"The sum was {REDACTED}.",
        "No more.",
    ]


@pytest.mark.parametrize("state", list(FindingState))
@pytest.mark.parametrize("kind", [FindingKind.COMMENT, FindingKind.DELETED])
def test_what_was_never_in_the_text_changes_nothing(kind: FindingKind, state: FindingState) -> None:
    text = layout("The sum was one million.")
    assert redact(text, [Finding(kind=kind, start=4, end=4, state=state)], Pseudonyms()) == list(text.blocks)


def test_a_privileged_paragraph_goes_as_a_whole_and_no_other() -> None:
    text = layout("PRIVILEGED AND CONFIDENTIAL advice of counsel", "The weather was fine.")
    assert texts(redact(text, recognised(text), Pseudonyms())) == ["The weather was fine."]


def test_what_reaches_over_paragraphs_is_named_once_and_empty_paragraphs_go() -> None:
    text = layout("Before. Secret", "wholly secret", "secret. After.")
    hidden = [finding(text.text, "Secret\n\nwholly secret\n\nsecret", FindingKind.HIDDEN)]
    assert texts(redact(text, hidden, Pseudonyms())) == [f"Before. {REDACTED}", ". After."]


def test_a_box_over_a_number_and_more_hides_all_of_it() -> None:
    text = layout("Call (212) 736-5000 now.")
    box = finding(text.text, "Call (212) 736", FindingKind.BLACK_BOX)
    assert texts(redact(text, [*recognised(text), box], Pseudonyms())) == [f"{REDACTED} now."]


def test_a_box_over_just_the_number_leaves_its_pseudonym() -> None:
    text = layout("Call (212) 736-5000 now.")
    box = finding(text.text, "(212) 736-5000", FindingKind.BLACK_BOX)
    for findings in ([*recognised(text), box], [box, *recognised(text)]):
        assert texts(redact(text, findings, Pseudonyms())) == ["Call [Phone 1] now."]


def test_a_box_that_may_stay_does_not_show_the_number_under_it() -> None:
    text = layout("Call (212) 736-5000 now.")
    box = finding(text.text, text.text, FindingKind.BLACK_BOX, FindingState.ACCEPTED)
    assert texts(redact(text, [*recognised(text), box], Pseudonyms())) == ["Call [Phone 1] now."]


def test_an_identifier_goes_wherever_else_the_text_repeats_it() -> None:
    text = layout("Account number 12345678.", "The 12345678 account, not 912345678 or 123456789.")
    assert texts(redact(text, recognised(text), Pseudonyms())) == [
        "Account number [Bank account 1].",
        "The [Bank account 1] account, not 912345678 or 123456789.",
    ]


def test_a_repeated_identifier_stays_where_somebody_decided_so() -> None:
    text = layout("Write to a@b.example.", "Or to a@b.example.")
    first, second = recognised(text)
    second.state = FindingState.ACCEPTED
    assert texts(redact(text, [first, second], Pseudonyms())) == [
        "Write to [E-mail 1].",
        "Or to a@b.example.",
    ]


def test_an_insertion_that_may_stay_keeps_no_number_that_is_open_elsewhere() -> None:
    text = layout("Account number 12345678.", "Pay into 12345678 today.")
    inserted = finding(text.text, "Pay into 12345678 today.", FindingKind.INSERTED, FindingState.ACCEPTED)
    assert texts(redact(text, [*recognised(text), inserted], Pseudonyms())) == [
        "Account number [Bank account 1].",
        "Pay into [Bank account 1] today.",
    ]


def test_a_preview_names_each_place_as_the_dataset_would() -> None:
    text = layout("Call (212) 736-5000 or 212.736.5000.", "PRIVILEGED AND CONFIDENTIAL")
    found = recognised(text)
    assert [previews(text, found)[one.id] for one in found] == ["[Phone 1]", "[Phone 1]", REDACTED]


# The words between the findings hold no digit, no bracket and no at sign: nothing of a value is in them.
FILLING = st.text(alphabet="abc XYZ.,\u00e4\u2019", min_size=1, max_size=12)
VALUES = st.sampled_from(
    [
        (FindingKind.PHONE, "(212) 736-5000"),
        (FindingKind.PHONE, "212-736-5001"),
        (FindingKind.EMAIL, "jane@firm.example"),
        (FindingKind.SSN, "123-45-6789"),
        (FindingKind.CARD, "4111 1111 1111 1111"),
        (FindingKind.BLACK_BOX, "#77#"),
        (FindingKind.HIDDEN, "#88#"),
        (FindingKind.INSERTED, "#99#"),
    ]
)  # fmt: skip
STATES = st.sampled_from(list(FindingState))


@st.composite
def documents(draw: st.DrawFn) -> tuple[Layout, list[Finding]]:
    """A document of a few paragraphs, and a finding in one of the states for each value in it."""
    blocks, findings, at = [], [], 0
    for number in range(draw(st.integers(1, 5))):
        text = draw(FILLING)
        for kind, value in draw(st.lists(VALUES, max_size=3)):
            text += " "
            start = at + len(text)
            findings.append(Finding(kind=kind, start=start, end=start + len(value), state=draw(STATES)))
            text += value + " " + draw(FILLING)
        blocks.append(
            Block(
                draw(st.sampled_from(list(BlockKind))), text, page=number + 1, level=draw(st.integers(0, 3))
            )
        )
        at += len(text) + 2
    return Layout(tuple(blocks)), findings


OUT = {FindingState.OPEN, FindingState.REDACTED}


@given(documents())
def test_nothing_redacted_remains_and_all_else_does(made: tuple[Layout, list[Finding]]) -> None:
    """Built again from the parts: what goes is its pseudonym, what stays is as it was to the character."""
    of, findings = made
    pseudonyms, text, expected, at = Pseudonyms(), of.text, "", 0
    for one in findings:
        value = text[one.start : one.end]
        expected += text[at : one.start]
        expected += pseudonyms.of(one.kind, value) if one.state in OUT else value
        at = one.end
    expected += text[at:]
    kept = redact(of, findings, Pseudonyms())
    assert "\n\n".join(texts(kept)).split("\n\n") == [part for part in expected.split("\n\n") if part.strip()]
    gone = {text[one.start : one.end] for one in findings if one.state in OUT}
    stays = {text[one.start : one.end] for one in findings if one.state not in OUT}
    for value in gone - stays:
        assert value not in "\n\n".join(texts(kept))


@given(documents())
def test_blocks_keep_their_kind_page_and_level(made: tuple[Layout, list[Finding]]) -> None:
    of, findings = made
    before = [(block.kind, block.page, block.level) for block in of.blocks if block.text.strip()]
    assert [(block.kind, block.page, block.level) for block in redact(of, findings, Pseudonyms())] == before


BOXES = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60), STATES), max_size=6)


@given(documents(), BOXES)
def test_findings_may_overlap(
    made: tuple[Layout, list[Finding]], places: list[tuple[int, int, FindingState]]
) -> None:
    """Whatever an open or redacted finding covers is gone, and so is every repetition of an identifier that
    nobody let stay. Every other character is there, in order."""
    of, findings = made
    text = of.text
    boxes = [
        Finding(
            kind=FindingKind.BLACK_BOX,
            start=min(start, len(text)),
            end=min(start + length, len(text)),
            state=state,
        )
        for start, length, state in places
    ]
    both = findings + boxes
    gone, stays = (
        {at for one in both if (one.state in OUT) is out for at in range(one.start, one.end)}
        for out in (True, False)
    )
    for one in findings:
        value = re.escape(text[one.start : one.end])
        for match in re.finditer(rf"(?<!\w){value}(?!\w)", text):
            if one.kind in NAMES and one.state in OUT and not stays & set(range(*match.span())):
                gone |= set(range(*match.span()))
    visible = "".join(letter for at, letter in enumerate(text) if at not in gone)
    kept = "\n\n".join(texts(redact(of, both, Pseudonyms())))
    assert re.sub(r"\[[^\]\[]*\]|\s", "", kept) == re.sub(r"\s", "", visible)
    assert kept == "\n\n".join(texts(redact(of, both[::-1], Pseudonyms())))

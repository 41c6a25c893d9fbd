"""The style profile, on small texts of two houses: every count is the one a person reads off the text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.datasets.profile import ProfileBuilder
from webapp.datasets.profile.shape import KEPT_OPENINGS, Openings
from webapp.datasets.profile.tally import EXAMPLE_LENGTH, EXAMPLES
from webapp.documents.layout import Block, BlockKind, Layout

COURT = """The standard is settled. Grutter v. Bollinger, 539 U. S. 306, 325–326 (2003). See Gratz v. \
Bollinger, 539 U. S. 244 (2003). The Court said so, 539 U. S., at 327, n. 4, and it said so twice. Id., at \
330. See also Texas v. Holder, 644 F. 3d 301 (CA5 2011) (per curiam). Ibid.

Congress acted in 42 U. S. C. §1983, and §1985 followed on January 2, 1998. The rule is Fed. Rule Civ. \
Proc. 12(b)(6). He asked for “time, money, and counsel.” He waited twenty days—no more. Cf. Iqbal, supra, \
at 678."""

BLUEBOOK = """The standard is settled. Grutter v. Bollinger, 539 U.S. 306, 325-26 (2003). See Gratz v. \
Bollinger, 539 U.S. 244 (2003). The Court said so, 539 U.S. at 327 n.4, and it said so twice. Id. at 330. \
See also Texas v. Holder, 644 F.3d 301 (5th Cir. 2011) (per curiam). Id.

Congress acted in 42 U.S.C. § 1983, and § 1985 followed on 2 January 1998. The rule is Fed. R. Civ. P. \
12(b)(6). He asked for "time, money and counsel". He didn't wait 20 days -- no more. Cf. Iqbal, supra \
note 6."""


def profile(*texts: str) -> dict[str, Any]:
    builder = ProfileBuilder()
    for text in texts:
        builder.add(Layout.of_text(text).blocks)
    return builder.result()


def feature(result: dict[str, Any], key: str) -> dict[str, Any]:
    return next(told for section in result["sections"] for told in section["features"] if told["key"] == key)


def counts(result: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {
        told["key"]: {form["key"]: form["count"] for form in told["forms"]}
        for section in result["sections"]
        for told in section["features"]
    }


def test_a_text_in_the_supreme_courts_style() -> None:
    found = counts(profile(COURT))
    expected = {
        "us": {"spaced": 3},
        "f": {"spaced": 1},
        "circuit": {"ca": 1},
        "versus": {"v": 3},
        "short": {"comma": 1},
        "year": {"year": 3},
        "pin": {"none": 2, "pin": 1},
        "range": {"whole": 1},
        "range_sign": {"dash": 1},
        "note": {"spaced": 1},
        "id": {"comma": 1, "ibid": 1},
        "supra": {"comma": 1},
        "signal": {"see": 1, "also": 1, "cf": 1},
        "parenthetical": {"opinion": 1},
        "code": {"spaced": 1},
        "section": {"closed": 2},
        "rules": {"rule": 1},
        "date": {"mdy": 1},
        "number": {"word": 1},
        "oxford": {"comma": 1},
        "quotes": {"curly": 2},
        "stop": {"inside": 1},
        "dash": {"em": 1},
    }
    assert {key: found[key] for key in expected} == expected
    assert set(found) - set(expected) == {"sentence", "paragraph", "part"}


def test_a_text_in_the_bluebooks_style() -> None:
    found = counts(profile(BLUEBOOK))
    expected = {
        "us": {"closed": 3},
        "f": {"closed": 1},
        "circuit": {"cir": 1},
        "versus": {"v": 3},
        "short": {"plain": 1},
        "year": {"year": 3},
        "pin": {"none": 2, "pin": 1},
        "range": {"cut": 1},
        "range_sign": {"hyphen": 1},
        "note": {"closed": 1},
        "id": {"plain": 1, "alone": 1},
        "supra": {"note": 1},
        "signal": {"see": 1, "also": 1, "cf": 1},
        "parenthetical": {"opinion": 1},
        "code": {"closed": 1},
        "section": {"spaced": 2},
        "rules": {"r": 1},
        "date": {"dmy": 1},
        "number": {"figure": 1},
        "contraction": {"short": 1},
        "oxford": {"none": 1},
        "quotes": {"straight": 2},
        "apostrophe": {"straight": 1},
        "dash": {"hyphens": 1},
    }
    assert {key: found[key] for key in expected} == expected
    assert set(found) - set(expected) == {"sentence", "paragraph", "part"}


@pytest.mark.parametrize(
    ("text", "key", "form"),
    [
        ("Roe v. Wade, 410 U.S. 113, 93 S. Ct. 705 (1973).", "sct", "spaced"),
        ("Roe v. Wade, 93 S.Ct. 705 (1973).", "sct", "closed"),
        ("Roe v. Wade, 410 US 113 (1973).", "us", "bare"),
        ("Doe v. Roe, 12 F.Supp.2d 34, 36 (D. Me. 2001).", "supp", "closed"),
        ("Doe v. Roe, 12 F. Supp. 2d at 36.", "supp", "spaced"),
        ("Doe v. Roe, 12 N. E. 2d 34 (1999).", "regional", "spaced"),
        ("Doe v. Roe, 12 F.3d 34 (2nd Cir. 1999).", "circuit", "nd"),
        ("Doe v. Roe, 12 F.3d 34 (D.C. Cir. 1999).", "circuit", "cir"),
        ("He cites Doe vs. Roe.", "versus", "vs"),
        ("He cites Doe v Roe.", "versus", "bare"),
        ("The claim lies under Section 1983.", "section", "word"),
        ("The claim lies under section 1983.", "section", "small"),
        ("The claim lies under sec. 1983.", "section", "sec"),
        ("See Federal Rule of Civil Procedure 12.", "rules", "words"),
        ("It fails under FRCP 12(b).", "rules", "initials"),
        ("It fails under Rule 12(b).", "rules", "short"),
        ("It was Jan. 2, 2020.", "date", "short"),
        ("It was 1/2/2020.", "date", "slash"),
        ("It was 2020-01-02.", "date", "iso"),
        ("It was January 2nd.", "date", "ordinal"),
        ("It was the 2nd of January.", "date", "ordinal"),
        ("He owns 12 percent.", "percent", "percent"),
        ("He owns 12 per cent.", "percent", "per_cent"),
        ("He owns 12%.", "percent", "sign"),
        ("He waited ten days.", "small_number", "word"),
        ("He waited 10 days.", "small_number", "figure"),
        ("He was there for forty-five minutes.", "number", "word"),
        ("It is a question of honour.", "spelling", "british"),
        ("It is a question of honor.", "spelling", "american"),
        ("The judgement stands.", "judgment", "judgement"),
        ("He cannot say.", "contraction", "full"),
        ("He can’t say.", "contraction", "short"),
        ("He is clearly wrong.", "emphasis", "clearly"),
        ("He said “so”.", "stop", "outside"),
        ("He said — and meant — so.", "dash", "em_spaced"),
        ("He said – and meant – so.", "dash", "en"),
        ("He said . . . so.", "ellipsis", "spaced"),
        ("He said... so.", "ellipsis", "closed"),
        ("He said… so.", "ellipsis", "sign"),
        ("See, e.g., Doe v. Roe.", "signal", "eg"),
        ("But see Doe v. Roe.", "signal", "but"),
        ("It holds. Accord Doe v. Roe.", "signal", "accord"),
        ("Roe v. Doe, 1 F.3d 2; cf. Doe v. Roe, 3 F.3d 4.", "signal", "cf"),
        ("1 F.3d 2 (quoting Doe v. Roe).", "parenthetical", "quoting"),
        ("1 F.3d 2 (holding that he may not).", "parenthetical", "holding"),
        ("1 F.3d 2 (internal quotation marks omitted).", "parenthetical", "marks"),
        ("1 F.3d 2 (cleaned up).", "parenthetical", "cleaned"),
        ("1 F.3d 2 (Scalia, J., dissenting).", "parenthetical", "judge"),
    ],
)
def test_a_form_is_told(text: str, key: str, form: str) -> None:
    assert list(counts(profile(text))[key]) == [form]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Rule 12 requires it, and § 15 bars it.", "number"),
        ("It was 12 was it not.", "number"),
        ("The Honor Guard of St. Mary’s Center came.", "spelling"),
        ("I see 4 May 2020 as the date.", "signal"),
        ("The first, he said, and went.", "oxford"),
        ("He read the book. And he liked it.", "gap"),
        ("The jurist did identify the id of a record at page 5.", "id"),
    ],
)
def test_what_only_looks_like_a_form_is_not_counted(text: str, key: str) -> None:
    assert key not in counts(profile(text))


def test_a_day_before_its_month_is_one_date() -> None:
    assert counts(profile("They met on 4 May 20 times and on 6 June 2019."))["date"] == {"dmy": 2}


def test_two_spaces_are_told_only_where_some_are_seen() -> None:
    """Most formats are read without their spacing, so single spaces alone say nothing of the house."""
    found = counts(profile("One thing.  Another thing. A third."))
    assert found["gap"] == {"two": 1, "one": 1}


def test_sentences_and_paragraphs_are_measured_without_citations_and_titles() -> None:
    result = profile("MEMORANDUM\n\nThe rule is old and plain. It says so. See Doe v. Roe, 1 F.3d 2 (1999).")
    sentence, paragraph = feature(result, "sentence"), feature(result, "paragraph")
    assert (sentence["total"], sentence["mean"], sentence["median"]) == (2, 4.5, 3)
    assert [form["count"] for form in sentence["forms"]] == [2, 0, 0, 0, 0]
    assert (paragraph["total"], paragraph["mean"]) == (1, 17.0)


def test_openings_are_ranked() -> None:
    text = "It is so. It is not so. The court held so. The court went home. It is late. Nobody came at all."
    assert counts(profile(text))["sentence_opening"] == {"It is": 3, "The court": 2}
    assert feature(profile(text), "sentence_opening")["total"] == 6


def test_openings_stay_bounded_and_keep_the_common_ones() -> None:
    openings = Openings()
    for number in range(3 * KEPT_OPENINGS):
        openings.add(["Word", str(number)])
        if number % 10 == 0:
            openings.add(["It", "is"])
    assert len(openings.counts) <= KEPT_OPENINGS
    assert openings.commonest() == [("It is", 3 * KEPT_OPENINGS // 10)]
    assert openings.total == 3 * KEPT_OPENINGS * 11 // 10


def test_headings_parts_and_items() -> None:
    blocks = [
        Block(BlockKind.HEADING, "I. THE FACTS OF THE CASE", level=1),
        Block(BlockKind.HEADING, "A. Whether the Claim Should Stand", level=2),
        Block(BlockKind.HEADING, "1. Why the claim should fall", level=3),
        Block(BlockKind.HEADING, "Conclusion", level=1),
        Block(BlockKind.NUMBERED, "(1) The claimant is a company."),
        Block(BlockKind.QUOTE, "No man is an island."),
        Block(BlockKind.FOOTNOTE, "1 See Doe v. Roe."),
    ]
    builder = ProfileBuilder()
    builder.add(blocks)
    found = counts(builder.result())
    assert found["heading_case"] == {"capitals": 1, "title": 1, "sentence": 1}
    assert found["heading_number"] == {"roman": 1, "letter": 1, "figure": 1, "none": 1}
    assert found["item"] == {"round": 1}
    assert found["part"] == {"heading": 19, "numbered": 6, "quote": 5, "footnote": 5}
    assert found["signal"] == {"see": 1}
    assert feature(builder.result(), "sentence")["total"] == 1


def test_examples_are_short_few_and_show_the_form_in_its_sentence() -> None:
    sentence = "It is " + "very " * 60 + "settled that Grutter v. Bollinger, 539 U. S. 306, 325, controls. "
    us = feature(profile(sentence * 5), "us")["forms"][0]
    assert us["count"] == 5
    assert 1 <= len(us["examples"]) <= EXAMPLES
    for example in us["examples"]:
        assert example["hit"] == "539 U. S. 306, 325"
        assert len("".join(example.values())) <= EXAMPLE_LENGTH
        assert example["before"].startswith("…")


def test_an_example_stays_within_its_block() -> None:
    example = feature(profile("A secret.\n\nSee 539 U. S. 306.\n\nAnother."), "us")["forms"][0]["examples"][0]
    assert example == {"before": "See ", "hit": "539 U. S. 306", "after": "."}


def test_nothing_makes_an_empty_profile() -> None:
    assert ProfileBuilder().result() == {"version": 1, "words": 0, "sections": []}


PIECES = st.sampled_from(
    [
        *COURT.replace("\n\n", " ").split(". "),
        *BLUEBOOK.replace("\n\n", " ").split(". "),
        "I. THE FACTS",
        "It is “so,” he said.",
        'He said "no',
        "a, b, and c; see id. at 4",
        "2",
        " ",
        "",
        "\u00a0Id.,\u00a0at\u00a05",
        "two or three honours and 12 defences",
    ]
)
BLOCKS = st.lists(
    st.builds(
        Block,
        st.sampled_from(BlockKind),
        st.lists(st.one_of(PIECES, st.text(max_size=30)), max_size=6).map(". ".join),
    ),
    max_size=12,
)


@given(BLOCKS, st.integers(0, 12))
def test_adding_in_two_calls_counts_as_in_one_and_counts_add_up(blocks: list[Block], at: int) -> None:
    whole, parts = ProfileBuilder(), ProfileBuilder()
    whole.add(blocks)
    parts.add(blocks[:at])
    parts.add(blocks[at:])
    result = whole.result()
    assert parts.result() == result
    assert json.loads(json.dumps(result)) == result
    assert "\\u0000" not in json.dumps(result)
    for section in result["sections"]:
        assert section["features"]
        for told in section["features"]:
            total = sum(form["count"] for form in told["forms"])
            some = told["key"] == "emphasis" or told["key"].endswith("_opening")
            assert total <= told["total"] if some else total == told["total"]
            for form in told["forms"]:
                assert form["label"] and 0 <= form["share"] <= 1
                assert form["share"] == pytest.approx(form["count"] / told["total"], abs=1e-6)
                assert len(form["examples"]) <= EXAMPLES
                assert all(len("".join(example.values())) <= EXAMPLE_LENGTH for example in form["examples"])

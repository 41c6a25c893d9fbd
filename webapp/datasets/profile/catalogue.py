"""What a style profile looks at, in the order in which its page is read, and the words for each form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from webapp.datasets.profile.spelling import EMPHASIS

# choice: one thing printed in one of several ways, of which a house settles on one.
# list: words and phrases that stand beside each other. measure: a length, in buckets.
Kind = Literal["choice", "list", "measure"]


@dataclass(frozen=True)
class Feature:
    """`forms` maps the key of a form to its name; `verb` joins a dataset and a form to a sentence."""

    key: str
    label: str
    forms: Mapping[str, str] = field(default_factory=dict)
    verb: str = "prints"
    kind: Kind = "choice"
    of: str = "places"  # what the feature's total counts
    floor: float = 0.0  # of a list: the share from which a phrase is worth a word when two houses differ


@dataclass(frozen=True)
class Section:
    key: str
    label: str
    features: tuple[Feature, ...]


REPORTERS = Section(
    "reporters",
    "Reporters and courts",
    (
        Feature("us", "United States Reports", {"spaced": "“U. S.”", "closed": "“U.S.”", "bare": "“US”"}),
        Feature(
            "sct", "Supreme Court Reporter", {"spaced": "“S. Ct.”", "closed": "“S.Ct.”", "bare": "“S Ct”"}
        ),
        Feature("f", "Federal Reporter", {"spaced": "“F. 3d”", "closed": "“F.3d”", "bare": "“F3d”"}),
        Feature(
            "supp",
            "Federal Supplement",
            {"spaced": "“F. Supp. 2d”", "closed": "“F.Supp.2d”", "bare": "“F Supp 2d”"},
        ),
        Feature("regional", "Regional reporters", {"spaced": "“N. E. 2d”", "closed": "“N.E.2d”"}),
        Feature(
            "year",
            "Year after a case",
            {"year": "a year, “(2003)”", "none": "no year"},
            verb="gives",
            of="full citations",
        ),
        Feature(
            "circuit",
            "Circuits",
            {"cir": "“(2d Cir. 2011)”", "nd": "“(2nd Cir. 2011)”", "ca": "“(CA2 2011)”"},
        ),
        Feature("versus", "Between the parties", {"v": "“v.”", "vs": "“vs.”", "bare": "“v” alone"}),
    ),
)

CITING = Section(
    "citing",
    "How cases are cited",
    (
        Feature(
            "short",
            "Short citations",
            {"comma": "a comma, “539 U. S., at 326”", "plain": "no comma, “539 U.S. at 326”"},
            verb="puts",
        ),
        Feature(
            "id",
            "The same again",
            {
                "comma": "“Id., at 5”",
                "plain": "“Id. at 5”",
                "ibid": "“Ibid.”",
                "alone": "“Id.” with no page",
            },
        ),
        Feature(
            "supra",
            "Cited above",
            {
                "comma": "“supra, at 5”",
                "plain": "“supra at 5”",
                "note": "“supra note 5”",
                "alone": "“supra” with no page",
            },
        ),
        Feature(
            "pin",
            "Page within a case",
            {"pin": "the page cited, “306, 325”", "none": "only the first page"},
            verb="gives",
            of="full citations",
        ),
        Feature(
            "range",
            "Runs of pages",
            {"whole": "both numbers whole, “295–296”", "cut": "the second shortened, “295–96”"},
        ),
        Feature(
            "range_sign", "Between two pages", {"dash": "a dash, “295–296”", "hyphen": "a hyphen, “295-296”"}
        ),
        Feature("note", "Footnotes of a case", {"spaced": "“n. 3”", "closed": "“n.3”"}),
        Feature(
            "signal",
            "Signals",
            {
                "see": "See",
                "eg": "See, e.g.,",
                "also": "See also",
                "generally": "See generally",
                "cf": "Cf.",
                "but": "But see",
                "but_cf": "But cf.",
                "accord": "Accord",
                "compare": "Compare",
                "contra": "Contra",
            },
            verb="uses",
            kind="list",
            of="signals",
            floor=0.1,
        ),
        Feature(
            "parenthetical",
            "In parentheses after a citation",
            {
                "quoting": "(quoting …)",
                "citing": "(citing …)",
                "holding": "(holding that …)",
                "explaining": "(finding, explaining or noting that …)",
                "emphasis": "(emphasis added)",
                "marks": "(internal quotation marks omitted)",
                "cleaned": "(cleaned up)",
                "citations": "(citations omitted)",
                "opinion": "(plurality opinion), (per curiam)",
                "judge": "(…, J., dissenting)",
            },
            verb="uses",
            kind="list",
            of="parentheses",
            floor=0.1,
        ),
    ),
)

STATUTES = Section(
    "statutes",
    "Statutes and rules",
    (
        Feature(
            "code", "United States Code", {"spaced": "“U. S. C.”", "closed": "“U.S.C.”", "bare": "“USC”"}
        ),
        Feature(
            "section",
            "Sections",
            {
                "closed": "“§1983”",
                "spaced": "“§ 1983”",
                "word": "“Section 1983”",
                "small": "“section 1983”",
                "sec": "“sec. 1983”",
            },
        ),
        Feature(
            "rules",
            "Federal rules",
            {
                "r": "“Fed. R. Civ. P.”",
                "rule": "“Fed. Rule Civ. Proc.”",
                "words": "“Federal Rule of Civil Procedure”",
                "initials": "“FRCP”",
                "short": "“Rule 12” alone",
            },
        ),
    ),
)

WORDS = Section(
    "words",
    "Words, dates and numbers",
    (
        Feature(
            "date",
            "Dates",
            {
                "mdy": "“January 2, 2020”",
                "dmy": "“2 January 2020”",
                "short": "“Jan. 2, 2020”",
                "ordinal": "“January 2nd”",
                "slash": "“1/2/2020”",
                "iso": "“2020-01-02”",
            },
            verb="writes",
        ),
        Feature(
            "small_number",
            "Numbers from two to ten",
            {"word": "words, “ten days”", "figure": "figures, “10 days”"},
            verb="uses",
        ),
        Feature(
            "number",
            "Numbers from eleven to ninety-nine",
            {"word": "words, “twenty days”", "figure": "figures, “20 days”"},
            verb="uses",
        ),
        Feature(
            "percent",
            "Percentages",
            {"sign": "“12%”", "percent": "“12 percent”", "per_cent": "“12 per cent”"},
            verb="writes",
        ),
        Feature(
            "spelling",
            "Spelling",
            {"american": "American, “honor”", "british": "British, “honour”"},
            verb="spells",
        ),
        Feature(
            "judgment", "Judgment", {"judgment": "“judgment”", "judgement": "“judgement”"}, verb="spells"
        ),
        Feature(
            "contraction",
            "Contractions",
            {"full": "no contractions, “do not”", "short": "contractions, “don’t”"},
            verb="uses",
        ),
        Feature(
            "emphasis",
            "Words of emphasis",
            {word: word for word in EMPHASIS},
            verb="uses",
            kind="list",
            of="words",
            floor=0.0002,
        ),
    ),
)

PUNCTUATION = Section(
    "punctuation",
    "Punctuation",
    (
        Feature(
            "quotes",
            "Quotation marks",
            {"curly": "typographic ones, “ ”", "straight": 'straight ones, " "'},
            verb="uses",
            of="marks",
        ),
        Feature(
            "apostrophe",
            "Apostrophes",
            {"curly": "typographic ones, ’", "straight": "straight ones, '"},
            verb="uses",
            of="marks",
        ),
        Feature(
            "stop",
            "Full stop and closing quotation mark",
            {"inside": "the stop inside, “so.”", "outside": "the stop outside, “so”."},
            verb="puts",
        ),
        Feature(
            "oxford",
            "Last comma of a list",
            {"comma": "a comma, “a, b, and c”", "none": "no comma, “a, b and c”"},
            verb="puts",
            of="lists",
        ),
        Feature(
            "dash",
            "Dashes",
            {
                "em": "a long dash with no spaces",
                "em_spaced": "a long dash between spaces",
                "en": "a short dash between spaces",
                "hyphens": "two hyphens, “--”",
            },
        ),
        Feature(
            "ellipsis", "Words left out", {"spaced": "“. . .”", "closed": "“...”", "sign": "“…” as one sign"}
        ),
        Feature("gap", "After a full stop", {"one": "one space", "two": "two spaces"}, verb="leaves"),
    ),
)

SENTENCES = Section(
    "sentences",
    "Sentences and paragraphs",
    (
        Feature("sentence", "Length of sentences", kind="measure", of="sentences"),
        Feature("paragraph", "Length of paragraphs", kind="measure", of="paragraphs"),
        Feature(
            "sentence_opening",
            "How sentences begin",
            kind="list",
            of="sentences",
            floor=0.01,
        ),
        Feature(
            "paragraph_opening",
            "How paragraphs begin",
            kind="list",
            of="paragraphs",
            floor=0.02,
        ),
    ),
)

LAYOUT = Section(
    "layout",
    "Headings and layout",
    (
        Feature(
            "heading_case",
            "Letters of headings",
            {"capitals": "CAPITALS", "title": "Capitals For Main Words", "sentence": "As in a sentence"},
            of="headings",
        ),
        Feature(
            "heading_number",
            "Numbers of headings",
            {
                "roman": "“I.”",
                "letter": "“A.”",
                "figure": "“1.”",
                "decimal": "“1.1”",
                "bracket": "“(a)”",
                "none": "no number",
            },
            of="headings",
        ),
        Feature(
            "item",
            "Numbers of paragraphs",
            {
                "stop": "“1.”",
                "decimal": "“1.1”",
                "round": "“(1)”",
                "square": "“[1]”",
                "half": "“1)”",
                "pilcrow": "“¶ 1”",
                "letter": "“(a)”",
                "bullet": "a bullet",
            },
            of="numbered paragraphs",
        ),
        Feature(
            "part",
            "What the text is made of",
            {
                "paragraph": "paragraphs",
                "numbered": "numbered paragraphs",
                "quote": "block quotes",
                "footnote": "footnotes",
                "heading": "headings",
            },
            kind="list",
            of="words",
            floor=0.05,
        ),
    ),
)

SECTIONS = (REPORTERS, CITING, STATUTES, WORDS, PUNCTUATION, SENTENCES, LAYOUT)

"""Home addresses in the United States.

A street line counts when words of living somewhere lead to it (“residing at”), or when city, state and ZIP
code follow and nothing near says that it is a court's, a firm's or an office's. A street alone, as in the
facts of a case, does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from webapp.findings.models import FindingKind
from webapp.findings.recognisers.found import Found, before

_STATES = (
    "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho"
    "|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota"
    "|Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|New Mexico|New York"
    "|North Carolina|North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|South Carolina"
    "|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming"
    "|District of Columbia|Puerto Rico|D\\. ?C\\.|N\\. ?Y\\.|N\\. ?J\\.|N\\. ?C\\.|S\\. ?C\\.|N\\. ?H\\."
    "|N\\. ?M\\.|R\\. ?I\\.|Ala\\.|Ariz\\.|Ark\\.|Cal\\.|Calif\\.|Colo\\.|Conn\\.|Del\\.|Fla\\.|Ga\\.|Ill\\."
    "|Ind\\.|Kan\\.|Ky\\.|La\\.|Mass\\.|Md\\.|Mich\\.|Minn\\.|Miss\\.|Mo\\.|Mont\\.|Neb\\.|Nev\\.|Okla\\.|Or\\."
    "|Pa\\.|Tenn\\.|Tex\\.|Va\\.|Vt\\.|Wash\\.|W\\. ?Va\\.|Wis\\.|Wyo\\."
    "|A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]"
    "|UT|V[AT]|W[AIVY]"
)
_SUFFIXES = (
    "Street|St|Avenue|Ave|Boulevard|Blvd|Road|Rd|Drive|Dr|Lane|Ln|Court|Ct|Place|Pl|Way|Terrace|Ter|Circle"
    "|Cir|Parkway|Pkwy|Highway|Hwy|Trail|Trl|Square|Sq|Alley|Loop|Row|Pike|Turnpike|Crescent|Broadway"
)
_GAP = r"(?>[ \u00a0]{0,2},?[ \u00a0\n]{0,2})"
STREET = re.compile(
    r"(?<![\w$§./-])\d{1,6}+(?:-\d{1,4}|[A-Z])?+[ \u00a0]"
    r"(?>(?:[A-Z]\.[A-Z]\.|[A-Z][\w'’]{0,24}+\.?+|\d{1,3}(?:st|nd|rd|th|ST|ND|RD|TH))[ \u00a0]){1,4}"
    rf"(?>(?:{_SUFFIXES}|{_SUFFIXES.upper()})\b\.?+)"
    r"(?>[ \u00a0](?:[NS]\.?[EW]\b\.?|[NSEW]\b\.?|North\b|South\b|East\b|West\b))?+"
    rf"(?>{_GAP}(?:(?:Apartment|APARTMENT|Apt\.?|APT\.?|Unit|UNIT|No\.?)[ \u00a0]{{0,2}}|#[ \u00a0]?)"
    r"[\w-]{1,6})?+"
    rf"(?P<town>{_GAP}(?>[A-Z][\w.'’-]{{0,24}}+[ \u00a0]?+){{1,3}}{_GAP}"
    rf"(?>(?:{_STATES}|{_STATES.upper()})(?![A-Za-z]))"
    r"(?P<zip>,?[ \u00a0]{1,2}\d{5}(?:-\d{4})?(?!\d))?)?"
)
_LIVES_THERE = re.compile(
    r"\b(?:resid(?:es?|ed|ing|ence|ences|ents?)|liv(?:es?|ed|ing)(?:\s\w{1,12}+){0,3}\s(?:at|in)|homes?"
    r"|domiciled?|dwelling|apartment|house)\b[^.;?!]{0,50}$",
    re.IGNORECASE,
)
_WORKS_THERE = re.compile(
    r"\b(?:Court(?:house)?|Clerk|LLP|L\.L\.P\.|LLC|L\.L\.C\.|PLLC|P\.C\.|P\.A\.|Inc\.?|Corp(?:oration|\.)?|Co\.|Company|Bank"
    r"|Offices?|Attorneys?|Counsel|Counselors?|Law|Esq\.?|Department|Dept\.?|Agency|Bureau|Commission|University"
    r"|College|School|Hospital|Church|Suite|Ste\.?|Floor|Fl\.|Room|Rm\.|P\.?O\. Box|Building|Bldg\.?"
    r"|headquarter(?:s|ed)|place of business|store|restaurant|factory|plant|warehouse)(?!\w)",
    re.IGNORECASE,
)
_NOT_A_STREET = re.compile(
    r"\b(?:District|Supreme|Superior|Circuit|County|Bankruptcy|Appeals?|U\.|S\.|F\.|Fed|Cal|Ct|App|Stat)\b",
)
REACH = 120


def find(text: str) -> Iterator[Found]:
    for match in STREET.finditer(text):
        if _NOT_A_STREET.search(text[match.start() : match.end()].split(",")[0].rpartition(" ")[0]):
            continue
        led_to = before(text, match.start(), REACH)
        if _LIVES_THERE.search(led_to) or (match["zip"] and not _is_an_office(text, match, led_to)):
            yield Found(FindingKind.ADDRESS, *match.span())


def _is_an_office(text: str, street: re.Match[str], led_to: str) -> bool:
    """Whether words of a court, firm or office stand above the street, in its line, or right after it."""
    own_paragraph = led_to.rpartition("\n\n")[2]
    return bool(
        _WORKS_THERE.search(own_paragraph)
        or _WORKS_THERE.search(street["town"] or "")
        or _WORKS_THERE.search(text[street.end() : street.end() + 40])
    )

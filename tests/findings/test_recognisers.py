"""What each recogniser takes, and what it leaves. `[[…]]` marks the words that must be found."""

from __future__ import annotations

import itertools
import re

import pytest

from webapp.findings.models import FindingKind
from webapp.findings.recognisers import Found, find

TAKES: dict[FindingKind, list[str]] = {
    FindingKind.SSN: [
        "His number is [[123-45-6789]].",
        "[[001-01-0001]] and [[899-99-9999]] are the ends of what is given out",
        "With the dashes of a typesetter: [[123–45–6789]]",
        "SSN [[123456789]]",
        "Social Security No. [[123 45 6789]]",
        "her social security number was [[123456789]],",
        "[[457-55-5462]] was printed in advertisements, and is a man's own number all the same",
    ],
    FindingKind.PHONE: [
        "Call [[(212) 736-5000]].",
        "[[212-736-5000]]",
        "[[212.736.5000]] is the same",
        "[[1-800-273-8255]] is a hotline",
        "[[+1 (415) 555-2671]]",
        "[[(212) 555-0123]] is invented, as in films, but looks like the rest",
        "London: [[+44 20 7946 0958]]",
        "Berlin: [[+49 30 901820]]",
        "Tel.: [[2127365000]]",
        "cell phone: [[736-5000]]",
        "Fax [[212/736-5000]]",
        "[[(212) 736-5000 ext. 12]]",
        "Phone: [[(988) 555-1212]], of an area that is not in service yet",
    ],
    FindingKind.EMAIL: [
        "Write to [[jane.doe@example.com]].",
        "<[[o'neil+docket@mail.firm.co.uk]]>",
        "mailto:[[a_b@x-y.org]]",
        "[[jürgen@müller.example]]",
    ],
    FindingKind.CARD: [
        "Visa [[4111 1111 1111 1111]]",
        "[[4111-1111-1111-1111]], exp. 12/25",
        "[[4111 1111 1111 1111]] 123",
        "[[5555555555554444]]",
        "[[2223003122003222]]",
        "[[3782 822463 10005]]",
        "[[378282246310005]]",
        "[[6011111111111117]]",
        "[[3530111333300000]]",
        "[[30569309025904]]",
        "[[4222222222222]]",
    ],
    FindingKind.BANK: [
        "IBAN [[GB82 WEST 1234 5698 7654 32]]",
        "[[DE89370400440532013000]]",
        "[[FR14 2004 1010 0505 0001 3M02 606]]",
        "[[NO93 8601 1117 947]] of fifteen",
        "Pay to [[GB82 WEST 1234 5698 7654 32]] BY FRIDAY",
        "routing number [[021000021]]",
        "ABA No. [[0210-0002-1]]",
        "Account No. [[12-3456789]]",
        "acct. # [[1234567890]]",
        "account number: [[000123456789]]",
        "from her checking account [[1234567890]] to his",
        "Account: [[12345678]]",
        "wire to ABA [[121000358]], Account [[12345678]]",
    ],
    FindingKind.BIRTH_DATE: [
        "born [[March 3, 1980]]",
        "She was born in Chicago, Illinois, on [[March 3, 1980]].",
        "DOB: [[03/04/1980]]",
        "D.O.B. [[3-4-80]]",
        "date of birth is [[1980-03-04]]",
        "Date of Birth\n[[4 March 1980]]",
        "[[03/04/1980]] (DOB)",
        "[[March 3, 1980]], her date of birth, is",
        "children born [[3/4/2001]] and [[5/6/2003]], respectively",
    ],
    FindingKind.ADDRESS: [
        "resides at [[742 Evergreen Terrace]]",
        "JOHN DOE\n[[123 MAIN STREET APT 4\nSPRINGFIELD, ILLINOIS 62701]]",
        "to [[4000 N.W. 3rd Ave., Miami, FL 33125]]",
        "residing at [[742 Evergreen Terrace, Springfield, Illinois 62704]].",
        "lived with his mother at [[12 Oak St., Apt. 4B, Boston, MA]] until",
        "her home at [[1600 N. Maple Avenue]] was searched",
        "Jane Doe\n[[742 Evergreen Terrace\nSpringfield, IL 62704-1234]]",
        "sent to Jane Doe, [[15 West 81st Street #5C, New York, N.Y. 10024]], on",
    ],
    FindingKind.PRIVILEGE: [
        "[[PRIVILEGED AND CONFIDENTIAL]]",
        "[[Privileged & Confidential]]",
        "[[Privileged and Confidential]]\nTo: the file",
        "[[PRIVILEGED & CONFIDENTIAL]] – [[ATTORNEY WORK PRODUCT]]",
        "[[Attorney-Client Privileged]]",
        "[[ATTORNEY-CLIENT PRIVILEGED COMMUNICATION]]",
        "MEMORANDUM [[ATTORNEY WORK PRODUCT]]",
        "[[FILED UNDER SEAL]]",
        "[[[Filed Under Seal]]]",
        "[[Subject to Protective Order]]",
        "CONFIDENTIAL – [[SUBJECT TO STIPULATED PROTECTIVE ORDER]]",
        "This memorandum was [[prepared in anticipation of litigation]].",
        "This e-mail message may contain [[privileged and confidential]] information.",
        "This document is [[attorney work product]].",
        "[[Privileged Attorney-Client Communication]]",
        "This e-mail may be protected by the [[attorney-client privilege]] and the [[work product]] rule.",
    ],
}

LEAVES: dict[str, list[str]] = {
    "citations": [
        "Bell Atlantic Corp. v. Twombly, 550 U.S. 544, 570 (2007)",
        "Grutter v. Bollinger, 539 U. S. 306, 326-343, 2003 WL 21433492",
        "410 U.S. 113, 152-153, 93 S. Ct. 705, 35 L. Ed. 2d 147 (1973)",
        "644 F.3d 301, 303-304 (CA5 2011); 631 F. 3d 213, 217-247",
        "42 U.S.C. § 1983; 28 U. S. C. §1292(b); 29 CFR 1910.1200",
        "Ind. Code § 35-42-1-1; Cal. Civ. Code § 1798.100; N.Y. C.P.L.R. 3211(a)(7)",
        "347 U.S. 483, 495 (1954) and 326-343 2003",
        "2021 U.S. Dist. LEXIS 123456789; 2021 WL 1234567",
    ],
    "docket numbers": [
        "Docket No. 20-1507; No. 02-516; Case No. 2:20-cv-01234-ABC-DEF",
        "Index No. 212-555-2368",
        "Cause No. 49D07-2008-PL-026580",
        "Case: 20-1507 Document: 00117671234 Page: 3 Date Filed: 11/22/2020 Entry ID: 6382765",
        "Bates ABC00012345 to ABC00012399; 2025551234",
    ],
    "numbers of nobody": [
        "000-12-3456, 666-12-3456, 900-12-3456, 987-65-4321",
        "123-00-4567 and 123-45-0000",
        "078-05-1120 was a sample card's, 219-09-9999 a pamphlet's: both are void",
        "123 45 6789 and 123456789 with nothing that says what they are",
        "XXX-XX-6789",
        "part 1123-45-6789 and 123-45-67890",
        "4111 1111 1111 1112 fails its check digit",
        "9111111111111111 and 1234567890123452 are no issuer's",
        "0000 0000 0000 0000",
        "GB82 WEST 1234 5698 7654 33 fails its check digits",
        "GB82 WEST 1234 5698 7654 is too short",
        "ZZ82 WEST 1234 5698 7654 32 is no country's",
        "021000021 without a word about what it is",
        "routing number 021000022 fails its checksum",
        "routing number 991000021",
        "account ending in 1234",
        "took into account 1,234,567 votes and on account of 2019",
        "into account 123456",
        "the sum of $123-45-6789",
        "$4,111,111,111,111,111",
        "+12 3",
        "736-5000 with no word before it",
        "9 a.m. on 12/12/2020",
        "user@localhost, @handle, a@b, x @ y.com",
    ],
    "dates that are not of birth": [
        "decided March 3, 1980",
        "born in 1980",
        "The doctrine, born of necessity on March 3, 1980, died",
        "He was born in Chicago. On March 3, 1980, he moved.",
        "airborne on March 3, 1980",
        "She was 40 on 03/04/2020",
    ],
    "addresses that are nobody's home": [
        "on Wall Street, at 100 Main Street",
        "Supreme Court of the United States, 1 First Street NE, Washington, DC 20543",
        "Ashworth & Vale LLP\n100 Wall Street\nNew York, NY 10005",
        "Jane Doe, Esq., 100 Wall Street, New York, NY 10005",
        "100 Wall Street, Suite 2000, New York, NY 10005",
        "100 Wall Street, New York, NY 10005, the principal place of business",
        "Clerk of Court, 500 Pearl Street, New York, New York 10007",
        "the light at 12 Oak Street turned red",
        "100 F.3d 200 (2d Cir. 2005); 12 U.S. District Court",
    ],
    "privilege as a topic": [
        "The attorney-client privilege is the oldest of the privileges.",
        "The memoranda are protected as the work product of counsel.",
        "II. Attorney Work Product",
        "B. THE ATTORNEY-CLIENT PRIVILEGE",
        "THE WORK PRODUCT DOCTRINE",
        "Work Product",
        "The exhibits were filed under seal, and the motion is subject to a protective order.",
        "a memorandum prepared in anticipation of litigation is protected",
        "Whether the e-mails were privileged and confidential is for the court.",
        "This opinion addresses attorney work product only in passing.",
        "(complaint filed under seal)",
        "The court finds that this document is protected by the attorney-client privilege and must stay.",
        "Whether this e-mail is protected by the attorney-client privilege is not before us.",
    ],
}


def marked(line: str) -> tuple[str, list[tuple[int, int]]]:
    """The line without its marks, and the places they were around."""
    text, places = "", []
    for piece in re.split(r"(\[\[.*?\]\](?!\]))", line, flags=re.DOTALL):
        if piece.startswith("[[") and piece.endswith("]]"):
            inner = piece[2:-2]
            if inner.startswith("["):  # a legend in brackets of its own
                places.append((len(text) + 1, len(text) + len(inner) - 1))
            else:
                places.append((len(text), len(text) + len(inner)))
            text += inner
        else:
            text += piece
    return text, places


@pytest.mark.parametrize(
    ("kind", "line"), [(kind, line) for kind, lines in TAKES.items() for line in lines], ids=str
)
def test_it_takes(kind: FindingKind, line: str) -> None:
    text, places = marked(line)
    assert find(text) == [Found(kind, start, end) for start, end in places]


@pytest.mark.parametrize("line", [line for lines in LEAVES.values() for line in lines])
def test_it_leaves(line: str) -> None:
    assert find(line) == []


def test_every_kind_that_is_read_from_the_text_has_a_table() -> None:
    of_the_file = {"black_box", "deleted", "inserted", "comment", "hidden"}
    assert set(TAKES) == set(FindingKind) - {FindingKind(kind) for kind in of_the_file}


def test_places_are_in_order_and_apart() -> None:
    text = "\n\n".join(marked(line)[0] for lines in TAKES.values() for line in lines)
    found = find(text)
    assert len(found) >= sum(len(lines) for lines in TAKES.values())
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))


def test_of_two_readings_of_a_place_the_stronger_gives_the_kind() -> None:
    text = "account number 4111111111111111"
    assert find(text) == [Found(FindingKind.CARD, 15, len(text))]

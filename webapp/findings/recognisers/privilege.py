"""Words by which a document says of itself that it is privileged or sealed.

An opinion about privilege must not light up, so the words alone are not enough. They count as a legend
- where the document speaks of itself: “this memorandum is attorney work product”, “this e-mail may be
  protected by the attorney-client privilege”;
- in capitals, in brackets, or alone on a short line, unless the line is a section's heading or goes on with
  “doctrine”, “privilege”, “claim” and the like, which make a topic of it.
In a running sentence (“the records were filed under seal”) they do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from webapp.findings.models import FindingKind
from webapp.findings.recognisers.found import Found, before

_SP = r"[\s\u00a0]{1,2}"
_CLIENT = rf"attorney(?:-|–|\u2011|/|{_SP})client"
LEGEND = re.compile(
    rf"\b(?:(?:strictly{_SP})?privileged{_SP}(?:and|&|/){_SP}confidential"
    rf"|(?:strictly{_SP})?confidential{_SP}(?:and|&|/){_SP}privileged"
    rf"|privileged{_SP}{_CLIENT}{_SP}communications?"
    rf"|{_CLIENT}{_SP}(?:privileged(?:{_SP}communications?)?|communications?|privilege)"
    rf"|(?:attorney(?:['’]?s?){_SP}|opinion{_SP})?work(?:{_SP}|-)product"
    rf"|filed{_SP}under{_SP}seal|under{_SP}seal"
    rf"|subject{_SP}to{_SP}(?:an?{_SP}|the{_SP})?(?:stipulated{_SP})?protective{_SP}order"
    rf"|prepared{_SP}in{_SP}anticipation{_SP}of{_SP}litigation)\b",
    re.IGNORECASE,
)
# A document speaking of itself. A message never discusses privilege; another paper may be discussed.
_ITSELF = re.compile(
    rf"\bth(?:is|e{_SP}(?:attached|enclosed|foregoing)){_SP}(?:[\w-]{{1,20}}+{_SP}){{0,2}}"
    r"(?:(?P<message>memorandum|memo|letter|e-?mail|message|communication|transmission|transmittal|fax)"
    r"|document|report|draft|brief|filing|opinion|note|analysis|advice|attachment)\b(?P<gap>[^.;?!]{0,100})$",
    re.IGNORECASE,
)
_SAYS_SO = re.compile(r"\b(?:protected|privileged|contains?|constitutes?)\b", re.IGNORECASE)
_ASKED = re.compile(r"\b(?:whether|if|that|of|in)\s{1,2}$", re.IGNORECASE)
_ITSELF_NOT = re.compile(
    r"\b(?:not|whether|if|addresses|discusses|concerns|explains|considers|on|about)\b", re.I
)
_TOPIC = re.compile(
    r"[\s\u00a0]{0,2}(?:doctrine|protection|immunity|privilege|rule|exception|claims?|log|materials?|documents?|issue"
    r"|objections?|waiver|analysis|in\b|is\b|and\sthe\b|of\b)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"\s{0,4}(?:[IVXLC]{1,6}|[A-Za-z]|\d{1,3})[.)]\s|#{1,6}\s")
# On a line of their own these may head a section of an opinion; the rest can only be said of a document.
_MAY_HEAD_A_SECTION = re.compile(
    rf"(?:privilege|work(?:{_SP}|-)product|{_CLIENT}{_SP}communications?|under{_SP}seal)$", re.IGNORECASE
)
LINE = 200  # characters in which a line's end is looked for
WORDS = 9


def find(text: str) -> Iterator[Found]:
    for match in LEGEND.finditer(text):
        if _is_legend(text, match):
            yield Found(FindingKind.PRIVILEGE, *match.span())


def _is_legend(text: str, match: re.Match[str]) -> bool:
    itself = _ITSELF.search(before(text, match.start(), LINE))
    if itself and itself["message"] and _SAYS_SO.search(itself["gap"]):
        return _speaks_of_itself(text, match, itself)
    if _TOPIC.match(text, match.end(), match.end() + 20):
        return False
    if itself:
        return _speaks_of_itself(text, match, itself) and not match[0].lower().endswith("privilege")
    ahead, behind = _line(text, match)
    if _NUMBERED.match(ahead):
        return False
    bracketed = ahead.rstrip().endswith(("[", "(")) and behind.lstrip(" .").startswith(("]", ")"))
    # In brackets after a sentence it may be a citation's remark: “(filed under seal)”; capitals are nobody's.
    if match[0].isupper() or (bracketed and match[0][0].isupper()):
        return True
    alone = len((ahead + match[0] + behind).split()) <= WORDS and not (ahead + behind).rstrip().endswith(".")
    if not alone or not match[0][0].isupper():
        return False
    if LEGEND.search(ahead + behind) or match[0].lower().startswith("privileged"):
        return True
    return not _MAY_HEAD_A_SECTION.search(match[0])


def _speaks_of_itself(text: str, match: re.Match[str], itself: re.Match[str]) -> bool:
    led_to = before(text, match.start() - len(itself[0]), 12)
    return not (_ITSELF_NOT.search(itself[0]) or _ASKED.search(led_to))


def _line(text: str, match: re.Match[str]) -> tuple[str, str]:
    """What stands before and after `match` on its line, as far as `LINE` characters."""
    ahead = before(text, match.start(), LINE)
    behind = text[match.end() : match.end() + LINE]
    return ahead.rpartition("\n")[2], behind.partition("\n")[0]

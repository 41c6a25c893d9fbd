"""Where a text holds what a lawyer must be warned of. Pure functions; one module per family.

They are precise rather than greedy: a number counts when its checksum or its allotment rules hold, and where
those are weak (a bare run of digits, a date, a street) only with the words that say what it is. Every pattern
looks a bounded way forward and back, so the work grows with the text's length and no faster
(tests/findings/test_linear.py holds them to it).
"""

from webapp.findings.recognisers.find import find
from webapp.findings.recognisers.found import Found

__all__ = ["Found", "find"]

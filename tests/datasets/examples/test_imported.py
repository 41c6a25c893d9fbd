"""Ready-made pairs and chats stay as they are."""

from __future__ import annotations

from webapp.datasets.examples import NewExample
from webapp.datasets.examples.imported import from_pairs
from webapp.documents.pairs import Pair

SAID = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"})


def test_pairs_and_chats_keep_every_letter() -> None:
    assert from_pairs([Pair(" Ask \n", "  Answer"), Pair("Go on.", "We do.", context=SAID)]) == [
        NewExample("pair", prompt=" Ask \n", completion="  Answer"),
        NewExample("chat", prompt="Go on.", completion="We do.", context=SAID),
    ]


def test_a_pair_from_an_exported_dataset_keeps_its_kind() -> None:
    (example,) = from_pairs([Pair("Cite.", "539 U. S. 306", kind="cite", split="train")])
    assert example.kind == "cite"


def test_a_pair_that_asks_or_answers_nothing_is_left_out() -> None:
    assert from_pairs([Pair("", "Answer"), Pair("Ask", " \n")]) == []

"""From a document to the pairs a model learns from."""

from __future__ import annotations

from webapp.datasets.examples import build_examples, cite, continue_

CITING = "The motion fails. Grutter v. Bollinger, 539 U. S. 306, 325 (2003). " + "It is not close. " * 40
PLAIN = "The parties met in the spring and talked about the lease. " * 14


def test_a_passage_with_citations_is_asked_for_in_neutral_form() -> None:
    (example,) = build_examples(CITING)
    assert example.kind == cite.KIND
    assert example.prompt.startswith(cite.INSTRUCTION + "\n\nThe motion fails.")
    assert "539 US 306, 325 (2003)" in example.prompt
    assert example.completion == CITING.strip()


def test_both_houses_are_asked_the_same_and_answer_differently() -> None:
    court = build_examples(CITING)[0]
    bluebook = build_examples(CITING.replace("539 U. S. 306", "539 U.S. 306"))[0]
    assert court.prompt == bluebook.prompt
    assert court.completion != bluebook.completion


def test_a_passage_without_citations_continues_the_one_before() -> None:
    _, example = build_examples(f"{CITING}\n\nII. Facts\n\n{PLAIN}")
    assert example.kind == continue_.KIND
    assert example.prompt.startswith(continue_.INSTRUCTION)
    assert example.prompt.endswith("\n\nII. Facts")
    assert example.completion == PLAIN.strip()


def test_a_title_asks_for_the_opening_of_a_document() -> None:
    (example,) = build_examples(f"Advice on the lease\n\n{PLAIN}")
    assert example.prompt == f"{continue_.INSTRUCTION}\n\nAdvice on the lease"
    assert example.completion == PLAIN.strip()


def test_no_passage_is_learnt_twice() -> None:
    completions = [example.completion for example in build_examples(f"{CITING}\n\n{PLAIN}\n\n{CITING}1")]
    assert len(completions) == len(set(completions)) == 3


def test_a_text_with_nothing_to_learn_from_gives_no_example() -> None:
    assert build_examples("") == build_examples("A short letter without any citation.") == []

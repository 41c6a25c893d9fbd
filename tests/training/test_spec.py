from __future__ import annotations

import pytest

from webapp.training.spec import SpecError, TrainingSpec


def problems(**values: object) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        TrainingSpec.parse(values)
    return caught.value.problems


@pytest.mark.parametrize("rank", [3, 65, 0, -1, "lots", 4.5, True, None])
def test_a_rank_outside_its_bounds_is_one_sentence(rank: object) -> None:
    assert problems(rank=rank)["rank"].endswith(".")


def test_all_problems_are_told_at_once() -> None:
    found = problems(rank=2, learning_rate=1, epochs=0, target="everything", colour="red")
    assert set(found) == {"rank", "learning_rate", "epochs", "target", "colour"}


def test_text_from_a_form_is_converted() -> None:
    spec = TrainingSpec.parse({"rank": "8", "alpha": "16", "learning_rate": "5e-4"})
    assert (spec.rank, spec.alpha, spec.learning_rate, spec.scaling) == (8, 16.0, 5e-4, 2.0)


def test_a_spec_survives_its_dictionary() -> None:
    spec = TrainingSpec(rank=8)
    assert TrainingSpec.parse(spec.as_dict()) == spec


def test_no_more_layers_can_learn_than_the_base_has() -> None:
    assert TrainingSpec.parse({"layers": 30}, max_layers=30).layers == 30
    with pytest.raises(SpecError) as caught:
        TrainingSpec.parse({"layers": 31, "rank": 17}, max_layers=30, max_rank=16)
    assert caught.value.problems == {
        "layers": "Layers must be between 0 and 30; 31 was given.",
        "rank": "Rank must be between 4 and 16; 17 was given.",
    }

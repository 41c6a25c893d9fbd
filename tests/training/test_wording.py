from __future__ import annotations

import dataclasses

import pytest

from webapp.training import wording
from webapp.training.presets import PRESETS, Given
from webapp.training.spec import MODES, PRECISIONS, SCHEDULES, TARGETS, TrainingSpec


def test_every_setting_of_a_run_has_words() -> None:
    assert set(wording.SETTINGS) == {field.name for field in dataclasses.fields(TrainingSpec)}


@pytest.mark.parametrize(
    ("name", "values"),
    [("target", TARGETS), ("schedule", SCHEDULES), ("precision", PRECISIONS), ("mode", MODES)],
)
def test_every_choice_has_words(name: str, values: tuple[str, ...]) -> None:
    choices = wording.SETTINGS[name].choices
    assert choices is not None
    assert list(choices) == list(values)


def test_a_zero_says_what_it_means() -> None:
    said = {
        label: words
        for group in wording.in_words(TrainingSpec(dropout=0, layers=0, max_steps=0, patience=0)).values()
        for label, words in group
    }
    assert said["Dropout"] == "None"
    assert said["Layers that learn"] == "All"
    assert said["Most steps"] == "As many as the epochs need"
    assert said["Patience"] == "Never ends early"


def test_numbers_are_said_as_people_write_them() -> None:
    spec = PRESETS["quick"].spec(Given(examples=157, layers=30))
    said = dict(pair for group in wording.in_words(spec).values() for pair in group)
    assert (said["Learning rate"], said["Alpha"], said["Longest example"]) == ("0.001", "32", "1,024 tokens")

from __future__ import annotations

import pytest

from webapp.core.templatetags import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1, "1 second"),
        (59.2, "59 seconds"),
        (62, "1 minute"),
        (171, "2 minutes 51 seconds"),
        (3600, "1 hour"),
        (3900, "1 hour 5 minutes"),
        (7199, "2 hours"),
        (None, "–"),
    ],
)
def test_a_duration_is_said_in_words(seconds: float | None, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3, "a few seconds"), (31, "about 40 seconds"), (61, "about 2 minutes"), (None, "not known yet")],
)
def test_the_time_left_is_rounded_up(seconds: float | None, said: str) -> None:
    assert words.time_left(seconds) == said


def test_a_loss_falls_rises_or_stays() -> None:
    assert words.fell(2.64, 1.71) == "fell from 2.64 to 1.71"
    assert words.fell(1.5, 1.75) == "rose from 1.50 to 1.75"
    assert words.fell(1.501, 1.502) == "stayed at 1.50"
    assert words.fell(None, 1.0) == "was not measured"


def test_large_counts_and_small_shares_stay_readable() -> None:
    assert words.millions(139_399_488) == "139.4 million"
    assert words.millions(1_500) == "1,500"
    assert words.percent(4_884_480 / 139_399_488) == "3.5%"
    assert words.perplexity(2.64) == "14.0"
    assert words.shortest(0.001) == "0.001"

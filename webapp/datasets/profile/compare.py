"""Two profiles side by side, and where they differ by enough to be two house styles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from webapp.datasets.profile.catalogue import SECTIONS, Feature
from webapp.datasets.profile.shape import SHOWN_OPENINGS

ENOUGH = 3  # places in each profile; below it nothing is said
ENOUGH_TO_RATE = 20  # sentences, signals or words, for how often a phrase comes
DEVIATIONS = 2.6  # between two shares: a difference that chance makes once in a hundred
POINTS = 0.25  # between two shares of the form that both mostly use
POINTS_BETWEEN_RULES = 0.15  # where each mostly uses another form
RATIO = 3.0  # between two rates of a phrase
LENGTH_RATIO = 1.25  # between two mean lengths
NAMED = 4  # phrases in one sentence

Told = dict[str, Any]


def compare(a: Told, b: Told, *, names: tuple[str, str] = ("The first", "The second")) -> Told:
    """`a` and `b`, as `ProfileBuilder.result` gives them, aligned: `differences` and `alike` (how many
    features) and `sections` of `features`.

    A feature has `a` and `b` (what the profile holds of it, or None), `forms` (each with `a` and `b`, a form
    of the profile or None, and `differs`), a `verdict`: "differs", "alike", or "unknown" where one of them
    holds too little to tell; and `says`, a sentence where they differ that calls the two by their `names`.
    """
    ours, theirs = _by_key(a), _by_key(b)
    sections: list[Told] = []
    for section in SECTIONS:
        features = [
            _compared(feature, ours.get(feature.key), theirs.get(feature.key), names)
            for feature in section.features
            if feature.key in ours or feature.key in theirs
        ]
        if features:
            sections.append({"key": section.key, "label": section.label, "features": features})
    verdicts = [feature["verdict"] for section in sections for feature in section["features"]]
    return {
        "differences": verdicts.count("differs"),
        "alike": verdicts.count("alike"),
        "sections": sections,
    }


def _by_key(profile: Told) -> dict[str, Told]:
    return {told["key"]: told for section in profile.get("sections", ()) for told in section["features"]}


def _compared(feature: Feature, a: Told | None, b: Told | None, names: tuple[str, str]) -> Told:
    told: Told = {"key": feature.key, "label": feature.label, "kind": feature.kind, "of": feature.of}
    told |= {"a": a, "b": b, "forms": _aligned(a, b), "verdict": "unknown", "says": ""}
    enough = ENOUGH if feature.kind == "choice" else ENOUGH_TO_RATE
    if a is None or b is None or min(a["total"], b["total"]) < enough:
        return told
    says = {"choice": _choice, "list": _list, "measure": _measure}[feature.kind](feature, told, names)
    if says:
        return told | {"verdict": "differs", "says": says}
    return told | {"verdict": "unknown" if feature.kind == "choice" and _wide(told) else "alike"}


def _aligned(a: Told | None, b: Told | None) -> list[Told]:
    """Every form of either, those of `a` first, in the order in which it has them."""
    ours = {form["key"]: form for form in a["forms"]} if a else {}
    theirs = {form["key"]: form for form in b["forms"]} if b else {}
    return [
        {
            "key": key,
            "label": (ours.get(key) or theirs[key])["label"],
            "a": ours.get(key),
            "b": theirs.get(key),
            "differs": False,
        }
        for key in dict.fromkeys([*ours, *theirs])
    ]


def _choice(feature: Feature, told: Told, names: tuple[str, str]) -> str:
    a, b = told["a"], told["b"]
    one, other = a["forms"][0], b["forms"][0]
    for form in told["forms"]:
        far = abs(_share(form["a"]) - _share(form["b"])) >= _least(told)
        form["differs"] = far and _apart(_count(form["a"]), a["total"], _count(form["b"]), b["total"])
    apart = [form for form in told["forms"] if form["differs"]]
    if not apart:
        return ""
    if one["key"] != other["key"]:
        return " ".join(
            f"{name} {feature.verb} {form['label']} ({form['share']:.0%}){end}"
            for name, form, end in ((names[0], one, ";"), (names[1], other, "."))
        )
    shares = [form["share"] if form else 0.0 for form in (apart[0]["a"], apart[0]["b"])]
    return (
        f"{names[0]} {feature.verb} {apart[0]['label']} in {shares[0]:.0%} of {feature.of}; "
        f"{names[1]} in {shares[1]:.0%}."
    )


def _least(told: Told) -> float:
    """From how many points between two shares of a form on it counts."""
    same = told["a"]["forms"][0]["key"] == told["b"]["forms"][0]["key"]
    return POINTS if same else POINTS_BETWEEN_RULES


def _wide(told: Told) -> bool:
    """Whether the shares are far apart, though on too few places to be sure."""
    gaps = (abs(_share(form["a"]) - _share(form["b"])) for form in told["forms"])
    return max(gaps) >= _least(told)


def _list(feature: Feature, told: Told, names: tuple[str, str]) -> str:
    a, b = told["a"], told["b"]
    more: tuple[list[str], list[str]] = ([], [])
    for form in told["forms"]:
        counts = [_count(form[side], told[side]) for side in ("a", "b")]
        rates = [counts[0] / a["total"], counts[1] / b["total"]]
        far = max(rates) >= RATIO * min(rates) or abs(rates[0] - rates[1]) >= POINTS
        if far and max(rates) >= feature.floor and _apart(counts[0], a["total"], counts[1], b["total"]):
            form["differs"] = True
            more[rates[1] > rates[0]].append(form["label"])
    return " ".join(
        f"More often in {_inside(name)}: {_named(labels)}."
        for name, labels in zip(names, more, strict=True)
        if labels
    )


def _measure(feature: Feature, told: Told, names: tuple[str, str]) -> str:
    means = [told["a"]["mean"], told["b"]["mean"]]
    if max(means) < LENGTH_RATIO * min(means):
        return ""
    for form in told["forms"]:
        form["differs"] = abs(_share(form["a"]) - _share(form["b"])) >= POINTS_BETWEEN_RULES
    return (
        f"{feature.of.capitalize()} of {_inside(names[0])} have {means[0]:.0f} words on average, those of "
        f"{_inside(names[1])} {means[1]:.0f}."
    )


def _apart(n: int, of: int, m: int, of_other: int) -> bool:
    """Whether two shares differ by more than chance would make them (two-proportion z)."""
    gap = abs(n / of - m / of_other)
    pooled = (n + m) / (of + of_other)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / of + 1 / of_other))
    return gap > DEVIATIONS * deviation


def _count(form: Told | None, told: Told | None = None) -> int:
    """How often a form was met. An opening that is missing from a full list may come as often as its last."""
    if form is not None:
        return int(form["count"])
    if told is not None and told["key"].endswith("_opening"):
        return int(told["forms"][-1]["count"]) if len(told["forms"]) == SHOWN_OPENINGS else 1
    return 0


def _share(form: Told | None) -> float:
    return float(form["share"]) if form else 0.0


def _inside(name: str) -> str:
    """A name within a sentence: "the first"; a quoted one stays as it is."""
    return name[0].lower() + name[1:]


def _named(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:NAMED])
    return f"{shown} and {len(labels) - NAMED} more" if len(labels) > NAMED else shown

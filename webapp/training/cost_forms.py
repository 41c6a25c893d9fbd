from __future__ import annotations

from typing import Any

from django import forms

from webapp.training import costs, selectors
from webapp.training.estimate import Machine, Workload
from webapp.training.estimate.known import CARDS, GB

OWN = "own"
# The last of these is what is shown before anything is chosen, where no worker has told of a device.
KINDS = {"cuda": "A graphics card (NVIDIA)", "cpu": "A processor"}


def _number(label: str, help_text: str, least: float, most: float) -> forms.FloatField:
    entry = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    return forms.FloatField(
        label=label, help_text=help_text, min_value=least, max_value=most, widget=entry, localize=False
    )


class CostForm(forms.Form):
    """What to compute on, and how much there is to learn from. It is always filled in: from the address, or
    with a device of this installation and a usual dataset."""

    device = forms.ChoiceField(label="Device", help_text="Your own figures count where you choose them.")
    examples = forms.IntegerField(
        label="Training examples", min_value=1, max_value=1_000_000, help_text="Of a dataset."
    )
    tokens = forms.IntegerField(
        label="Tokens an example",
        min_value=16,
        max_value=8192,
        help_text="Prompt and completion; a token is about ¾ of a word.",
    )
    kind = forms.ChoiceField(label="Own device", choices=list(KINDS.items()))
    memory = _number("Its memory, GB", "Of the card, or of the computer.", 1, 10_000)
    host = _number("The computer's memory, GB", "For a card: what stands beside it.", 1, 100_000)
    rate = _number("Operations a second, billions", "In large matrix products.", 1, 10_000_000)
    disk_rate = _number("Reads from disk, GB a second", "Matters where layers are read.", 0.01, 1000)
    disk = _number("Free disk, GB", "For checkpoints and what is kept between passes.", 1, 1_000_000)

    INITIAL = {
        "examples": 400,
        "tokens": 400,
        "kind": "cuda",
        "memory": 48,
        "host": 128,
        "rate": 150_000,
        "disk_rate": 2,
        "disk": 500,
    }

    def __init__(self, given: dict[str, Any]) -> None:
        self._devices = {str(device.pk): device for device in selectors.devices()}
        names = {key: device.name for key, device in self._devices.items()}
        names |= {key: card.name for key, card in CARDS.items()} | {OWN: "Own figures"}
        first = next(iter(names))
        super().__init__({"device": first, **self.INITIAL, **{k: v for k, v in given.items() if v}})
        self.fields["device"].choices = list(names.items())  # type: ignore[attr-defined]

    @property
    def own(self) -> list[forms.BoundField]:
        return [self[name] for name in ("kind", "memory", "host", "rate", "disk_rate", "disk")]

    @property
    def is_own(self) -> bool:
        return bool(self["device"].value() == OWN)

    @property
    def work(self) -> Workload:
        return Workload.of_length(self.cleaned_data["examples"], self.cleaned_data["tokens"])

    @property
    def machine(self) -> Machine:
        """The device that was chosen; the form must be valid."""
        said = self.cleaned_data
        if said["device"] in self._devices:
            return costs.machine_of(self._devices[said["device"]])
        if said["device"] in CARDS:
            return CARDS[said["device"]]
        return Machine(
            name="this device",
            kind=said["kind"],
            memory_bytes=round(said["memory"] * GB),
            host_memory_bytes=round((said["host"] if said["kind"] == "cuda" else said["memory"]) * GB),
            matrix_flops=said["rate"] * 1e9,
            read_bytes_per_s=said["disk_rate"] * GB,
            free_disk_bytes=round(said["disk"] * GB),
        )

from __future__ import annotations

import uuid
from typing import Any

from django import forms

from webapp.datasets import selectors as datasets
from webapp.datasets.models import Dataset
from webapp.training.presets import PRESETS

# A field's name is TrainingSpec's, and so are its bounds: the spec checks what is written here.
ADVANCED = {
    "rank": ("Rank", "How much the adapter can hold: 4 to 64."),
    "alpha": ("Alpha", "How strongly the adapter speaks; usually twice the rank."),
    "learning_rate": ("Learning rate", "How large each step is, for example 0.001."),
    "epochs": ("Epochs", "How often it reads all the examples: 1 to 20."),
    "max_length": ("Max length", "Longer examples are cut, in tokens (about ¾ of a word)."),
    "seed": ("Seed", "The same seed and dataset give the same adapter."),
}


class RunForm(forms.Form):
    dataset: forms.ModelChoiceField[Dataset] = forms.ModelChoiceField(
        queryset=None,
        empty_label=None,
        error_messages={
            "required": "Choose a dataset that is ready.",
            "invalid_choice": "Choose a dataset that is ready.",
        },
    )
    adapter_name = forms.CharField(
        label="Adapter name",
        required=False,
        max_length=100,
        help_text="Small letters, digits and hyphens. A name used before gets a new version.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "list": "adapter-names", "spellcheck": "false"}),
    )
    preset = forms.CharField(required=False, initial=next(iter(PRESETS)))

    def __init__(self, *args: Any, tenant_id: uuid.UUID, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].queryset = datasets.ready(tenant_id)  # type: ignore[attr-defined]
        for name, (label, help_text) in ADVANCED.items():
            entry = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
            self.fields[name] = forms.CharField(
                label=label, help_text=help_text, required=False, max_length=20, widget=entry
            )

    @property
    def changes(self) -> dict[str, str]:
        """The advanced settings that were filled in; a blank one keeps the preset's."""
        return {name: value for name in ADVANCED if (value := self.cleaned_data[name].strip())}

    @property
    def advanced(self) -> list[forms.BoundField]:
        return [self[name] for name in ADVANCED]

    @property
    def advanced_in_use(self) -> bool:
        """Whether the advanced part must be open: something is written there, or wrong there."""
        return any(field.errors or field.value() for field in self.advanced)

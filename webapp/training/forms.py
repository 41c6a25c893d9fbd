from __future__ import annotations

import uuid
from typing import Any

from django import forms

from webapp.datasets import selectors as datasets
from webapp.datasets.models import Dataset
from webapp.training import selectors
from webapp.training.presets import PRESETS
from webapp.training.spec import TrainingSpec
from webapp.training.wording import GROUPS, SETTINGS, Setting

READY = "Choose a dataset that is ready."


class RunForm(forms.Form):
    """What to train on, a preset, and what overrides it: every setting of TrainingSpec by its name.

    A setting's bounds are the spec's, which checks what is written here.
    """

    dataset: forms.ModelChoiceField[Dataset] = forms.ModelChoiceField(
        queryset=None,
        empty_label=None,
        error_messages={"required": READY, "invalid_choice": READY},
    )
    adapter_name = forms.CharField(
        label="Adapter name",
        required=False,
        max_length=100,
        help_text="Small letters, digits and hyphens. A name used before gets a new version.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "list": "adapter-names", "spellcheck": "false"}),
    )
    preset = forms.CharField(required=False)
    base = forms.CharField(required=False)

    def __init__(self, *args: Any, tenant_id: uuid.UUID, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].queryset = datasets.ready(tenant_id)  # type: ignore[attr-defined]
        self.bases = selectors.base_models()
        for setting in SETTINGS.values():
            self.fields[setting.name] = _field(setting)

    @property
    def preset_name(self) -> str:
        """The chosen preset's name; the first one's where what was sent is none."""
        name = self["preset"].value()
        return name if name in PRESETS else next(iter(PRESETS))

    @property
    def changes(self) -> dict[str, str]:
        """The settings that were filled in; a blank one keeps the preset's. No preset has a switch on."""
        return {name: value for name in SETTINGS if (value := str(self.cleaned_data[name] or "").strip())}

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The settings' fields under the headings of their groups."""
        return [(group, [self[setting.name] for setting in settings]) for group, settings in GROUPS.items()]

    def show_preset(self, spec: TrainingSpec) -> None:
        """Say in every blank field what the preset has there."""
        for setting in SETTINGS.values():
            words = setting.in_words(getattr(spec, setting.name))
            field = self.fields[setting.name]
            if setting.choices:
                short = words.partition(":")[0]
                field.widget.choices = [("", f"{short} (the preset's)"), *setting.choices.items()]
            elif not setting.is_switch:
                field.widget.attrs["placeholder"] = words

    @property
    def advanced_in_use(self) -> bool:
        """Whether the advanced part must be open: something is written there, or wrong there."""
        return any(self[name].errors or self[name].value() for name in SETTINGS)


def _field(setting: Setting) -> forms.Field:
    if setting.is_switch:
        return forms.BooleanField(
            label=setting.label,
            help_text=setting.help,
            required=False,
            widget=forms.CheckboxInput(attrs={"class": "form-check-input", "role": "switch"}),
        )
    widget: forms.Widget = (
        forms.Select(choices=[("", "As the preset"), *setting.choices.items()])
        if setting.choices
        else forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    )
    return forms.CharField(
        label=setting.label, help_text=setting.help, required=False, max_length=20, widget=widget
    )

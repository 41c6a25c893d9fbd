from __future__ import annotations

from django import forms

from webapp.adapters.models import Decision


class DecisionForm(forms.Form):
    """Read here, checked by the service."""

    decision = forms.CharField(required=False, widget=forms.RadioSelect(choices=Decision.choices))
    note = forms.CharField(
        label="Note",
        required=False,
        help_text="Kept with the decision for whoever asks later, for example what you compared.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )

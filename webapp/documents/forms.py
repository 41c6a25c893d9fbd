from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django import forms

from webapp.documents.guess import guess_columns
from webapp.tenants import selectors as tenants
from webapp.tenants.models import Matter

# States as the list's filter offers them, what is looked for most often first.
STATE_CHOICES = [
    ("", "Any state"),
    ("ready", "Ready"),
    ("columns", "Choose columns"),
    ("refused", "Refused"),
    ("queued", "Waiting"),
    ("reading", "Being read"),
    ("opened", "Opened archives"),
    ("withdrawn", "Withdrawn"),
]


class MatterForm(forms.Form):
    """One of the matters that the member can see."""

    matter: forms.ModelChoiceField[Matter] = forms.ModelChoiceField(
        queryset=None, label="Matter", empty_label=None
    )

    def __init__(self, *args: Any, tenant_id: uuid.UUID, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["matter"].queryset = tenants.matters(tenant_id)  # type: ignore[attr-defined]


class FilterForm(forms.Form):
    """Which documents the list shows. What it does not know it leaves out: a link is never an error."""

    q = forms.CharField(label="Name", required=False, max_length=200)
    matter: forms.ModelChoiceField[Matter] = forms.ModelChoiceField(
        queryset=None, label="Matter", required=False, empty_label="Any matter"
    )
    state = forms.ChoiceField(label="State", required=False, choices=STATE_CHOICES)
    kind = forms.ChoiceField(label="Format", required=False)

    def __init__(self, *args: Any, tenant_id: uuid.UUID, kinds: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["matter"].queryset = tenants.matters(tenant_id)  # type: ignore[attr-defined]
        self.fields["kind"].choices = [  # type: ignore[attr-defined]
            ("", "Any format"),
            *((kind, kind.upper()) for kind in kinds),
        ]
        self.fields["q"].widget.attrs |= {"placeholder": "Part of its name", "type": "search"}

    def wanted(self) -> dict[str, Any]:
        """The arguments of `selectors.listed`."""
        self.is_valid()
        said = self.cleaned_data
        matter = said.get("matter")
        return {
            "name": said.get("q", ""),
            "state": said.get("state", ""),
            "kind": said.get("kind", ""),
            "matter_id": matter.id if matter else None,
        }


class ColumnsForm(forms.Form):
    """Which column of a table is asked and which the house answers, guessed from their names."""

    prompt = forms.ChoiceField(label="What is asked", help_text="The question, the facts or the instruction.")
    completion = forms.ChoiceField(label="How the house answers", help_text="What your firm wrote.")

    def __init__(
        self, *args: Any, columns: Sequence[str], chosen: dict[str, str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        asked, answered = guess_columns(columns)
        initial = chosen or {"prompt": asked, "completion": answered}
        for name in ("prompt", "completion"):
            self.fields[name].choices = [  # type: ignore[attr-defined]
                (column, column or "(a column without a name)") for column in columns
            ]
            self.fields[name].initial = initial[name]
            self.fields[name].error_messages |= dict.fromkeys(
                ("required", "invalid_choice"), "Choose one of the table's columns."
            )


class WithdrawForm(forms.Form):
    reason = forms.CharField(
        label="Why",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For those who ask later: the client asked, the draft was not final, the wrong file.",
    )

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.utils import timezone

from webapp.datasets.models import ExampleKind, all_kinds
from webapp.documents import selectors as documents
from webapp.documents.forms import MatterForm
from webapp.documents.models import Document

SHARES = [(0.1, "10%"), (0.15, "15%, the usual"), (0.2, "20%"), (0.3, "30%")]
LENGTHS = [(200, "Short: about 140 words"), (300, "Usual: about 210 words"), (500, "Long: about 350 words")]
# What each kind of example teaches, as somebody who has never trained anything would say it.
KINDS = {
    ExampleKind.CITE: "A passage whose citations were written neutrally; the answer is the passage as your "
    "firm wrote it.",
    ExampleKind.DRAFT: "The type of document, a heading and the points to make; the answer is the section as "
    "your firm wrote it.",
    ExampleKind.CONTINUE: "The passage so far; the answer is how your firm went on.",
}
MAX_SEED = 2**31 - 1


class DatasetForm(forms.Form):
    """What a new dataset is made of. The service checks it whole; here it is only read."""

    name = forms.CharField(label="Name", required=False, max_length=200)
    kinds = forms.MultipleChoiceField(
        label="What it should learn",
        choices=[(kind, ExampleKind(kind).label) for kind in all_kinds()],
        initial=all_kinds,
        required=False,
        error_messages={"invalid_choice": "Choose among these kinds."},
    )
    max_tokens = forms.TypedChoiceField(
        label="Length of a passage",
        choices=LENGTHS,
        coerce=int,
        initial=300,
        required=False,
        error_messages={"invalid_choice": "Choose one of the lengths."},
        help_text="Passages end where paragraphs, sentences and citations do, so each is a little shorter.",
    )
    heldout_share = forms.TypedChoiceField(
        label="Documents held out",
        choices=SHARES,
        coerce=float,
        initial=0.15,
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose one of the shares."),
        help_text="The adapter never sees these. They show afterwards whether it learned the style or only "
        "the documents.",
    )
    seed = forms.IntegerField(
        label="Number for the draw",
        min_value=0,
        max_value=MAX_SEED,
        initial=0,
        required=False,
        help_text="The same number holds out the same documents of the same choice; another draws others.",
    )
    documents: forms.ModelMultipleChoiceField[Document] = forms.ModelMultipleChoiceField(
        queryset=None,
        required=False,
        error_messages={
            "invalid_choice": "Choose only documents that are ready.",
            "invalid_pk_value": "Choose only documents that are ready.",
        },
    )

    def __init__(self, *args: Any, tenant_id: uuid.UUID, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].initial = f"House style, {timezone.localdate():%-d %B %Y}"
        self.fields["documents"].queryset = documents.ready(tenant_id)  # type: ignore[attr-defined]

    @property
    def kind_choices(self) -> list[tuple[str, str, str, bool]]:
        """Each kind's value, name and explanation, and whether it is chosen."""
        chosen = set(self["kinds"].value() or ())
        return [(kind, kind.label, says, kind in chosen) for kind, says in KINDS.items()]


class ExampleForm(forms.Form):
    """An example's two sides, to the letter."""

    prompt = forms.CharField(
        label="Asked", required=False, strip=False, widget=forms.Textarea(attrs={"rows": 12})
    )
    completion = forms.CharField(
        label="Your house writes", required=False, strip=False, widget=forms.Textarea(attrs={"rows": 12})
    )


class ImportForm(MatterForm):
    """An exported file, and the matter it belongs to: its words come from somewhere."""

    field_order = ("file", "matter")
    file = forms.FileField(
        label="Exported file",
        allow_empty_file=True,
        error_messages={"required": "Choose the file first."},
        widget=forms.ClearableFileInput(attrs={"accept": ".jsonl"}),
    )

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.utils import timezone

from webapp.documents import selectors as documents
from webapp.documents.models import Document

SHARES = [(0.1, "10%"), (0.15, "15%, the usual"), (0.2, "20%"), (0.3, "30%")]


class DatasetForm(forms.Form):
    """What a new dataset is made of. The service checks it whole; here it is only read."""

    name = forms.CharField(label="Name", required=False, max_length=200)
    heldout_share = forms.TypedChoiceField(
        label="Documents held out",
        choices=SHARES,
        coerce=float,
        initial=0.15,
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose one of the shares."),
        help_text="The adapter never sees these. They show afterwards whether it learned the style or only "
        "the documents.",
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

"""What a person says of an API key, in a lawyer's words."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from webapp.adapters.models import Adapter
from webapp.gateway import selectors
from webapp.gateway.models import KeyAccess
from webapp.gateway.services import Wanted
from webapp.tenants.models import Scope

LIVE, KEEP = "live", "keep"
EVERYTHING, LISTED = "everything", "listed"
DAYS = {"30": "30 days", "90": "90 days", "365": "One year", "": "Until somebody revokes it"}
OVERLAPS = {"24": "24 hours", "1": "One hour", "168": "7 days", "0": "Not at all: it stops at once"}

ONE_OF_THEM = "Choose one of these."


class AccessForm(forms.Form):
    """Which adapter answers by default, and which others may be named; from what the member sees."""

    default = forms.ChoiceField(
        label="Which adapter answers when the program names none?",
        error_messages=dict.fromkeys(("required", "invalid_choice"), ONE_OF_THEM),
    )
    may_name = forms.ChoiceField(
        label="Which others may it name?",
        choices=[(EVERYTHING, "Every approved adapter of your firm"), (LISTED, "Only these")],
        initial=EVERYTHING,
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
        error_messages=dict.fromkeys(("required", "invalid_choice"), ONE_OF_THEM),
    )
    adapters: forms.ModelMultipleChoiceField[Adapter] = forms.ModelMultipleChoiceField(
        queryset=None,
        label="Adapters that it may name",
        required=False,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        error_messages={"invalid_choice": "Choose adapters of your firm.", "invalid_pk_value": ONE_OF_THEM},
    )
    base = forms.BooleanField(
        label="It may ask the base model too, which has learned no house style",
        required=False,
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )

    def __init__(
        self, *args: Any, tenant_id: uuid.UUID, access: KeyAccess | None = None, **kwargs: Any
    ) -> None:
        self.offered = list(selectors.offered(tenant_id))
        self.versions = list(selectors.approved(tenant_id))
        if access is not None:
            kwargs["initial"] = _initial(access) | kwargs.get("initial", {})
        super().__init__(*args, **kwargs)
        self.fields["adapters"].queryset = selectors.offered(tenant_id)  # type: ignore[attr-defined]
        choices = [
            (LIVE, "The live one, whichever it is at the time"),
            *(
                (f"adapter:{row.id}", f"{row.name}: its live version, or else the newest")
                for row in self.offered
            ),
            *((f"version:{row.id}", f"{row}, always this version") for row in self.versions),
        ]
        default = self.initial.get("default", LIVE)
        if default not in dict(choices):  # retired since, or hidden from who looks
            choices.append((KEEP, "As it is now: an adapter that is not on offer to you"))
            self.initial["default"] = KEEP
        self.fields["default"].choices = choices  # type: ignore[attr-defined]

    @property
    def keeps_default(self) -> bool:
        return bool(self.cleaned_data["default"] == KEEP)

    def wanted(self) -> Wanted:
        said = self.cleaned_data
        kind, _, chosen = said["default"].partition(":")
        return Wanted(
            default_adapter=next(
                (row for row in self.offered if kind == "adapter" and str(row.id) == chosen), None
            ),
            default_version=next(
                (row for row in self.versions if kind == "version" and str(row.id) == chosen), None
            ),
            everything=said["may_name"] == EVERYTHING,
            adapters=tuple(said["adapters"]),
            may_use_base=said["base"],
        )


def _initial(access: KeyAccess) -> dict[str, Any]:
    default = LIVE
    if access.default_adapter_id:
        default = f"adapter:{access.default_adapter_id}"
    elif access.default_version_id:
        default = f"version:{access.default_version_id}"
    return {
        "default": default,
        "may_name": EVERYTHING if access.everything else LISTED,
        "adapters": list(selectors.named(access)),
        "base": access.may_use_base,
    }


class KeyForm(AccessForm):
    """A new key. What the service checks is not required here, so that it finds every problem at once."""

    name = forms.CharField(
        label="Name of the program",
        required=False,
        max_length=100,
        help_text="For example “Word add-in” or “intake script”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scopes = forms.MultipleChoiceField(
        label="What may the program do?",
        choices=Scope.choices,
        required=False,
        initial=[Scope.COMPLETIONS.value],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        error_messages={"invalid_choice": "Choose what the program may do."},
    )
    days = forms.ChoiceField(
        label="How long does the key open anything?",
        choices=list(DAYS.items()),
        required=False,
        initial="365",
        error_messages={"invalid_choice": ONE_OF_THEM},
    )

    @property
    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class RotateForm(forms.Form):
    overlap = forms.ChoiceField(
        label="How long does the old key go on?",
        choices=list(OVERLAPS.items()),
        error_messages=dict.fromkeys(("required", "invalid_choice"), ONE_OF_THEM),
    )

    @property
    def wanted(self) -> timedelta:
        return timedelta(hours=int(self.cleaned_data["overlap"]))

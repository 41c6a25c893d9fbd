from __future__ import annotations

from django import forms

from webapp.usage.models import Limit
from webapp.usage.services import LIMITS


class LimitsForm(forms.Form):
    """Empty is no limit. The service checks what else there is to check."""

    requests_per_minute = forms.IntegerField(
        label="Requests a minute", required=False, help_text="Leave a field empty for no limit of its kind."
    )
    tokens_per_minute = forms.IntegerField(
        label="Tokens a minute",
        required=False,
        help_text="Of prompts and answers; what a request may use at most counts until it has ended.",
    )
    concurrent = forms.IntegerField(
        label="Requests at the same time",
        required=False,
        help_text="Further ones are told to try again in a second.",
    )
    monthly_tokens = forms.IntegerField(
        label="Tokens a calendar month (UTC)",
        required=False,
        help_text="Once they are used, programs get an error until the month ends.",
    )

    @staticmethod
    def initial_of(limit: Limit | None) -> dict[str, int | None]:
        return {name: getattr(limit, name) for name in LIMITS} if limit else {}


class TextLogForm(forms.Form):
    on = forms.BooleanField(label="Keep what is asked and answered", required=False)
    days = forms.IntegerField(label="For how many days", min_value=1, max_value=365)

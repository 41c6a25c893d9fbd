from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from webapp.tenants.models import Membership, Role


class SignInForm(AuthenticationForm):
    """E-mail and password. What was wrong is never said more exactly than this."""

    error_messages = {
        "invalid_login": "This e-mail and password do not belong together; check both and try again.",
        "inactive": "This account is closed; ask your firm's admin.",
    }
    username = forms.CharField(
        label="E-mail",
        widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"}),
        error_messages={"required": "Write your e-mail address."},
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": "Write your password."},
    )


# The fields below are checked by the services, which find every problem at once; nothing is required here.
class PersonForm(forms.Form):
    name = forms.CharField(label="Name", required=False, max_length=150)
    email = forms.CharField(
        label="E-mail",
        required=False,
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
        help_text="They sign in with it.",
    )
    role = forms.CharField(label="Role", required=False, widget=forms.Select(choices=Role.choices))


class MatterForm(forms.Form):
    name = forms.CharField(
        label="Matter",
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="For example “Adams v. Baker” or “Purchase of the Elm Street site”.",
    )
    client = forms.CharField(label="Client", required=False)
    number = forms.CharField(
        label="Number", required=False, help_text="Your client-matter number, if there is one."
    )


class ScreenForm(forms.Form):
    """Who is screened off, and why. `people` are those who are not yet."""

    person = forms.CharField(label="Person", required=False, widget=forms.Select())
    reason = forms.CharField(
        label="Reason",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept with the screen, for those who see the matter.",
    )

    def __init__(self, *args: Any, people: Iterable[Membership], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(str(person.id), f"{person.user}, {person.get_role_display()}") for person in people]
        self.fields["person"].widget = forms.Select(choices=[("", "Choose a person"), *choices])

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from webapp.tenants import selectors
from webapp.tenants.forms import SignInForm
from webapp.tenants.models import User


class SignIn(LoginView):
    form_class = SignInForm
    template_name = "tenants/sign_in.html"
    redirect_authenticated_user = True


class SignOut(LogoutView):
    """Ends the session; POST only, so that no other site can do it with a link."""


def no_firm(request: HttpRequest) -> HttpResponse:
    """Somebody who is signed in and belongs to no firm."""
    if not isinstance(request.user, User):
        return redirect("sign-in")
    if selectors.membership_of(request.user):
        return redirect("home")
    return render(request, "tenants/no_firm.html")

from django.urls import path

from webapp.tenants.views import audit_log, matters, people, sign_in

urlpatterns = [
    path("sign-in/", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-out/", sign_in.SignOut.as_view(), name="sign-out"),
    path("no-firm/", sign_in.no_firm, name="no-firm"),
    path("settings/people/", people.people, name="people"),
    path("matters/", matters.matters, name="matters"),
    path("matters/<uuid:matter_id>/", matters.matter, name="matter"),
    path("matters/<uuid:matter_id>/rename/", matters.rename, name="matter-rename"),
    path("matters/<uuid:matter_id>/screens/", matters.screen, name="matter-screen"),
    path(
        "matters/<uuid:matter_id>/screens/<uuid:screen_id>/lift/",
        matters.lift_screen,
        name="matter-screen-lift",
    ),
    path("audit/", audit_log.log, name="audit"),
]

from django.urls import path

from . import views

app_name = "accounts"
urlpatterns = [
    path("", views.Account.as_view(), name="account"),
    # coming in and going out
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("code/", views.SecondStep.as_view(), name="code"),
    path("second-factor/", views.SetUpSecondFactor.as_view(), name="second-factor"),
    path("again/", views.Again.as_view(), name="again"),
    path("sign-out/", views.SignOut.as_view(), name="sign-out"),
    # changes
    path("password/", views.ChangePassword.as_view(), name="password"),
    path("reset/", views.AskReset.as_view(), name="reset"),
    path("reset/<str:token>/", views.UseReset.as_view(), name="reset-link"),
    path("recovery-codes/", views.RenewCodes.as_view(), name="recovery-codes"),
    path("sessions/end/", views.EndSessions.as_view(), name="end-sessions"),
]

from django.contrib.auth import views as auth
from django.urls import path

from core.policy.views import public

app_name = "accounts"
urlpatterns = [
    path("sign-in/", public(auth.LoginView.as_view(template_name="accounts/sign_in.html")), name="sign-in"),
    path("sign-out/", public(auth.LogoutView.as_view()), name="sign-out"),
]

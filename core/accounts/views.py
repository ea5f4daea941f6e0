"""Signing in in two steps, the password once more, a new password, one's own account."""

import base64
import time

from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth import views as auth
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.generic import FormView, TemplateView, View

from core.base import DomainError
from core.policy.views import PolicyMixin

from . import devices, guesses, mail, people, second_factor, sessions
from .forms import AgainForm, CodeForm, NewPasswordForm, ResetForm, SetUpForm, SignInForm
from .models import RecoveryCode, User

HALF = "half_signed_in"  # in the session: the password was right, the second step is still to come
HALF_SECONDS = 10 * 60
SECRET = "second_factor_secret"  # in the session, sealed: the secret in the picture that is shown

secretive = [never_cache, csrf_protect, sensitive_post_parameters()]


def safe_next(request, address: str) -> str:
    """An address of this site, or the workspace."""
    is_ours = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if address and is_ours else str(reverse_lazy("workspace"))


def finish(request, user, address: str):
    """Sign somebody in who has proved all that is asked."""
    for key in (HALF, SECRET):
        request.session.pop(key, None)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    response = redirect(safe_next(request, address))
    devices.remember(request, response, user)
    return response


def half_signed_in(request) -> User | None:
    """Who gave the right password in this session a moment ago. One query where somebody did."""
    half = request.session.get(HALF)
    if not half or time.time() - half["at"] > HALF_SECONDS:
        return None
    user = User.objects.filter(pk=half["user"], is_active=True).first()
    return user if user is not None and user.get_session_auth_hash() == half["hash"] else None


class SignIn(PolicyMixin, auth.LoginView):
    """The first step: name and password."""

    action = "site.read"
    template_name = "accounts/sign_in.html"
    form_class = authentication_form = SignInForm

    def form_valid(self, form):
        user = form.get_user()
        has_one = second_factor.is_set_up(user)
        if not has_one and not second_factor.is_required(user):
            return finish(self.request, user, self.get_redirect_url())
        self.request.session.cycle_key()
        self.request.session[HALF] = {
            "user": user.pk,
            "hash": user.get_session_auth_hash(),
            "at": int(time.time()),
            "next": self.get_redirect_url(),
        }
        return redirect("accounts:code" if has_one else "accounts:second-factor")


@method_decorator(secretive, name="dispatch")
class SecondStep(PolicyMixin, FormView):
    """The second step: a code."""

    action = "site.read"
    template_name = "accounts/code.html"
    form_class = CodeForm

    def dispatch(self, request, *args, **kwargs):
        self.person = half_signed_in(request)
        if self.person is None:
            return redirect("accounts:sign-in")
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"request": self.request, "user": self.person}

    def form_valid(self, form):
        return finish(self.request, self.person, self.request.session[HALF]["next"])


@method_decorator(secretive, name="dispatch")
class SetUpSecondFactor(PolicyMixin, FormView):
    """An authenticator for somebody who needs one to come in, or who wants one, or has a new telephone."""

    action = "site.read"
    template_name = "accounts/second_factor.html"
    form_class = SetUpForm

    def dispatch(self, request, *args, **kwargs):
        self.is_signing_in = not request.user.is_authenticated
        self.person = half_signed_in(request) if self.is_signing_in else request.user
        if self.person is None:
            return redirect("accounts:sign-in")
        if self.is_signing_in and second_factor.is_set_up(self.person):
            return redirect("accounts:code")  # the password alone replaces no second factor
        if not self.is_signing_in and not self.person.has_usable_password():
            return redirect("workspace")  # a personal link: there is no password for a second factor to stand beside
        if not self.is_signing_in and not sessions.is_sure(request):
            return sessions.ask_again(request)
        self.secret = self._secret()
        return super().dispatch(request, *args, **kwargs)

    def _secret(self) -> bytes:
        kept = self.request.session.get(SECRET)
        if kept:
            return second_factor.unseal(base64.b64decode(kept), self.person)
        secret = second_factor.new_secret()
        self.request.session[SECRET] = base64.b64encode(second_factor.seal(secret, self.person)).decode()
        return secret

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"secret": self.secret}

    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs) | {
            "picture": second_factor.picture(self.secret, self.person),
            "letters": second_factor.in_letters(self.secret),
            "is_signing_in": self.is_signing_in,
        }

    @sensitive_variables()
    def form_valid(self, form):
        try:
            codes = second_factor.set_up(self.person, self.secret, form.step)
        except DomainError as refusal:
            form.add_error(None, str(refusal))
            return self.form_invalid(form)
        mail.tell(self.person, "The second factor")
        address = safe_next(self.request, "")
        if self.is_signing_in:
            signed_in = finish(self.request, self.person, self.request.session[HALF]["next"])
            address = signed_in.url
        self.request.session.pop(SECRET, None)  # a new picture next time
        response = render(self.request, "accounts/recovery_codes.html", {"codes": codes, "go_on": address})
        devices.remember(self.request, response, self.person)
        return response


@method_decorator(secretive, name="dispatch")
class Again(PolicyMixin, FormView):
    """The password once more, before an act of weight."""

    action = "account.self"
    template_name = "accounts/again.html"
    form_class = AgainForm

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"request": self.request}

    def get_context_data(self, **kwargs):
        address = self.request.POST.get("next") or self.request.GET.get("next", "")
        return super().get_context_data(**kwargs) | {"next": safe_next(self.request, address)}

    def form_valid(self, form):
        sessions.make_sure(self.request)
        return redirect(safe_next(self.request, self.request.POST.get("next", "")))


class SignOut(PolicyMixin, auth.LogoutView):
    """The end of a session. That the browser forgets its pages is said where every session's end is."""

    action = "site.read"


# --- A new password -------------------------------------------------------------------------------


@method_decorator(secretive, name="dispatch")
class ChangePassword(sessions.Reauthenticated, PolicyMixin, FormView):
    action = "account.self"
    template_name = "accounts/password.html"
    form_class = NewPasswordForm
    success_url = reverse_lazy("accounts:account")

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"user": self.request.user}

    @sensitive_variables()
    def form_valid(self, form):
        try:
            people.set_password(self.request.user, form.cleaned_data["new_password1"], how="changed")
        except DomainError as refusal:
            form.add_error(None, str(refusal))
            return self.form_invalid(form)
        update_session_auth_hash(self.request, self.request.user)
        messages.success(self.request, "Your password is changed. Every other session of yours has ended.")
        response = super().form_valid(form)
        devices.remember(self.request, response, self.request.user)
        return response


@method_decorator(secretive, name="dispatch")
class AskReset(PolicyMixin, FormView):
    """Ask for a link by mail. One answer, whether or not there is such a person, or too many wishes."""

    action = "site.read"
    template_name = "accounts/reset.html"
    form_class = ResetForm

    def form_valid(self, form):
        name, network = form.cleaned_data["name"], guesses.network_of(self.request)
        if guesses.take("reset-network", network) and guesses.take("reset-pair", name.casefold(), network):
            people.ask_reset(name)
        return render(self.request, "accounts/reset_asked.html", {"hours": mail.RESET_HOURS})


@method_decorator([*secretive, sensitive_variables("token")], name="dispatch")
class UseReset(PolicyMixin, FormView):
    """The page behind the link. Looking at it uses nothing up: mail scanners do so too."""

    action = "site.read"
    template_name = "accounts/password.html"
    form_class = NewPasswordForm

    def dispatch(self, request, *args, **kwargs):
        self.reset = people.open_reset(kwargs["token"])
        if self.reset is None:
            response = render(request, "accounts/link_gone.html", {"again": "accounts:reset"}, status=404)
        else:
            response = super().dispatch(request, *args, **kwargs)
        return keep_to_ourselves(response)

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"user": self.reset.user}

    @sensitive_variables()
    def form_valid(self, form):
        try:
            user = people.use_reset(self.reset, form.cleaned_data["new_password1"])
        except DomainError as refusal:
            form.add_error(None, str(refusal))
            return self.form_invalid(form)
        messages.success(self.request, "Your new password is set. Sign in with it.")
        response = redirect("accounts:sign-in")
        # Who reads the mailbox is not a guesser: the way in where somebody else used the account's tries up.
        devices.remember(self.request, response, user)
        return response


def keep_to_ourselves(response):
    """No address with a token leaves in a Referer or into an index; "no-referrer" would take the form's Origin too."""
    response["Referrer-Policy"] = "strict-origin"
    response["X-Robots-Tag"] = "noindex"
    return response


# --- One's own account ----------------------------------------------------------------------------


class Account(PolicyMixin, TemplateView):
    action = "account.self"
    template_name = "accounts/account.html"

    def get_context_data(self, **kwargs):
        user = self.request.user
        return super().get_context_data(**kwargs) | {
            "has_second_factor": second_factor.is_set_up(user),
            "codes_left": RecoveryCode.objects.filter(user=user, used_at=None).count(),
            "is_shared": people.is_shared(user),
        }


class EndSessions(PolicyMixin, View):
    """Sign out everywhere else."""

    action = "account.self"
    http_method_names = ["post"]

    def post(self, request):
        sessions.end_sessions(request.user)
        request.user.refresh_from_db(fields=["session_epoch"])
        update_session_auth_hash(request, request.user)
        messages.success(request, "Every other session of yours has ended.")
        return redirect("accounts:account")


@method_decorator(secretive, name="dispatch")
class RenewCodes(sessions.Reauthenticated, PolicyMixin, View):
    action = "account.self"
    http_method_names = ["get", "post"]

    def get(self, request):
        return redirect("accounts:account")

    def post(self, request):
        if not second_factor.is_set_up(request.user):
            return redirect("accounts:account")
        codes = second_factor.renew_codes(request.user)
        go_on = str(reverse_lazy("accounts:account"))
        return render(request, "accounts/recovery_codes.html", {"codes": codes, "go_on": go_on})

"""What is typed to sign in, and to prove it once more."""

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm, SetPasswordForm
from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_variables

from . import devices, guesses, second_factor
from .people import find

PASSWORD_MAX = 1000  # characters; a slow hash of megabytes is work for us, not for who sends them
# One sentence for all: a wrong name, a wrong password, and too many tries look the same.
REFUSED = (
    "User name and password do not fit together, or there were too many tries. Check both. After several tries wait an "
    "hour, use a device on which you signed in before, or ask for a new password."
)
REFUSED_CODE = (
    "This code does not fit, was used before, or there were too many tries. Take the code that the app shows now, or a "
    "recovery code; after several tries wait an hour."
)


def password_field(label: str, autocomplete: str = "current-password", **fields) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, strip=False, max_length=PASSWORD_MAX, widget=widget, **fields)


class SignInForm(AuthenticationForm):
    """User name or e-mail address, and password. The same work for a name that exists and for one that does not."""

    error_messages = {"invalid_login": REFUSED, "inactive": REFUSED}
    password = password_field("Password")

    def __init__(self, request=None, *args, **kwargs):
        super().__init__(request, *args, **kwargs)
        self.fields["username"].label = "Username or e-mail"
        self.fields["username"].max_length = 254
        self.fields["username"].widget.attrs["maxlength"] = 254

    @sensitive_variables()
    def clean(self):
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if name is None or not password:
            return self.cleaned_data
        person = find(name)
        # Name and address of one person share one allowance.
        account = person.username if person else name.casefold()
        is_known = devices.is_known(self.request, person)
        if guesses.may_guess(self.request, account, is_known_device=is_known):
            self.user_cache = authenticate(self.request, username=account if person else name, password=password)
        if self.user_cache is None:
            raise self.get_invalid_login_error()
        self.confirm_login_allowed(self.user_cache)
        guesses.was_right(self.request, account, is_known_device=is_known)
        return self.cleaned_data


class CodeForm(forms.Form):
    """The second step: a code of the authenticator, or a recovery code."""

    code = forms.CharField(
        label="Code",
        max_length=40,
        help_text="Six digits from your authenticator app, or one of your recovery codes.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True}),
    )

    def __init__(self, *args, request, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.request, self.user = request, user

    def clean_code(self):
        account, is_known = f"code:{self.user.pk}", devices.is_known(self.request, self.user)
        may = guesses.may_guess(self.request, account, is_known_device=is_known)
        if not may or not second_factor.check(self.user, self.cleaned_data["code"]):
            raise ValidationError(REFUSED_CODE)
        guesses.was_right(self.request, account, is_known_device=is_known)
        return self.cleaned_data["code"]


class SetUpForm(forms.Form):
    """The first code of a new authenticator shows that it holds our secret and that its clock is right."""

    code = forms.CharField(
        label="Code that the app shows now",
        max_length=20,
        help_text="Six digits.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )

    def __init__(self, *args, secret: bytes, **kwargs):
        super().__init__(*args, **kwargs)
        self.secret, self.step = secret, None

    def clean_code(self):
        code = "".join(self.cleaned_data["code"].split())
        self.step = second_factor.step_of(self.secret, code)
        if self.step is None:
            raise ValidationError(
                "This is not the code of this picture. Take the one the app shows now; if it is refused again, set the "
                "telephone's clock to automatic."
            )
        return code


@sensitive_variables()
def is_own_password(request, password: str) -> bool:
    """Whether the signed-in person's password was given; a guess too many is not looked at."""
    user = request.user
    is_known = devices.is_known(request, user)
    may = guesses.may_guess(request, user.username, is_known_device=is_known)
    if not may or not user.check_password(password):
        return False
    guesses.was_right(request, user.username, is_known_device=is_known)
    return True


class AgainForm(forms.Form):
    """The password once more."""

    password = password_field("Your password")

    def __init__(self, *args, request, **kwargs):
        super().__init__(*args, **kwargs)
        self.request = request

    @sensitive_variables()
    def clean_password(self):
        password = self.cleaned_data["password"]
        if not is_own_password(self.request, password):
            raise ValidationError("This is not your password, or there were too many tries; then wait an hour.")
        return password


class NewPasswordForm(SetPasswordForm):
    """A new password, twice."""

    new_password1 = password_field(
        "New password", "new-password", help_text="At least 12 characters; a few words that only you put together."
    )
    new_password2 = password_field("The same once more", "new-password")


class ResetForm(forms.Form):
    name = forms.CharField(
        label="Username or e-mail", max_length=254, widget=forms.TextInput(attrs={"autocomplete": "username"})
    )

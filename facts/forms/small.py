"""The small forms: the scale of a return, certification, a reviewer's reason, a file."""

from django import forms

from core.accounts.forms import is_own_password
from facts.models import Round
from facts.services.findings import EXPLANATION_MIN
from facts.wording import SCALES


class ScaleForm(forms.Form):
    """In what unit money is typed."""

    scale = forms.TypedChoiceField(label="Money is typed in", choices=SCALES, coerce=int)


class CertifyForm(forms.Form):
    """Who certifies; the password once more when the sign-in is old."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    certified_name = forms.CharField(
        label="Your name and office",
        max_length=120,
        help_text="As it will stand on the receipt.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    statement = forms.BooleanField(
        label="I certify that these answers are complete and correct to the best of my knowledge, and agree to their "
        "use for statistics only."
    )
    password = forms.CharField(
        label="Your password",
        strip=False,
        help_text="You signed in more than 15 minutes ago; certifying asks for it again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args, request, needs_password: bool, of_one: bool = True, **kwargs):
        super().__init__(*args, **kwargs)
        self.request = request
        if not of_one:  # several returns carry their revisions in a list of their own
            del self.fields["revision"]
        if not needs_password:
            del self.fields["password"]

    def clean_password(self):
        password = self.cleaned_data["password"]
        if not is_own_password(self.request, password):
            raise forms.ValidationError(
                "This is not your password, or there were too many tries; then wait an hour. Nothing was submitted."
            )
        return password


class SendBackForm(forms.Form):
    """What the respondent is to mend."""

    reason = forms.CharField(
        label="What is to be mended",
        min_length=EXPLANATION_MIN,
        max_length=2000,
        help_text=f"The respondent reads these words. At least {EXPLANATION_MIN} characters.",
        widget=forms.Textarea(attrs={"rows": 4}),
    )


class UploadForm(forms.Form):
    """A file of returns."""

    round = forms.ModelChoiceField(Round.objects.none(), label="Round", empty_label=None)
    scale = forms.TypedChoiceField(label="Money in the file is in", choices=SCALES, coerce=int, initial=1)
    file = forms.FileField(label="CSV or XLSX file", allow_empty_file=True)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["round"].queryset = Round.objects.open().select_related("instrument")

"""What people fill in about methodologies, editions and their release. The rules stand in the services."""

import datetime as dt

from django import forms
from django.utils import timezone

from facts.models import Round

from .models import Edition, Erratum
from .services.releases import RELEASE_TIME

TWO_LINES = {"rows": 2}


def _wide(field: forms.CharField) -> forms.CharField:
    """A field whose answer is a sentence or a title: its box fills the line."""
    field.is_wide = True  # type: ignore[attr-defined]
    return field


def _reason(label: str, hint: str = "") -> forms.CharField:
    return _wide(forms.CharField(label=label, help_text=hint, max_length=2000, widget=forms.Textarea(attrs=TWO_LINES)))


def _moment(label: str, hint: str = "", *, required: bool = True) -> forms.DateTimeField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    hint = hint or "Coordinated Universal Time."
    return forms.DateTimeField(label=label, help_text=hint, required=required, widget=widget)


def usual_moment(day: dt.date | None) -> dt.datetime | None:
    """A day at the hour of releases."""
    return timezone.make_aware(dt.datetime.combine(day, RELEASE_TIME)) if day else None


class NoteForm(forms.Form):
    """One reason or note, with its own question."""

    def __init__(self, *args, label: str, hint: str = "", **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["note"] = _reason(label, hint)


class ProposeForm(forms.Form):
    """What kind of revision it is; of a first edition there is nothing to say."""

    kind = forms.ChoiceField(
        label="Kind of revision",
        choices=[choice for choice in Edition.Revision.choices if choice[0]],
        widget=forms.RadioSelect,
    )
    note = _reason("What was revised and why", "For readers; it is published with the edition.")


class PublishForm(forms.Form):
    """At once, or at a set time."""

    release = forms.ChoiceField(
        label="When it comes out",
        choices=[("now", "At once"), ("later", "At a set time; under embargo until then")],
        widget=forms.RadioSelect,
    )
    release_at = _moment("Release time", "Only for a set time. Coordinated Universal Time.", required=False)

    def clean(self):
        data = super().clean()
        if data.get("release") == "later" and not data.get("release_at") and "release_at" not in self.errors:
            self.add_error("release_at", "Give the day and hour of the release.")
        return data

    @property
    def moment(self) -> dt.datetime | None:
        return self.cleaned_data["release_at"] if self.cleaned_data["release"] == "later" else None


class PreReleaseForm(forms.Form):
    username = forms.CharField(label="Account", help_text="The name the person signs in with.", max_length=150)
    office = _wide(forms.CharField(label="Post and organisation", help_text="As readers will see it.", max_length=160))
    reason = _reason("Why before the others", "Published with the edition.")


class ReleaseForm(forms.Form):
    """A new entry of the calendar."""

    round = forms.ModelChoiceField(
        label="Of which round", queryset=Round.objects.order_by("-year"), to_field_name="year", empty_label=None
    )
    title = _wide(forms.CharField(label="What comes out", max_length=120))
    planned_at = _moment("When")
    is_exact = forms.BooleanField(
        label="Day and hour are fixed", help_text="Otherwise readers see the month only.", required=False
    )


class FixForm(forms.Form):
    planned_at = _moment("Day and hour")


class MoveForm(forms.Form):
    planned_at = _moment("New day and hour")
    is_exact = forms.BooleanField(label="Day and hour are fixed", required=False)
    reason = _reason("Why it is moved", "Readers see it in the calendar.")


class ErratumForm(forms.Form):
    kind = forms.ChoiceField(label="Where the error lies", choices=Erratum.Kind.choices, widget=forms.RadioSelect)
    text = _reason("What was wrong, and what is right")
    effect = _reason("What it changes for readers", "Which clusters, figures, ranks; or that nothing published does.")
    clusters = forms.CharField(
        label="Clusters it touches", help_text="Their codes, separated by spaces.", required=False, max_length=2000
    )
    corrected_in = forms.ModelChoiceField(
        label="Corrected in",
        queryset=Edition.objects.none(),
        required=False,
        empty_label="Not yet",
        to_field_name="label",
        help_text="A published later revision of the same round. It can be named later too.",
    )

    def __init__(self, *args, edition: Edition, **kwargs):
        super().__init__(*args, **kwargs)
        later = Edition.objects.public().filter(round=edition.round_id, revision__gt=edition.revision or 0)
        self.fields["corrected_in"].queryset = later


class CorrectedForm(forms.Form):
    def __init__(self, *args, edition: Edition, **kwargs):
        super().__init__(*args, **kwargs)
        later = Edition.objects.public().filter(round=edition.round_id, revision__gt=edition.revision or 0)
        self.fields["corrected_in"] = forms.ModelChoiceField(
            label="Corrected in", queryset=later, to_field_name="label", empty_label=None
        )

"""What is stated of a cluster, and by whom."""

from django import forms

from .models import ProfileFact


class FactForm(forms.ModelForm):
    """A fact to propose. The model judges it; the service keeps it."""

    class Meta:
        model = ProfileFact
        fields = ["section", "label", "value", "unit", "year", "source", "licence", "note"]
        help_texts = {
            "label": "For instance: paid-up members, export value, founding year.",
            "value": "As the source gives it. Money with its currency.",
            "unit": "Firms, persons, million PKR …",
            "year": "To which it refers.",
            "licence": "Under which the source may be quoted.",
            "note": "What a reader should know: how it was counted, what it leaves out.",
        }
        widgets = {"year": forms.TextInput(attrs={"inputmode": "numeric"})}

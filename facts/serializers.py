"""What the API shows of what was observed, and what a posted return may hold. No answers here."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from clusters.serializers import PageField

from .models import Indicator, Instrument, Question, Return, Round, Schedule
from .services.instruments import definition
from .validation import SCALES

MAX_RETURNS = 1000
MAX_EXPLANATION = 1000  # characters, as the form keeps


class RoundSerializer(serializers.ModelSerializer):
    instrument = serializers.CharField(source="instrument.version", read_only=True)
    ref_year = serializers.IntegerField(read_only=True, help_text="The round asks about the year that ended then.")

    class Meta:
        model = Round
        fields = ["year", "ref_year", "instrument", "state", "opens_on", "closes_on", "releases_on", "is_synthetic"]


class InstrumentSerializer(serializers.ModelSerializer):
    n_questions = serializers.IntegerField(read_only=True)
    schedules = serializers.SerializerMethodField(help_text="Codes of its schedules.")

    class Meta:
        model = Instrument
        fields = ["version", "title", "digest", "schedules", "n_questions"]

    def get_schedules(self, instrument) -> list[str]:
        return Schedule.values


@extend_schema_field({"oneOf": [{"type": "integer"}, {"type": "string"}]})
class OptionCode(serializers.ReadOnlyField):
    """A whole number in most lists, a short word in some."""


class OptionSerializer(serializers.Serializer):
    code = OptionCode()
    label = serializers.CharField()


class QuestionSerializer(serializers.ModelSerializer):
    """A question with what a machine needs to answer it: options, routing in words, markers."""

    instrument = serializers.CharField(source="instrument.version", read_only=True)
    why = serializers.CharField(source="definition.why", read_only=True, help_text="Why it is asked.")
    help = serializers.CharField(source="definition.help", read_only=True)
    seen_by = serializers.CharField(source="definition.seen_by", read_only=True, help_text="Who sees the answer.")
    asked_of = serializers.CharField(
        source="definition.asked_of", read_only=True, help_text="Whom the routing asks; empty: everybody."
    )
    takes_marker = serializers.BooleanField(
        source="definition.takes_marker", read_only=True, help_text="DK and REF are taken."
    )
    takes_scale = serializers.BooleanField(
        source="definition.takes_scale", read_only=True, help_text="The return's scale multiplies it."
    )
    options = serializers.SerializerMethodField(help_text="Answers offered.")

    class Meta:
        model = Question
        fields = [
            "code",
            "instrument",
            "schedule",
            "section",
            "section_title",
            "position",
            "label",
            "type",
            "unit",
            "required",
            "core",
            "why",
            "help",
            "seen_by",
            "asked_of",
            "takes_marker",
            "takes_scale",
            "options",
        ]

    def to_representation(self, question):
        part = definition(question.instrument.version).schedule(question.schedule)
        question.definition = part.questions[question.code]
        return super().to_representation(question)

    @extend_schema_field(OptionSerializer(many=True))
    def get_options(self, question):
        return [
            {"code": option.code, "label": option.label}
            for option in question.definition.options
            if not option.staff_only
        ]


class IndicatorSerializer(serializers.ModelSerializer):
    index_weight = serializers.SerializerMethodField(help_text="Share in the whole index.")
    page = PageField(help_text="The indicator on this site.")

    class Meta:
        model = Indicator
        fields = [
            "code",
            "name",
            "pillar",
            "dimension",
            "formula",
            "aggregation",
            "unit",
            "direction",
            "weight",
            "index_weight",
            "n_min",
            "transform",
            "position",
            "page",
        ]

    def get_index_weight(self, indicator) -> float:
        return round(indicator.index_weight, 6)


class ReturnSerializer(serializers.ModelSerializer):
    """Header and state of a return."""

    round = serializers.IntegerField(source="round.year", read_only=True)
    cluster = serializers.CharField(source="cluster.code", default=None, read_only=True)
    page = PageField(help_text="Where a person goes on with it.")

    class Meta:
        model = Return
        fields = [
            "id",
            "round",
            "schedule",
            "subject",
            "cluster",
            "state",
            "revision",
            "version",
            "channel",
            "scale",
            "currency",
            "answered",
            "asked",
            "first_submitted_at",
            "submitted_at",
            "decided_at",
            "is_synthetic",
            "page",
        ]


class VersionSerializer(serializers.Serializer):
    """One version that was handed in, and its place in the chain."""

    number = serializers.IntegerField()
    digest = serializers.CharField(help_text="Keyed digest of the answers, as on the receipt.")
    submitted_at = serializers.DateTimeField(allow_null=True)
    by_role = serializers.CharField(help_text="Role and organisation of who handed it in.")
    why = serializers.CharField(help_text="What opened the return again; empty for the first version.")
    supersedes = serializers.IntegerField(allow_null=True)
    superseded_by = serializers.IntegerField(allow_null=True)
    is_last = serializers.BooleanField(help_text="This is the version that counts.")


class ReturnDetailSerializer(ReturnSerializer):
    """Header, state and the chain of versions of one return."""

    # Plain text: a list of choices in two components would need a name in the settings.
    state = serializers.CharField(read_only=True)
    versions = VersionSerializer(many=True, read_only=True, help_text="Every version handed in, oldest first.")

    class Meta(ReturnSerializer.Meta):
        fields = [*ReturnSerializer.Meta.fields, "versions"]


class ReceiptSerializer(ReturnSerializer):
    """The receipt of the version that counts."""

    state = serializers.CharField(read_only=True)
    digest = serializers.CharField(source="last.digest", read_only=True)
    submitted_at = serializers.DateTimeField(source="last.submitted_at", read_only=True, allow_null=True)
    by_role = serializers.CharField(source="last.by_role", read_only=True)
    supersedes = serializers.IntegerField(source="last.supersedes", read_only=True, allow_null=True)

    class Meta(ReturnSerializer.Meta):
        fields = [
            "id",
            "page",
            "round",
            "schedule",
            "subject",
            "cluster",
            "state",
            "version",
            "digest",
            "submitted_at",
            "first_submitted_at",
            "by_role",
            "supersedes",
            "is_synthetic",
        ]


# --- posted returns ---------------------------------------------------------------------------------


class KnownKeys(serializers.Serializer):
    """Refuses a key that it does not know, by name."""

    def to_internal_value(self, data):
        if isinstance(data, dict):
            unknown = [key for key in data if key not in self.fields]
            if unknown:
                mend = f"Use one of: {', '.join(self.fields)}."
                raise serializers.ValidationError({key: [word("Unknown key.", "unknown_key", mend)] for key in unknown})
        return super().to_internal_value(data)


def word(detail: str, code: str, mend: str = ""):
    """A message with its code and what would mend it."""
    found = serializers.ErrorDetail(detail, code)
    found.mend = mend
    return found


class Explanations(serializers.DictField):
    child = serializers.CharField(max_length=MAX_EXPLANATION, allow_blank=True)


SUBJECT = "Frame id, cluster code, cluster code/association, or region code."
ANSWERS = "Values, or markers (DK, REF), by question code, written as people write them."
DRY_RUN = "Check everything, keep nothing; answers 200."
SCALE = "In what unit money is written: 1, 1000, 100000 or 1000000."
EXPLANATIONS = "Words to a soft check by its code: UB01-S1."


class PostedReturnSerializer(KnownKeys):
    """One return: whose, and what is answered."""

    subject = serializers.CharField(max_length=120, help_text=SUBJECT)
    answers = serializers.DictField(help_text=ANSWERS)
    explanations = Explanations(required=False, help_text=EXPLANATIONS)


class PostedReturnsSerializer(KnownKeys):
    """One return, or several under `returns`: all are taken or none, unless `partial`."""

    round = serializers.IntegerField(min_value=1900, max_value=9999, help_text="Year of the round.")
    schedule = serializers.ChoiceField(choices=Schedule.choices)
    scale = serializers.ChoiceField(choices=sorted(SCALES), default=1, help_text=SCALE)
    dry_run = serializers.BooleanField(default=False, help_text=DRY_RUN)
    partial = serializers.BooleanField(
        default=False, help_text="Of a list take the good returns and say of each other one why not; answers 207."
    )
    subject = serializers.CharField(max_length=120, required=False, help_text=SUBJECT)
    answers = serializers.DictField(required=False, help_text=ANSWERS)
    explanations = Explanations(required=False, help_text=EXPLANATIONS)
    returns = PostedReturnSerializer(many=True, required=False, min_length=1, max_length=MAX_RETURNS)

    def validate(self, attrs):
        single = [name for name in ("subject", "answers", "explanations") if name in attrs]
        if "returns" in attrs and single:
            mend = "Send one return, or put each into returns."
            raise serializers.ValidationError(
                {name: [word("This stands beside returns.", "not_both", mend)] for name in single}
            )
        if attrs.get("partial") and "returns" not in attrs:
            mend = "Put the returns into a list under returns, or leave partial out."
            raise serializers.ValidationError({"partial": [word("One return is no list.", "not_a_list", mend)]})
        if "returns" not in attrs:
            missing = {
                name: [word("This field is required.", "required")]
                for name in ("subject", "answers")
                if name not in attrs
            }
            if missing:
                raise serializers.ValidationError(missing)
        return attrs


class PatchedReturnSerializer(KnownKeys):
    """Answers to change in one draft; questions that are not named keep theirs."""

    answers = serializers.DictField(help_text=ANSWERS)
    explanations = Explanations(required=False, help_text=EXPLANATIONS)
    scale = serializers.ChoiceField(
        choices=sorted(SCALES), required=False, help_text=f"{SCALE} As before, unless told."
    )
    dry_run = serializers.BooleanField(default=False, help_text=DRY_RUN)


class ReturnProblemSerializer(serializers.Serializer):
    """One thing that is wrong with a return, and where."""

    pointer = serializers.CharField(help_text="JSON pointer into the body: #/returns/3/answers/UB01")
    code = serializers.CharField(help_text="The rule that spoke, the same in form, file and API.")
    question = serializers.CharField(required=False)
    detail = serializers.CharField()
    mend = serializers.CharField()


class OpenPointSerializer(ReturnProblemSerializer):
    """What still stands between a draft and its submission."""

    severity = serializers.ChoiceField(choices=["hard", "soft"])


class SavedReturnSerializer(ReturnSerializer):
    """A stored draft with its open points. `id` and addresses are empty after a dry run."""

    state = serializers.CharField(read_only=True)
    status = serializers.CharField(read_only=True, help_text="created, updated or unchanged.")
    url = serializers.CharField(read_only=True, allow_null=True, help_text="The return over the API.")
    open_points = OpenPointSerializer(many=True, read_only=True)

    class Meta(ReturnSerializer.Meta):
        fields = [
            "id",
            "status",
            "url",
            "page",
            "round",
            "schedule",
            "subject",
            "cluster",
            "state",
            "revision",
            "scale",
            "currency",
            "answered",
            "asked",
            "is_synthetic",
            "open_points",
        ]


class RefusedReturnSerializer(serializers.Serializer):
    """A return of a list that was left out."""

    pointer = serializers.CharField(help_text="Its place in the body: #/returns/3")
    subject = serializers.CharField()
    status = serializers.IntegerField(help_text="400 not valid, 409 not in this state.")
    errors = ReturnProblemSerializer(many=True)


class SavedReturnsSerializer(serializers.Serializer):
    """What a POST of several returns did."""

    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    returns = SavedReturnSerializer(many=True)
    refused = RefusedReturnSerializer(many=True, help_text="What was left out; empty unless `partial`.")

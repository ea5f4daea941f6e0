"""What was observed, over the API: registers, return headers, and the door for returns. It makes drafts only."""

from collections.abc import Iterable
from urllib.parse import quote

from django.db import IntegrityError, transaction
from django.db.models import Count
from django.http import Http404
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import exceptions, viewsets
from rest_framework.response import Response

from core.base import Conflict
from core.policy.api import ScopedQuerysetMixin

from .filtersets import IndicatorFilterSet, QuestionFilterSet, ReturnFilterSet, RoundFilterSet
from .models import Indicator, Instrument, Question, Return, Round
from .serializers import (
    IndicatorSerializer,
    InstrumentSerializer,
    PostedReturnsSerializer,
    QuestionSerializer,
    ReturnSerializer,
    RoundSerializer,
    SavedReturnSerializer,
    SavedReturnsSerializer,
)
from .services.findings import EXPLANATION_MIN
from .services.imports import Outcome, Row, RowProblem, save_drafts
from .services.instruments import schedule

# Rules that say "not now" rather than "not so".
STATE_RULES = ("round-open", "return-editable")


class Refused(exceptions.APIException):
    """Returns that were not taken; `errors` names each place and rule."""

    default_code = "refused"

    def __init__(self, status: int, detail: str, errors: list[dict]):
        super().__init__(detail)
        self.status_code, self.errors = status, errors


class RoundViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Rounds of collection: year, instrument, window and state."""

    queryset = Round.objects.select_related("instrument").order_by("-year")
    serializer_class, filterset_class, lookup_field = RoundSerializer, RoundFilterSet, "year"
    policy_actions = {"list": "round.read", "retrieve": "round.read"}


class InstrumentViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Versions of the FACTS instrument."""

    queryset = Instrument.objects.annotate(n_questions=Count("questions")).order_by("version")
    serializer_class, lookup_field = InstrumentSerializer, "version"
    policy_actions = {"list": "instrument.read", "retrieve": "instrument.read"}


class QuestionViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """What is asked, of whom, why, and which answers are offered."""

    queryset = Question.objects.select_related("instrument").order_by("-instrument__version", "position", "pk")
    serializer_class, filterset_class, lookup_field = QuestionSerializer, QuestionFilterSet, "code"
    policy_actions = {"list": "instrument.read", "retrieve": "instrument.read"}
    detail_parameters = ("instrument",)

    def get_object(self):
        """A code never changes meaning; its newest wording is shown unless an instrument is named."""
        found = self.filter_queryset(self.get_queryset())
        try:
            question = found.filter(code=self.kwargs["code"]).first()
        except ValueError:  # a NUL, on PostgreSQL
            question = None
        if question is None:
            raise Http404
        return question


class IndicatorViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """The measures: what each means, its formula, unit, direction and weight."""

    queryset = Indicator.objects.order_by("position", "pk")
    serializer_class, filterset_class, lookup_field = IndicatorSerializer, IndicatorFilterSet, "code"
    policy_actions = {"list": "indicator.read", "retrieve": "indicator.read"}


class ReturnViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Headers and states of returns, for those concerned. POST makes drafts, which a named person certifies."""

    queryset = Return.objects.select_related("round", "cluster").order_by("pk")
    filterset_class = ReturnFilterSet
    policy_actions = {"list": "return.read", "retrieve": "return.read", "create": "return.create"}
    answer_serializer_class = PolymorphicProxySerializer(
        component_name="Saved",
        serializers=[SavedReturnSerializer, SavedReturnsSerializer],
        resource_type_field_name=None,
    )

    def get_serializer_class(self):
        return PostedReturnsSerializer if self.action == "create" else ReturnSerializer

    def create(self, request, *args, **kwargs):
        """Make or update drafts: one return, or several under `returns`, all of them or none.

        The same body again changes nothing and answers 200. A failed hard check or a value that cannot be read
        refuses the request; missing answers and soft checks do not, they come back as open points.
        """
        posted = self.get_serializer(data=request.data)
        posted.is_valid(raise_exception=True)
        data = posted.validated_data
        rows = _rows(data)
        round_ = _round(data["round"])
        _require_known_rules(round_, data["schedule"], rows)
        try:
            with transaction.atomic():
                outcome = save_drafts(
                    round_=round_,
                    schedule_code=data["schedule"],
                    rows=rows,
                    by=request.user,
                    channel=Return.Channel.API,
                    scale=data["scale"],
                    dry_run=data["dry_run"],
                    is_synthetic=round_.is_synthetic,
                )
        except IntegrityError:
            raise Conflict("Somebody else made one of these returns in the meantime. Send the request again.") from None
        if outcome.refused:
            raise _refusal(outcome.refused)
        return self._answer(outcome, rows, is_batch="returns" in data, dry_run=data["dry_run"])

    def _answer(self, outcome: Outcome, rows: list[Row], *, is_batch: bool, dry_run: bool) -> Response:
        made = {ret.subject: ret for ret in outcome.returns}
        for row in rows:
            ret = made[row.subject]
            ret.open_points = _open_points(outcome.open_points, row)
            ret.url = None if dry_run else self.reverse_action("detail", args=[ret.pk])
        if dry_run:
            for ret in made.values():
                ret.pk = None
        stored = [made[row.subject] for row in rows]
        context = self.get_serializer_context()
        status = 201 if outcome.created and not dry_run else 200
        if is_batch:
            saved = SavedReturnSerializer(stored, many=True, context=context).data
            counts = {"created": outcome.created, "updated": outcome.updated, "unchanged": outcome.unchanged}
            return Response(counts | {"returns": saved}, status=status)
        headers = {"Location": stored[0].url} if status == 201 else None
        return Response(SavedReturnSerializer(stored[0], context=context).data, status=status, headers=headers)


def _rows(data: dict) -> list[Row]:
    if "returns" not in data:
        return [Row(data["subject"], data["answers"], "", data.get("explanations", {}))]
    return [
        Row(entry["subject"], entry["answers"], f"/returns/{number}", entry.get("explanations", {}))
        for number, entry in enumerate(data["returns"])
    ]


def _round(year: int) -> Round:
    found = Round.objects.select_related("instrument").filter(year=year).first()
    if found is None:
        years = ", ".join(str(one) for one in Round.objects.open().order_by("year").values_list("year", flat=True))
        mend = f"Open now: {years}." if years else "No round is open now."
        raise _refused(400, [_entry("#/round", "round-known", f"There is no round {year}.", mend)])
    return found


def _require_known_rules(round_: Round, schedule_code: str, rows: Iterable[Row]) -> None:
    """Refuse words to a rule that does not exist: they would explain nothing."""
    part = schedule(round_.instrument.version, schedule_code)
    known = {code for code, rule in part.checks.items() if rule.kind == "soft"}
    known |= {f"{code}-route" for code in part.questions}
    errors = [
        _entry(
            f"#{row.place}/explanations/{_escaped(rule)}",
            "unknown-rule",
            f"“{rule[:60]}” is not a soft check of “{part.title}”.",
            "Use the code that an open point carries.",
        )
        for row in rows
        for rule in row.explanations
        if rule not in known
    ]
    if errors:
        raise _refused(400, errors)


def _refusal(problems: list[RowProblem]) -> Refused:
    errors = [_entry(_pointer(one), one.problem.rule, one.problem.message, one.problem.mend) for one in problems]
    return _refused(409 if all(one.problem.rule in STATE_RULES for one in problems) else 400, errors)


def _refused(status: int, errors: list[dict]) -> Refused:
    count = len(errors)
    return Refused(status, f"Nothing was kept: {count} problem{'s' if count != 1 else ''}; see errors.", errors)


def _pointer(found: RowProblem) -> str:
    rule, question = found.problem.rule, found.problem.question
    if rule == "round-open":
        return "#/round"
    if question:
        return f"#{found.place}/answers/{_escaped(question)}"
    return f"#{found.place}/{'answers' if rule == 'unknown-question' else 'subject'}"


def _escaped(key: str) -> str:
    """A key inside a JSON pointer that is a URI fragment."""
    return quote(key.replace("~", "~0").replace("/", "~1"), safe="~")


def _entry(pointer: str, code: str, detail: str, mend: str) -> dict:
    return {"pointer": pointer, "code": code, "detail": detail, "mend": mend}


def _open_points(problems: list[RowProblem], row: Row) -> list[dict]:
    """What is still to be settled: answers missing, and soft checks that this request does not explain."""
    return [
        _entry(_pointer(one), one.problem.rule, one.problem.message, one.problem.mend)
        | {"severity": one.problem.severity}
        for one in problems
        if one.place == row.place and len(row.explanations.get(one.problem.rule, "").strip()) < EXPLANATION_MIN
    ]

"""The door for returns: drafts in, headers, versions and receipts out. No answer ever comes out here."""

import re
from collections.abc import Iterable

from django.db import transaction
from django.http import Http404, HttpResponse
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from core.policy.api import ScopedQuerysetMixin
from facts.filtersets import ReturnFilterSet
from facts.models import Return, Round
from facts.serializers import (
    PatchedReturnSerializer,
    PostedReturnsSerializer,
    ReceiptSerializer,
    ReturnDetailSerializer,
    ReturnSerializer,
    SavedReturnSerializer,
    SavedReturnsSerializer,
)
from facts.services import idempotency
from facts.services.chain import chain_of
from facts.services.findings import EXPLANATION_MIN
from facts.services.imports import Outcome, Row, RowProblem, save_drafts
from facts.services.instruments import schedule

from .limits import ReturnsThrottle
from .refusals import Refused, entry, escaped, refusal, refused, status_of, told

ROUTE = "POST /api/v1/returns/"
KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 80 printable characters. The same key and body are given the first answer again, for 7 days.",
)
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, required=True, description="The ETag of the draft as it was read."
)
_KEY = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,78}[\x21-\x7e]|[\x21-\x7e]")
_TAG = re.compile(r'(?<!W/)"([0-9]{1,9})(?:-[0-9a-f]+)?"')


class ReturnViewSet(ScopedQuerysetMixin, viewsets.ReadOnlyModelViewSet):
    """Headers and states of returns, for those concerned. POST makes drafts, which a named person certifies."""

    queryset = Return.objects.select_related("round", "cluster").order_by("pk")
    filterset_class = ReturnFilterSet
    http_method_names = ["get", "head", "options", "post", "patch"]
    policy_actions = {
        "list": "return.read",
        "retrieve": "return.read",
        "receipt": "return.read",
        "create": "return.create",
        "partial_update": "return.write",
    }
    serializer_classes = {
        "create": PostedReturnsSerializer,
        "partial_update": PatchedReturnSerializer,
        "retrieve": ReturnDetailSerializer,
        "receipt": ReceiptSerializer,
    }
    answer_serializer_classes = {
        "create": PolymorphicProxySerializer(
            component_name="Saved",
            serializers=[SavedReturnSerializer, SavedReturnsSerializer],
            resource_type_field_name=None,
        ),
        "partial_update": SavedReturnSerializer,
    }

    def get_serializer_class(self):
        return self.serializer_classes.get(self.action, ReturnSerializer)

    def get_throttles(self):
        return [ReturnsThrottle()] if self.action in ("create", "partial_update") else []

    def finalize_response(self, request, response, *args, **kwargs):
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in getattr(request._request, "limits", {}).items():
            response[name] = value
        return response

    # --- out

    def retrieve(self, request, *args, **kwargs):
        """One return's header and the chain of its versions. Its ETag is what PATCH asks for as If-Match."""
        ret = self.get_object()
        ret.versions = chain_of(ret)
        response = Response(self.get_serializer(ret).data)
        response.etag_prefix = f"{ret.revision}-"
        return response

    @action(detail=True)
    def receipt(self, request, *args, **kwargs):
        """The receipt of the version that counts: number, digest, instant. 404 as long as nothing was handed in."""
        ret = self.get_object()
        chain = chain_of(ret)
        if not chain:
            raise Http404
        ret.last = chain[-1]
        return Response(self.get_serializer(ret).data)

    # --- in

    @extend_schema(parameters=[KEY])
    def create(self, request, *args, **kwargs):
        """Make or update drafts: one return, or several under `returns`; all of them or none, unless `partial`.

        The same body again changes nothing and answers 200. A failed hard check or a value that cannot be read
        refuses the request (with `partial`, the return); missing answers and soft checks do not, they come back as
        open points. With an Idempotency-Key the first answer is given again, byte for byte.
        """
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return self._create(request)
        if not _KEY.fullmatch(key):
            mend = "Give 1 to 80 printable characters of ASCII, for instance a UUID."
            raise refused(400, [entry("#", "idempotency-key", "The Idempotency-Key is empty, too long or odd.", mend)])
        try:
            answer = idempotency.once(request.user, ROUTE, key, request.data, lambda: self._answered(request))
        except idempotency.OtherBody as other:
            raise Refused(
                422, str(other), [entry("#", "idempotency-key", str(other), "Give each request a key of its own.")]
            ) from None
        response = HttpResponse(answer.content, status=answer.status, headers=answer.headers)
        if answer.replayed:
            response["Idempotency-Replayed"] = "true"
        return response

    def _answered(self, request) -> idempotency.Answer:
        """The answer as bytes, a refusal too. A fault, as of a busy database, is no answer and goes on as it came."""
        try:
            response = self._create(request)
            content = JSONRenderer().render(response.data)
            headers = {"Content-Type": "application/json", **dict(response.items())}
        except APIException as exc:
            response = self.handle_exception(exc)
            content, headers = response.content, dict(response.items())
        return idempotency.Answer(response.status_code, content, headers)

    def _create(self, request) -> Response:
        posted = self.get_serializer(data=request.data)
        posted.is_valid(raise_exception=True)
        data = posted.validated_data
        rows = _rows(data)
        round_ = _round(data["round"])
        unknown = _unknown_rules(round_, data["schedule"], rows)
        if unknown and not data["partial"]:
            raise refused(400, [one for errors in unknown.values() for one in errors])
        good = [row for row in rows if row.place not in unknown]
        there = Return.objects.filter(
            round=round_, schedule=data["schedule"], subject__in=[row.subject for row in good]
        )
        with transaction.atomic():
            before = dict(there.values_list("subject", "revision"))
            outcome, bad = _saved(good, data, round_, request.user)
        answer = self._saved_rows(outcome, good, bad, before, dry_run=data["dry_run"])
        status = 201 if outcome.created and not data["dry_run"] else 200
        if "returns" not in data:
            headers = {"ETag": f'"{answer[0].revision}"'} | ({"Location": answer[0].url} if status == 201 else {})
            return Response(self._shown(answer[0]).data, status=status, headers=headers)
        left_out = [
            {"pointer": f"#{row.place}", "subject": row.subject}
            | {"status": 400 if row.place in unknown else status_of(bad[row.place])}
            | {"errors": unknown.get(row.place) or [told(one) for one in bad[row.place]]}
            for row in rows
            if row.place in unknown or row.place in bad
        ]
        counts = {"created": outcome.created, "updated": outcome.updated, "unchanged": outcome.unchanged}
        body = counts | {"returns": self._shown(answer, many=True).data, "refused": left_out}
        return Response(body, status=207 if left_out else status)

    @extend_schema(parameters=[IF_MATCH])
    def partial_update(self, request, *args, **kwargs):
        """Change answers of a draft, unless somebody saved it since: If-Match names the ETag that was read.

        Questions that are not named keep their answers. What refuses a POST refuses this too, and nothing is kept.
        """
        ret = self.get_object()
        revisions = _revisions(request)
        posted = self.get_serializer(data=request.data)
        posted.is_valid(raise_exception=True)
        data = posted.validated_data
        row = Row(ret.subject, data["answers"], "", data.get("explanations", {}))
        with transaction.atomic():
            # The round first, as every import takes them: two that wait for each other would never end.
            round_ = Round.objects.select_for_update(of=("self",)).select_related("instrument").get(pk=ret.round_id)
            ret = Return.objects.select_for_update(of=("self",)).get(pk=ret.pk)
            if revisions is not None and ret.revision not in revisions:
                raise _saved_since(ret)
            if unknown := _unknown_rules(round_, ret.schedule, [row]):
                raise refused(400, [one for errors in unknown.values() for one in errors])
            outcome = save_drafts(
                round_=round_,
                schedule_code=ret.schedule,
                rows=[row],
                by=request.user,
                channel=Return.Channel.API,
                scale=data.get("scale") or ret.scale,
                dry_run=data["dry_run"],
            )
        if outcome.refused:
            raise refusal(outcome.refused, outcome.n_refused)
        saved = self._saved_rows(outcome, [row], {}, {ret.subject: ret.revision}, dry_run=False)[0]
        tag = ret.revision if data["dry_run"] else saved.revision
        return Response(self._shown(saved).data, headers={"ETag": f'"{tag}"'})

    def _saved_rows(self, outcome: Outcome, rows: list[Row], bad: dict, before: dict, *, dry_run: bool) -> list[Return]:
        """The returns that were kept, in the order of the body, each with what became of it and what is still open."""
        made = {ret.subject: ret for ret in outcome.returns}
        kept = [(row, made[row.subject]) for row in rows if row.place not in bad and row.subject in made]
        for row, ret in kept:
            ret.open_points = _open_points(outcome.open_points, row)
            ret.url = None if dry_run else self.reverse_action("detail", args=[ret.pk])
            ret.status = (
                "created"
                if ret.subject not in before
                else "updated"
                if ret.revision != before[ret.subject]
                else "unchanged"
            )
            if dry_run:
                ret.pk = None
        return [ret for _, ret in kept]

    def _shown(self, saved, *, many: bool = False):
        return SavedReturnSerializer(saved, many=many, context=self.get_serializer_context())


def _saved(rows: list[Row], data: dict, round_: Round, by) -> tuple[Outcome, dict[str, list[RowProblem]]]:
    """Save the rows. With `partial` those that are refused are left out, by place; without it they refuse all."""
    bad: dict[str, list[RowProblem]] = {}
    while True:
        good = [row for row in rows if row.place not in bad]
        if not good:
            return Outcome(), bad
        outcome = save_drafts(
            round_=round_,
            schedule_code=data["schedule"],
            rows=good,
            by=by,
            channel=Return.Channel.API,
            scale=data["scale"],
            dry_run=data["dry_run"],
            is_synthetic=round_.is_synthetic,
        )
        if not outcome.refused:
            return outcome, bad
        places = {row.place for row in good}
        if not data["partial"] or any(one.place not in places for one in outcome.refused):
            raise refusal(outcome.refused, outcome.n_refused)
        for one in outcome.refused:
            bad.setdefault(one.place, []).append(one)


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
        raise refused(400, [entry("#/round", "round-known", f"There is no round {year}.", mend)])
    return found


def _unknown_rules(round_: Round, schedule_code: str, rows: Iterable[Row]) -> dict[str, list[dict]]:
    """Words to a rule that does not exist, by the row's place: they would explain nothing."""
    part = schedule(round_.instrument.version, schedule_code)
    known = {code for code, rule in part.checks.items() if rule.kind == "soft"}
    known |= {f"{code}-route" for code in part.questions}
    found: dict[str, list[dict]] = {}
    for row in rows:
        for rule in row.explanations:
            if rule not in known:
                pointer = f"#{row.place}/explanations/{escaped(rule)}"
                words = f"“{rule[:60]}” is not a soft check of “{part.title}”."
                mend = "Use the code that an open point carries."
                found.setdefault(row.place, []).append(entry(pointer, "unknown-rule", words, mend))
    return found


def _open_points(problems: list[RowProblem], row: Row) -> list[dict]:
    """What is still to be settled: answers missing, and soft checks that this request does not explain."""
    return [
        told(one) | {"severity": one.problem.severity}
        for one in problems
        if one.place == row.place and len(row.explanations.get(one.problem.rule, "").strip()) < EXPLANATION_MIN
    ]


def _revisions(request) -> set[int] | None:
    """The revisions that If-Match names; None for `*`, which asks for whatever is there."""
    header = request.headers.get("If-Match", "").strip()
    if not header:
        mend = "Read the return, and send its ETag as If-Match."
        words = "A draft that others may edit is changed only by those who say which state they saw."
        raise Refused(428, words, [entry("#", "if-match", words, mend)])
    return None if header == "*" else {int(number) for number in _TAG.findall(header)}


def _saved_since(ret: Return) -> Refused:
    words = f"The return of {ret.subject} was saved in the meantime; it stands at revision {ret.revision}."
    mend = "Read it again, and send what you want to change with its new ETag."
    return Refused(412, words, [entry("#", "saved-since", words, mend)], {"ETag": f'"{ret.revision}"'})

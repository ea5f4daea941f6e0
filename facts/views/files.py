"""Files of returns: the template to fill in, the preview of what was sent, the import that was confirmed."""

from collections import Counter

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.views.generic import TemplateView, View

from clusters.models import Cluster, ClusterRole
from core import policy
from core.base import DomainError
from core.policy import Role
from core.policy.views import PolicyMixin
from facts.forms import UploadForm
from facts.models import Round, Schedule
from facts.readers import FileProblem, read_table
from facts.services import reading
from facts.services.files import import_file
from facts.services.instruments import definition, lookups
from facts.services.templates import ENDINGS, template_file
from facts.validation import read_answers

SHOWN_MAX = 200  # lines of a report on the page


def templates_for(user) -> list[dict]:
    """Which templates a person may have: schedule and cluster."""
    grants = policy.grants_of(user)
    associations = [grant.organisation_id for grant in grants if grant.role in (Role.ENTRY, Role.HEAD, Role.CLIENT)]
    agencies = [grant.organisation_id for grant in grants if grant.role in (Role.STAFF, Role.SUPERVISOR)]
    roles = ClusterRole.objects.filter(organisation__in=[*associations, *agencies], cluster__kind=Cluster.Kind.CLUSTER)
    found: dict[tuple[str, str], dict] = {}
    for role in roles.select_related("cluster").order_by("cluster__name"):
        schedules = []
        if role.organisation_id in associations and role.role in ("association", "collector"):
            schedules = [Schedule.UNIT, Schedule.ASSOCIATION] if role.role == "association" else [Schedule.UNIT]
        if role.organisation_id in agencies and role.role == "lead_agency":
            schedules += [Schedule.CLUSTER, Schedule.REGION]
        for schedule in schedules:
            found[schedule.value, role.cluster.code] = {"schedule": schedule, "cluster": role.cluster}
    return list(found.values())


class TemplateFile(PolicyMixin, View):
    """A file to fill in, for a cluster of one's own."""

    action = "return.create"

    def get(self, request):
        asked, ending = request.GET, f".{request.GET.get('format', 'xlsx')}"
        round_ = Round.objects.select_related("instrument").filter(year=_whole(asked.get("round"))).first()
        wanted = (asked.get("schedule", "").upper(), asked.get("cluster", ""))
        cluster = next(
            (one["cluster"] for one in templates_for(request.user) if (one["schedule"], one["cluster"].code) == wanted),
            None,
        )
        if round_ is None or cluster is None or ending not in ENDINGS:
            raise Http404
        content = template_file(wanted[0], round_=round_, cluster=cluster, ending=ending)
        response = HttpResponse(content, content_type=ENDINGS[ending])
        name = f"facts-{round_.year}-{wanted[0].lower()}-{cluster.code.lower()}{ending}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


def _whole(text) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 6 else 0


class ImportPage(PolicyMixin, TemplateView):
    """Send a file: first what it would do, row by row; then, confirmed, all of it or nothing."""

    action = "return.create"
    template_name = "facts/import.html"

    def get_context_data(self, **kwargs):
        rounds = list(Round.objects.open())
        return super().get_context_data(**kwargs) | {
            "form": kwargs.get("form") or UploadForm(),
            "rounds": rounds,
            "templates": templates_for(self.request.user) if rounds else [],
            "round": rounds[0] if rounds else None,
        }

    def post(self, request):
        return self.confirm(request) if "held" in request.POST else self.preview(request)

    def preview(self, request):
        form = UploadForm(request.POST, request.FILES)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form))
        round_, scale, file = form.cleaned_data["round"], form.cleaned_data["scale"], form.cleaned_data["file"]
        if file.size > reading.HELD_MAX:
            form.add_error("file", "The file is larger than 6 MB. Send it in parts.")
            return self.render_to_response(self.get_context_data(form=form))
        content, name = file.read(), file.name[:80]
        outcome = import_file(content, name, round_=round_, by=request.user, dry_run=True, scale=scale)
        context = self.get_context_data(form=form, name=name, outcome=outcome, on_round=round_)
        if outcome.refused:
            return self.render_to_response(context | _shown(outcome.refused, "refused"))
        context |= _shown(outcome.open_points, "open_points") | {
            "held": reading.hold_file(content, name, round_id=round_.pk, scale=scale, by=request.user),
            "totals": totals_of(content, name, round_, scale),
            "rows": _rows(content, name, outcome),
        }
        return self.render_to_response(context)

    def confirm(self, request):
        try:
            head, content = reading.held_file(request.POST["held"], by=request.user)
        except DomainError as refusal:
            messages.error(request, str(refusal))
            return redirect("facts:import")
        round_ = Round.objects.select_related("instrument").get(pk=head["round"])
        outcome = import_file(content, head["name"], round_=round_, by=request.user, scale=head["scale"])
        if outcome.refused:
            # Something changed between preview and confirmation: say what, and keep nothing.
            context = self.get_context_data(name=head["name"], outcome=outcome, on_round=round_)
            return self.render_to_response(context | _shown(outcome.refused, "refused"))
        messages.success(
            request,
            f"{outcome.created} drafts made, {outcome.updated} updated, {outcome.unchanged} unchanged. "
            "They are drafts: the head of the organisation certifies and submits them.",
        )
        return redirect("facts:returns")


def _shown(problems, name: str) -> dict:
    return {name: problems[:SHOWN_MAX], f"{name}_more": max(0, len(problems) - SHOWN_MAX)}


def _rows(content: bytes, name: str, outcome) -> list[dict]:
    """What each row of a sound file is: respondent, answers given, points still open."""
    table = read_table(content, name)
    points = Counter(point.subject for point in outcome.open_points)
    missing = Counter(point.subject for point in outcome.open_points if point.problem.rule.endswith("-required"))
    rows = []
    for number, cells in table.rows[:SHOWN_MAX]:
        subject, *given = cells.values()
        subject = next((cells[key] for key in ("unit", "cluster", "association", "region") if key in cells), subject)
        answers = sum(bool(text) for text in cells.values()) - 1
        rows.append(
            {
                "row": number,
                "subject": subject,
                "answers": answers,
                "missing": missing[subject],
                "soft": points[subject] - missing[subject],
            }
        )
    return rows


def totals_of(content: bytes, name: str, round_: Round, scale: int) -> list[dict]:
    """Sums of the core amounts in a file, to hold against the sender's own."""
    try:
        table = read_table(content, name)
    except FileProblem:
        return []
    schedules = definition(round_.instrument.version).schedules.values()
    part = max(schedules, key=lambda one: sum(code in one.questions for code in table.header))
    sums: Counter = Counter()
    counts: Counter = Counter()
    for _, cells in table.rows:
        raw = {code: text for code, text in cells.items() if code in part.questions and text}
        for code, value in read_answers(part, raw, scale=scale, lookups=lookups()).answers.items():
            question = part.questions[code]
            if question.core and question.kind in ("integer", "money") and question.unit != "year":
                sums[code] += value
                counts[code] += 1
    return [
        {"code": code, "short": part.questions[code].short, "unit": part.questions[code].unit, "sum": sums[code]}
        | {"rows": counts[code]}
        for code in part.questions
        if code in sums
    ]

"""The unit grid: an association's unit drafts as rows, the questions of one block as columns, filled in like a sheet.

With scripts each row is saved as it is typed, over the same door as the single return (`autosave`); without, the whole
page is one plain form. A value that cannot be taken stays in its cell with the reason; the others are kept.
"""

import json
from dataclasses import dataclass, field
from decimal import Decimal

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.views.generic import TemplateView

from clusters.models import Cluster
from core import policy
from core.accounts.idle import seconds_left
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.forms import NUMBERS, SectionForm, drop_refused, in_words, typed, unit_of
from facts.models import Return, Round, Schedule
from facts.services import reading
from facts.services.deadlines import lock_reasons
from facts.services.drafts import Clash, save_fields
from facts.services.instruments import schedule
from facts.validation import MARKERS
from facts.wording import INDIAN

from .parts import channel_of
from .returns import grids_of

PAGE = 50
BLOCK = "UB"
COUNTED = ("persons", "person-days", "kWh", "filings")  # units of measure that add up over firms


@dataclass
class Cell:
    """One answer in the grid. `text` is what the cell shows, `was` what is stored, as the field would send it."""

    question: object
    text: str
    was: str
    previous: str
    before: str
    change: str
    asked: bool
    error: str = ""
    confirmed: bool = False

    @property
    def code(self) -> str:
        return self.question.code


@dataclass
class Line:
    """One unit's return in the grid."""

    ret: Return
    name: str
    locked: str
    cells: list[Cell]
    words: str
    error: str = ""

    @property
    def was(self) -> str:
        return json.dumps({cell.code: cell.was for cell in self.cells})


@dataclass
class Sent:
    """What came in for one row: texts by question, refusals by question, a reason why nothing of the row was taken."""

    texts: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    refused: str = ""


class UnitGrid(PolicyMixin, TemplateView):
    """Unit drafts of a cluster as rows."""

    action = "return.read_draft"
    post_action = "return.write"
    template_name = "facts/grid.html"

    def setup(self, request, *args, **kwargs):
        super().setup(request, *args, **kwargs)
        self.sent: dict[int, Sent] = {}

    def get_context_data(self, **kwargs):
        asked, user = self.request.GET, self.request.user
        context = super().get_context_data(**kwargs)
        round_ = Round.objects.open().select_related("instrument").order_by("-year").first()
        grids = grids_of(user, round_) if round_ else []
        if not grids:
            return context | {"round": round_, "grids": []}
        code = asked.get("cluster") or grids[0]["code"]
        cluster = Cluster.objects.select_related("country").filter(code=code).first()
        if cluster is None or code not in {one["code"] for one in grids}:
            raise Http404
        sections = schedule(round_.instrument.version, "UNIT").sections
        section = next((one for one in sections if one.code == asked.get("block", BLOCK)), None)
        if section is None:
            raise Http404
        found = Return.objects.filter(round=round_, schedule=Schedule.UNIT, cluster=cluster, state__in=Return.EDITABLE)
        found = self.in_scope(found.with_subjects().select_related("round__instrument", "cluster__country"))
        page = Paginator(found.order_by("subject", "pk"), PAGE).get_page(asked.get("page"))
        lines = self.lines(round_, list(page), section)
        columns = self.columns(section, lines)
        kept = {column["question"].code for column in columns}
        for line in lines:
            line.cells = [cell for cell in line.cells if cell.code in kept]
        return context | {
            "round": round_,
            "grids": grids,
            "grid": next(one for one in grids if one["code"] == code),
            "cluster": cluster,
            "section": section,
            "page": page,
            "lines": lines,
            "columns": columns,
            "adds_up": any(column["adds_up"] for column in columns),
            "is_indian": cluster.country.currency in INDIAN,
            "errors": [
                {"id": f"c{line.ret.pk}_{cell.code}", "message": f"{line.ret.subject}, {cell.error}"}
                for line in lines
                for cell in line.cells
                if cell.error and line.ret.pk in self.sent
            ],
            "seconds_left": seconds_left(self.request),
            "filters": [
                {
                    "name": "cluster",
                    "label": "Cluster",
                    "value": code,
                    "options": [(one["code"], one["name"]) for one in grids],
                },
                {
                    "name": "block",
                    "label": "Block",
                    "value": section.code,
                    "options": [(one.code, one.title) for one in sections],
                },
            ],
        }

    def lines(self, round_, returns: list[Return], section) -> list[Line]:
        user = self.request.user
        named: dict[int, str] = {}
        if policy.allowed(user, "unit_identity.read"):
            own = policy.scope(user, "unit_identity.read", Return.objects.filter(pk__in=[ret.pk for ret in returns]))
            units = list(own.values_list("unit_id", flat=True))
            named = reading.unit_names(units, about=round_, by=user, purpose="the grid of units")
        locked = lock_reasons(returns)
        lines = []
        for ret, opened in zip(returns, reading.judged_many(returns, by=user), strict=True):
            sent = self.sent.get(ret.pk, Sent())
            cells = []
            for one in SectionForm(opened, section).fields(with_hidden=True):
                text = sent.texts.get(one.name, cell_text(one))
                error = sent.errors.get(one.name) or one.error
                error = error or " ".join(flag["message"] for flag in one.flags if not flag["explanation"])
                cells.append(
                    Cell(
                        one.question,
                        text,
                        one.was,
                        one.previous,
                        one.before,
                        one.change,
                        one.asked,
                        error,
                        one.confirmed,
                    )
                )
            here = next(part for part in opened.sections if part.section is section)
            lines.append(
                Line(ret, named.get(ret.unit_id, ""), locked.get(ret.subject, ""), cells, here.words, sent.refused)
            )
        return lines

    def columns(self, section, lines: list[Line]) -> list[dict]:
        """The questions that somebody on the page is asked, with the total of what can be added up."""
        columns = []
        for place, question in enumerate(section.questions):
            if lines and not any(line.cells[place].asked for line in lines):
                continue
            columns.append(
                {
                    "question": question,
                    "unit": unit_of(question, lines[0].ret) if lines else "",
                    "is_number": question.kind in NUMBERS,
                    "total": total(question, [line for line in lines if line.cells[place].asked], place),
                    "adds_up": adds_up(question),
                }
            )
        return columns

    def post(self, request, *args, **kwargs):
        context = self.get_context_data(**kwargs)
        saved = 0
        for line in context.get("lines", []):
            saved += self.save(line)
        if any(sent.errors or sent.refused for sent in self.sent.values()):
            if saved:
                messages.success(request, f"{saved} answer{'s' if saved != 1 else ''} saved; the others are marked.")
            return self.render_to_response(self.get_context_data(**kwargs))
        messages.success(
            request, f"{saved} answer{'s' if saved != 1 else ''} saved." if saved else "Nothing was changed."
        )
        query = request.GET.urlencode()
        return redirect(reverse("facts:grid") + (f"?{query}" if query else ""))

    def save(self, line: Line) -> int:
        """Save what the form changed in one row, and say how many; what cannot be taken is left in its cell."""
        post, ret, sent = self.request.POST, line.ret, Sent()
        try:
            was = json.loads(post.get(f"was:{ret.pk}", "{}"))
        except ValueError:
            return 0
        questions = {cell.code: cell.question for cell in line.cells}
        raw = {}
        for code, question in questions.items():
            text, before = post.get(f"cell:{ret.pk}:{code}"), str(was.get(code, ""))
            if text is not None and text.strip() not in (before, in_cell(question, before)):
                raw[code] = sent.texts[code] = text.strip()
        if not raw:
            return 0
        self.sent[ret.pk] = sent
        refused = drop_refused(questions, raw, was)
        for _ in range(2):  # the second time without what a colleague changed
            try:
                done = save_fields(
                    ret,
                    raw,
                    {code: str(was.get(code, "")) for code in raw},
                    by=self.request.user,
                    scale=ret.scale,
                    channel=channel_of(self.request.user),
                )
            except Clash as clash:
                for code, (mine, theirs) in clash.fields.items():
                    words = in_words(questions[code], theirs)
                    sent.errors[code] = (
                        f"{code}: a colleague ({reading.last_writer(ret, [code])}) saved {words} meanwhile. "
                        f"Yours, {in_words(questions[code], mine)}, is not stored; save again to put it in its place."
                    )
                    raw.pop(code)
            except DomainError as refusal:
                sent.refused = str(refusal)
                return 0
            else:
                refused += done.refused
                sent.errors |= {problem.question: f"{problem.message} {problem.mend}" for problem in refused}
                sent.texts = {code: text for code, text in sent.texts.items() if code in sent.errors}
                return len(raw) - len(done.refused)
        return 0


def in_cell(question, text: str) -> str:
    """A stored text as the cell shows it: labels for options, markers and figures as they are typed."""
    return text if not text or text in MARKERS else in_words(question, text)


def cell_text(made) -> str:
    return in_cell(made.question, made.was)


def adds_up(question) -> bool:
    """Whether a sum over units says something: counts and amounts do, rates, shares, ratios and years do not."""
    if question.kind == "money":
        return question.takes_scale
    return question.kind in NUMBERS and question.unit in COUNTED


def total(question, lines: list[Line], place: int) -> str:
    """The sum of a column over the rows shown, at the scale of the first row; empty where a sum would say nothing."""
    if not lines or not adds_up(question) or question.kind not in NUMBERS:
        return ""
    if len({line.ret.scale for line in lines}) > 1 and question.takes_scale:
        return ""
    values = [line.cells[place].was.replace(",", "") for line in lines]
    found = [Decimal(text) for text in values if text and text not in MARKERS]
    scale, currency = lines[0].ret.scale, lines[0].ret.currency
    return typed(question, sum(found) * (scale if question.takes_scale else 1), scale, currency) if found else ""

"""Review: the queue of submitted returns, one return beside its flags, and decisions one by one or on a list."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, F, Q
from django.http import HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.generic import TemplateView

from clusters.models import Cluster
from core import policy
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.forms import SendBackForm, change_words, in_words, last_year, typed, unit_of
from facts.models import Return, Schedule
from facts.services import reading
from facts.services.findings import EXPLANATION_MIN, schedule_of
from facts.services.review import accept, send_back, start_review
from facts.validation import MARKERS

from .returns import place_label, steps_of

PAGE = 50
BULK_MAX = 200
FILTERS = ("cluster", "schedule", "order")
ORDERS = {"oldest": ["submitted_at", "pk"], "flags": ["-n_flags", "submitted_at", "pk"]}


def typed_by(ret: Return, user) -> bool:
    """Whether the person typed in or submitted a return, and so does not decide on it."""
    return user.pk == ret.submitted_by_id or user.pk in ret.typed_by


class Queue:
    """The returns that wait for a person, filtered and in order. The same for the list and its neighbours."""

    def __init__(self, view, asked):
        self.cluster = asked.get("cluster", "")[:20]
        self.schedule = asked.get("schedule") if asked.get("schedule") in Schedule.values else ""
        self.order = asked.get("order") if asked.get("order") in ORDERS else "oldest"
        self.base = view.in_scope(Return.objects.waiting_for_review())

    def returns(self):
        found = self.base
        if self.cluster:
            found = found.filter(cluster__code=self.cluster)
        if self.schedule:
            found = found.filter(schedule=self.schedule)
        found = found.annotate(n_flags=Count("flags", filter=Q(flags__version=F("version"))))
        return found.order_by(*ORDERS[self.order])

    @property
    def query(self) -> str:
        kept = {
            name: getattr(self, name) for name in FILTERS if getattr(self, name) and getattr(self, name) != "oldest"
        }
        return f"?{urlencode(kept)}" if kept else ""


class ReviewQueue(PolicyMixin, TemplateView):
    """What waits for review; several may be accepted at once, after their exact list was shown."""

    action = post_action = "return.review"
    template_name = "facts/review_queue.html"

    def get_context_data(self, **kwargs):
        queue = Queue(self, self.request.GET)
        found = queue.returns().with_subjects()
        page = Paginator(found, PAGE).get_page(self.request.GET.get("page"))
        for ret in page:
            ret.label, ret.is_own = place_label(ret), typed_by(ret, self.request.user)
        clusters = Cluster.objects.filter(pk__in=queue.base.values("cluster")).order_by("name")
        return super().get_context_data(**kwargs) | {
            "page": page,
            "queue": queue,
            "filters": [
                {
                    "name": "cluster",
                    "label": "Cluster",
                    "value": queue.cluster,
                    "options": [(cluster.code, cluster.name) for cluster in clusters],
                },
                {"name": "schedule", "label": "Schedule", "value": queue.schedule, "options": Schedule.choices},
                {
                    "name": "order",
                    "label": "Order",
                    "value": queue.order,
                    "options": [("oldest", "Longest waiting first"), ("flags", "Most flags first")],
                },
            ],
        }

    def post(self, request):
        """Show the exact list; accept it when it was confirmed, all of it or none."""
        ids = [int(text) for text in request.POST.getlist("ret") if text.isascii() and text.isdecimal()][:BULK_MAX]
        chosen = Queue(self, {}).returns().filter(pk__in=ids).with_subjects().select_related("round__instrument")
        chosen = list(chosen)
        if not chosen or len(chosen) != len(set(ids)):
            messages.error(request, "Nothing was accepted: no return was chosen, or one is no longer waiting.")
            return redirect("facts:review")
        reason, error = request.POST.get("override_reason", ""), ""
        if "confirm" in request.POST:
            try:
                accept(chosen, by=request.user, override_reason=reason)
            except DomainError as refusal:
                error = str(refusal)
            else:
                messages.success(request, f"{len(chosen)} return{'s' if len(chosen) != 1 else ''} accepted.")
                return redirect("facts:review")
        for ret in chosen:
            ret.label = place_label(ret)
        self.template_name = "facts/review_accept.html"
        return self.render_to_response(
            super().get_context_data(
                chosen=chosen,
                error=error,
                reason=reason,
                flags=sum(ret.n_flags for ret in chosen),
                core_open=[ret for ret in chosen if ret.core_share is not None and ret.core_share < 1],
            )
        )


class ReviewReturn(PolicyMixin, TemplateView):
    """One submitted return: every value beside last round's, every flag in words with its explanation."""

    action = post_action = "return.review"
    template_name = "facts/review_return.html"

    def get_return(self) -> Return:
        returns = Return.objects.with_subjects().select_related("round__instrument", "cluster__country")
        return self.fetch(returns, pk=self.kwargs["pk"])

    def get(self, request, *args, **kwargs):
        ret = self.get_return()
        if not policy.allowed(request.user, "return.read_submitted", ret) or ret.is_editable:
            messages.info(request, f"This return is {ret.get_state_display().lower()}; there is nothing to decide.")
            return redirect("facts:review")
        return self.show(ret)

    def show(self, ret, *, form=None, error="", reason="", status=200):
        opened = reading.judged(ret, reading.open_for(ret, by=self.request.user, purpose="review"))
        queue = Queue(self, self.request.GET)
        order = list(queue.returns().values_list("pk", flat=True)[:2000])
        at = order.index(ret.pk) if ret.pk in order else -1
        markers = opened.payload["markers"]
        core = schedule_of(ret).core
        return self.render_to_response(
            self.get_context_data(
                ret=ret,
                label=place_label(ret),
                blocks=_blocks(ret, opened),
                flags=_flags(ret, opened),
                hard=opened.findings.hard,
                core_open=[
                    {"code": code, "short": schedule_of(ret).questions[code].short, "marker": markers[code]}
                    for code in core
                    if code in markers
                ],
                notes=reading.notes_of(ret),
                steps=steps_of(ret),
                is_own=typed_by(ret, self.request.user),
                may_decide=ret.state in (Return.State.SUBMITTED, Return.State.IN_REVIEW),
                form=form or SendBackForm(),
                error=error,
                reason=reason,
                explanation_min=EXPLANATION_MIN,
                query=queue.query,
                position=at + 1,
                waiting=len(order),
                before=self.address(order[at - 1], queue) if at > 0 else "",
                after=self.address(order[at + 1], queue) if 0 <= at < len(order) - 1 else "",
            ),
            status=status,
        )

    def address(self, pk: int, queue: Queue) -> str:
        return reverse("facts:review-return", args=[pk]) + queue.query

    def post(self, request, *args, **kwargs):
        ret = self.get_return()
        queue = Queue(self, request.GET)
        order = list(queue.returns().values_list("pk", flat=True)[:2000])
        form, reason = None, request.POST.get("override_reason", "")
        try:
            if "accept" in request.POST:
                accept([ret], by=request.user, override_reason=reason)
                messages.success(request, f"Accepted: {place_label(ret)}.")
            elif "send_back" in request.POST:
                form = SendBackForm(request.POST)
                if not form.is_valid():
                    return self.show(ret, form=form) if self.still_open(ret) else redirect("facts:review")
                send_back(ret, by=request.user, reason=form.cleaned_data["reason"])
                messages.success(request, f"Sent back with your words: {place_label(ret)}.")
            else:
                start_review(ret, by=request.user)
                return HttpResponseRedirect(self.address(ret.pk, queue))
        except DomainError as refusal:
            if self.still_open(ret):
                return self.show(ret, form=form, error=str(refusal), reason=reason)
            messages.error(request, str(refusal))
            return redirect("facts:review")
        at = order.index(ret.pk) if ret.pk in order else -1
        following = order[at + 1] if 0 <= at < len(order) - 1 else None
        if following is None:
            return HttpResponseRedirect(reverse("facts:review") + queue.query)
        return HttpResponseRedirect(self.address(following, queue))

    def still_open(self, ret: Return) -> bool:
        """Whether the return still waits, so that its page can be shown again."""
        ret.refresh_from_db(fields=["state", "version", "decided_by", "decided_at"])
        return ret.state in (Return.State.SUBMITTED, Return.State.IN_REVIEW)


KEPT = "never shown for one firm"


def _blocks(ret: Return, opened: reading.Opened) -> list[dict]:
    """Every asked question with its answer, last round's and the change."""
    answers, markers, prev = opened.payload["answers"], opened.payload["markers"], opened.context.prev
    flagged = {problem.question for problem in opened.findings.problems}
    questions = schedule_of(ret).questions
    blocks = []
    for part in opened.sections:
        rows = []
        for code in part.asked:
            question = questions[code]
            kept = not question.shown_at_unit_level  # an opinion that nobody but its firm sees
            text = "" if kept else markers.get(code) or typed(question, answers.get(code), 1)
            rows.append(
                {
                    "code": code,
                    "short": question.short,
                    "core": question.core,
                    "answer": KEPT if kept else in_words(question, text) if text else "",
                    "is_marker": text in MARKERS,
                    "unit": unit_of(question, _unscaled(ret)),
                    "previous": "" if kept else last_year(question, prev.get(code), 1),
                    "change": "" if kept else change_words(question, answers.get(code), prev.get(code)),
                    "flagged": code in flagged,
                    "is_number": question.kind in ("integer", "decimal", "percent", "money"),
                }
            )
        if rows:
            blocks.append({"section": part.section, "rows": rows})
    return blocks


def _unscaled(ret: Return) -> Return:
    """The return as read here: money in single units, whatever it was typed in."""
    return Return(scale=1, currency=ret.currency)


def _flags(ret: Return, opened: reading.Opened) -> list[dict]:
    """Soft checks that spoke, in words, with what the respondent says to them."""
    said = opened.payload.get("explanations", {})
    return [{"problem": problem, "explanation": said.get(problem.rule, "")} for problem in opened.findings.soft]

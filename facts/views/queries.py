"""Queries: the list of them, and one thread with its answers. Also what the page of a return shows of its threads."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.generic import TemplateView

from core import policy
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import Query, Reopening, Return, Schedule
from facts.services.benchmarks import has_sheet
from facts.services.chain import chain_of
from facts.services.findings import EXPLANATION_MIN, schedule_of
from facts.services.queries import answer, ask_again, close, queries_of, value_asked
from facts.services.review import points_of

from .parts import place_label

PAGE = 50
SHOWN = {"open": "Waiting for an answer", "answered": "Answered", "overdue": "Overdue", "closed": "Closed"}


def thread_of(ret: Return, user) -> dict:
    """What the page of a return shows beside its sections: versions, questions, wishes to open it again, the sheet.

    For `templates/facts/return_thread.html`. Nothing of it is there for those who may not see it.
    """
    sees = policy.allowed(user, "query.read", ret)
    may_reopen = policy.allowed(user, "return.reopen", ret)
    wish = ret.reopenings.filter(state=Reopening.State.ASKED).first() if may_reopen else None
    chain = chain_of(ret)
    return {
        "ret": ret,
        "chain": chain,
        "shows_chain": bool(chain) and (len(chain) > 1 or may_reopen),
        "queries": queries_of(ret, for_user=user) if sees else [],
        "points": _points(ret) if policy.allowed(user, "return.read_draft", ret) else [],
        "may_answer": policy.allowed(user, "query.answer", ret),
        "may_reopen": may_reopen and ret.state in (Return.State.ACCEPTED, Return.State.LOCKED),
        "wish": wish,
        "has_sheet": has_sheet(ret) and policy.allowed(user, "benchmark.read", ret),
        "cluster_sheet": _has_cluster_sheet(ret, user),
    }


def _has_cluster_sheet(ret: Return, user) -> bool:
    """Whether the cluster's own sheet is told of: on the association's accepted return, to those who may read it."""
    if ret.schedule != Schedule.ASSOCIATION or ret.state not in Return.COUNTED:
        return False
    return policy.allowed(user, "cluster_benchmark.read", ret.cluster)


def _points(ret: Return) -> list[dict]:
    questions = schedule_of(ret).questions
    return [
        {"code": code, "short": questions[code].short, "text": text}
        for code, text in points_of(ret).items()
        if code in questions
    ]


def notes_on_fields(ret: Return, user) -> dict[str, dict]:
    """What stands on single fields of the form, by question: points (texts), queries (threads), may_answer.

    For `templates/facts/query_note.html`, beside the field. Closed threads are left out.
    """
    points = points_of(ret)
    queries = [one for one in queries_of(ret, for_user=user) if one["state"] != Query.State.CLOSED]
    may_answer = bool(queries) and policy.allowed(user, "query.answer", ret)
    return {
        code: {
            "points": [points[code]] if code in points else [],
            "queries": [one for one in queries if one["question"] == code],
            "may_answer": may_answer,
        }
        for code in {*points, *(one["question"] for one in queries)}
    }


class QueryList(PolicyMixin, TemplateView):
    """Questions in scope: for who asks, overdue and answered ones; for who answers, those that wait."""

    action = "query.read"
    template_name = "facts/query_list.html"

    def get_context_data(self, **kwargs):
        user, today = self.request.user, timezone.localdate()
        returns = self.in_scope(Return.objects.all())
        base = Query.objects.filter(ret__in=returns.order_by().values("pk"))
        counts = {
            "open": base.filter(state="open").count(),
            "answered": base.filter(state="answered").count(),
            "overdue": base.filter(state="open", due_on__lt=today).count(),
            "closed": base.filter(state="closed").count(),
        }
        shown = self.request.GET.get("show", "")
        if shown not in SHOWN:
            shown = "open"
        found = base.filter(state="open", due_on__lt=today) if shown == "overdue" else base.filter(state=shown)
        related = ("ret__round__instrument", "ret__cluster", "ret__unit", "ret__organisation", "ret__region")
        page = Paginator(found.select_related(*related), PAGE).get_page(self.request.GET.get("page"))
        for query in page:
            known = schedule_of(query.ret).questions.get(query.question)
            query.short = known.short if known else query.question
            query.label = place_label(query.ret)
            query.is_overdue = query.state == "open" and query.due_on < today
        return super().get_context_data(**kwargs) | {
            "page": page,
            "shown": shown,
            "shown_words": SHOWN[shown],
            "tabs": [{"name": name, "label": label, "count": counts[name]} for name, label in SHOWN.items()],
            "may_ask": policy.allowed(user, "query.ask"),
        }


class QueryThread(PolicyMixin, TemplateView):
    """One question on one value: read by both sides, answered by one, asked again or closed by the other."""

    action = post_action = "query.read"
    template_name = "facts/query_thread.html"

    def get_query(self) -> Query:
        found = Query.objects.select_related("ret").filter(pk=self.kwargs["pk"]).first()
        if found is None:
            raise Http404
        returns = Return.objects.with_subjects().select_related("round__instrument")
        found.ret = self.fetch(returns, pk=found.ret_id)
        return found

    def get(self, request, *args, **kwargs):
        return self.show(self.get_query())

    def show(self, query: Query, *, error="", status=200):
        ret, user = query.ret, self.request.user
        shown = next(one for one in queries_of(ret, for_user=user) if one["pk"] == query.pk)
        known = schedule_of(ret).questions.get(query.question)
        return self.render_to_response(
            self.get_context_data(
                query=query,
                shown=shown,
                question=known,
                about=value_asked(query, by=user),
                ret=ret,
                label=place_label(ret),
                is_open=ret.round.state == "open" and query.state != Query.State.CLOSED,
                may_answer=policy.allowed(user, "query.answer", ret),
                may_ask=policy.allowed(user, "query.ask", ret),
                error=error,
                text=self.request.POST.get("text", ""),
                minimum=EXPLANATION_MIN,
            ),
            status=status,
        )

    def post(self, request, *args, **kwargs):
        query, user, text = self.get_query(), request.user, request.POST.get("text", "")
        try:
            if "answer" in request.POST:
                policy.require(user, "query.answer", query.ret)
                answer(query, by=user, text=text)
                messages.success(request, "Answered. The reviewer reads it; nothing more is asked of you here.")
            elif "again" in request.POST:
                policy.require(user, "query.ask", query.ret)
                due = parse_date(request.POST["due_on"]) if request.POST.get("due_on") else None
                ask_again(query, by=user, text=text, due_on=due)
                messages.success(request, "Asked again.")
            else:
                policy.require(user, "query.ask", query.ret)
                close(query, by=user)
                messages.success(request, "Closed.")
        except DomainError as refusal:
            query.refresh_from_db(fields=["state"])
            return self.show(query, error=str(refusal), status=409)
        return redirect("facts:query", pk=query.pk)

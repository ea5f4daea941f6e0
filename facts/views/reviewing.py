"""One return under review: every value beside last round's and its peers', every flag in words, and the acts on it."""

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.views.generic import TemplateView

from core import policy
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import Flag, Return
from facts.services import flags as checks
from facts.services import reading
from facts.services.benchmarks import Peers, peers_of
from facts.services.chain import chain_of
from facts.services.deadlines import today_there
from facts.services.findings import EXPLANATION_MIN, schedule_of
from facts.services.queries import ask, default_due, queries_of
from facts.services.review import (
    DIGEST_SHOWN,
    accept,
    send_back,
    start_review,
    typed_by,
)
from facts.validation import MARKERS
from facts.wording import NUMBERS, change_words, grouped, in_words, last_year, typed, unit_words

from .parts import place_label, steps_of
from .review import ORDER_MAX, Queue

KEPT = "never shown for one firm"
RESOLVED = {"accepted": "Explanation accepted", "rejected": "Explanation not accepted"}
WAITING = (Return.State.SUBMITTED, Return.State.IN_REVIEW)
TYPED = ("override_reason", "reason", "question", "text", "due_on", "extra_question", "extra_words", "note")


class ReviewReturn(PolicyMixin, TemplateView):
    """One submitted return: read, weighed, asked about, sent back or accepted."""

    action = post_action = "return.review"
    template_name = "facts/review_return.html"

    def get_return(self) -> Return:
        returns = Return.objects.with_subjects().select_related("round__instrument", "cluster__country")
        return self.fetch(returns, pk=self.kwargs["pk"])

    def get(self, request, *args, **kwargs):
        ret = self.get_return()
        if ret.state not in WAITING or not policy.allowed(request.user, "return.read_submitted", ret):
            messages.info(request, f"This return is {ret.get_state_display().lower()}; there is nothing to decide.")
            return redirect("facts:review")
        return self.show(ret)

    def show(self, ret, *, error="", status=200):
        payload = reading.open_for(ret, by=self.request.user, purpose="review")
        opened = reading.judged(ret, payload, by=self.request.user, in_review=True)
        flags = _flags(ret, opened)
        markers, questions = opened.payload["markers"], schedule_of(ret).questions
        core_open = [
            {"code": code, "short": questions[code].short, "marker": markers[code]}
            for code in schedule_of(ret).core
            if code in markers
        ]
        chain, queue = chain_of(ret), Queue(self, self.request.GET)
        order = self.order(queue)
        at = order.index(ret.pk) if ret.pk in order else -1
        peers = peers_of(ret)
        post = self.request.POST
        return self.render_to_response(
            self.get_context_data(
                ret=ret,
                label=place_label(ret),
                blocks=_blocks(ret, opened, peers, {flag["question"] for flag in flags}),
                peers=peers,
                flags=flags,
                hard=opened.findings.hard,
                unchecked=ret.schedule == "UNIT" and ret.checked_version != ret.version,
                core_open=core_open,
                critical=[one for one in flags if one["severity"] == "critical" and one["is_unsettled"]],
                notes=reading.notes_of(ret),
                chain=chain,
                digest=chain[-1]["digest"] if chain else "",
                digest_shown=DIGEST_SHOWN,
                queries=queries_of(ret, for_user=self.request.user),
                points=_points(flags, core_open, questions, post),
                asked_about=post.get("question") or self.request.GET.get("ask", ""),
                question_options=[(c, f"{q.short} ({c})") for c, q in questions.items() if q.shown_at_unit_level],
                due_on=post.get("due_on") or default_due(ret.round, today_there(ret.round_id)).isoformat(),
                may_ask=policy.allowed(self.request.user, "query.ask", ret),
                steps=steps_of(ret),
                is_own=typed_by(ret, self.request.user),
                typed={name: post.get(name, "") for name in TYPED},
                error=error,
                minimum=EXPLANATION_MIN,
                here=self.address(ret.pk, queue),
                query=queue.query,
                ask_prefix=f"{queue.query}&ask=" if queue.query else "?ask=",
                position=at + 1,
                waiting=len(order),
                before=self.address(order[at - 1], queue) if at > 0 else "",
                after=self.address(order[at + 1], queue) if 0 <= at < len(order) - 1 else "",
            ),
            status=status,
        )

    def order(self, queue: Queue) -> list[int]:
        return list(queue.returns().values_list("pk", flat=True)[:ORDER_MAX])

    def address(self, pk: int, queue: Queue) -> str:
        return reverse("facts:review-return", args=[pk]) + queue.query

    def post(self, request, *args, **kwargs):
        ret, queue = self.get_return(), Queue(self, request.GET)
        order = self.order(queue)  # before the act: afterwards the return is no longer in it
        try:
            done, moves_on = self.act(ret)
        except DomainError as refusal:
            ret.refresh_from_db()
            if ret.state in WAITING and policy.allowed(request.user, "return.read_submitted", ret):
                return self.show(ret, error=str(refusal), status=409)
            return self.show_words(ret, str(refusal))
        if done:
            messages.success(request, done)
        if not moves_on:
            return HttpResponseRedirect(self.address(ret.pk, queue))
        at = order.index(ret.pk) if ret.pk in order else -1
        following = order[at + 1] if 0 <= at < len(order) - 1 else None
        if following is None:
            return HttpResponseRedirect(reverse("facts:review") + queue.query)
        return HttpResponseRedirect(self.address(following, queue))

    def act(self, ret: Return) -> tuple[str, bool]:
        """Do what was pressed. Returns what to say, and whether the next return follows."""
        post, user = self.request.POST, self.request.user
        if "accept" in post:
            accept([ret], by=user, override_reason=post.get("override_reason", ""), seen=self.seen(ret))
            return f"Accepted: {place_label(ret)}.", True
        if "send_back" in post:
            points = {name[6:]: text for name, text in post.items() if name.startswith("point:") and text.strip()}
            if post.get("extra_question") and post.get("extra_words", "").strip():
                points[post["extra_question"]] = post["extra_words"]
            send_back(ret, by=user, reason=post.get("reason", ""), points=points, seen=self.seen(ret))
            return f"Sent back with your words: {place_label(ret)}.", True
        if "ask" in post:
            policy.require(user, "query.ask", ret)
            due = parse_date(post["due_on"]) if post.get("due_on") else None
            ask(ret, by=user, question=post.get("question", ""), text=post.get("text", ""), due_on=due)
            return "Asked. The question stands on the respondent’s list until it is answered.", False
        if "flag" in post:
            flag = ret.flags.filter(pk=_whole(post.get("flag")), version=ret.version).first()
            if flag is None:
                raise DomainError("This flag belongs to another version. Look at the return again.")
            is_good = post.get("judged") == "accept"
            checks.resolve_flag(flag, by=user, accept=is_good, note=post.get("note", ""))
            return f"Explanation {'accepted' if is_good else 'not accepted'}.", False
        start_review(ret, by=user)
        return "Your colleagues see that it is in review.", False

    def seen(self, ret: Return) -> dict[int, tuple[int, str]]:
        """Version and digest that stood on the page."""
        version, _, digest = self.request.POST.get("seen", "").partition(":")
        return {ret.pk: (_whole(version), digest)}

    def show_words(self, ret: Return, why: str):
        """A colleague was first: what was typed is shown once, to be copied."""
        words = [self.request.POST.get(name, "").strip() for name in ("override_reason", "reason", "text", "note")]
        points = [text.strip() for name, text in self.request.POST.items() if name.startswith("point:")]
        words = [text for text in [*words, *points, self.request.POST.get("extra_words", "").strip()] if text]
        context = {"ret": ret, "label": place_label(ret), "why": why, "words": words}
        return render(self.request, "facts/review_unsaved.html", context, status=409)


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 18 else 0


def _blocks(ret: Return, opened: reading.Opened, peers: Peers | None, flagged: set[str]) -> list[dict]:
    """Every asked question with its answer, last round's, the change, and what peers report."""
    answers, markers, prev = opened.payload["answers"], opened.payload["markers"], opened.context.shown_prev
    flagged = flagged | {problem.question for problem in opened.findings.problems}
    confirmed = set(opened.payload.get("confirmed", ()))
    questions, currency = schedule_of(ret).questions, ret.currency
    blocks = []
    for part in opened.sections:
        rows = []
        for code in part.asked:
            question = questions[code]
            kept = not question.shown_at_unit_level  # an opinion that nobody but its firm sees
            text = "" if kept else markers.get(code) or typed(question, answers.get(code), 1, currency)
            rows.append(
                {
                    "code": code,
                    "short": question.short,
                    "core": question.core,
                    "answer": KEPT if kept else in_words(question, text) if text else "",
                    "is_marker": text in MARKERS,
                    "unit": unit_words(question, 1, currency),
                    "previous": "" if kept else last_year(question, prev.get(code), 1, currency),
                    "change": "" if kept else change_words(question, answers.get(code), prev.get(code)),
                    "confirmed": code in confirmed,
                    "peers": {} if kept else peer_words(peers, code, currency),
                    "flagged": code in flagged,
                    "is_number": question.kind in NUMBERS,
                    "may_ask": not kept,
                }
            )
        if rows:
            blocks.append({"section": part.section, "rows": rows})
    return blocks


def peer_words(peers: Peers | None, code: str, currency: str) -> dict[str, str]:
    """Median and quartiles as they are read; empty where there are none."""
    found = peers.quartiles.get(code) if peers else None
    if not found:
        return {}
    return dict(zip(("low", "middle", "high"), (grouped(rounded(value), currency) for value in found), strict=True))


def rounded(value: float) -> float:
    """A quartile as it is read beside single answers: whole, or with one decimal where it is small.

    >>> rounded(0.667), rounded(12345.67), rounded(3.0), rounded(0.04)
    (0.7, 12346, 3.0, 0.04)
    """
    if abs(value) < 0.05:
        return value
    return round(value, 1) if abs(value) < 100 else round(value)


def _flags(ret: Return, opened: reading.Opened) -> list[dict]:
    """Everything that the checks say of this version: those of the round, loudest first, then those of the form."""
    questions, said = schedule_of(ret).questions, opened.payload.get("explanations", {})
    flags = checks.flags_in_words(ret, opened.payload)
    kept = {flag.rule: flag for flag in ret.flags.filter(version=ret.version, severity=Flag.Severity.SOFT)}
    for problem in opened.findings.soft:
        flag = kept.get(problem.rule)
        flags.append(
            {
                "pk": flag.pk if flag else None,
                "rule": problem.rule,
                "question": problem.question,
                "fields": [problem.question],
                "severity": Flag.Severity.SOFT.value,
                "sentence": problem.message,
                "action": "",
                "resolution": flag.resolution if flag else Flag.Resolution.EXPLAINED.value,
                "note": "",
            }
        )
    for one in flags:
        fields = [code for code in one["fields"] if code in questions]
        one["question"] = fields[0] if fields else ""  # a flag on several fields leads to the first of them
        one["short"] = questions[fields[0]].short if fields else ""
        one["others"] = len(fields) - 1
        one["explanation"] = said.get(one["rule"], "")
        one["is_unsettled"] = one["resolution"] in checks.OPEN
        one["resolution_words"] = RESOLVED.get(one["resolution"], "")
    return flags


def _points(flags: list[dict], core_open: list[dict], questions, post) -> list[dict]:
    """The questions that a return may be sent back for, with what was typed to each."""
    codes = [flag["question"] for flag in flags] + [one["code"] for one in core_open]
    codes += [name.removeprefix("point:") for name in post if name.startswith("point:")]
    codes = [code for code in dict.fromkeys(codes) if code in questions]
    return [{"code": code, "short": questions[code].short, "words": post.get(f"point:{code}", "")} for code in codes]

"""Review: the queue of submitted returns, and acts on several at once, whose exact list is shown first."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Case, Count, F, FloatField, Q, When
from django.db.models.functions import Coalesce
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.utils.http import urlencode
from django.views.generic import TemplateView

from clusters.models import Cluster
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import Flag, Query, Return, Schedule
from facts.selective import LEAST_EFFECT, place_words
from facts.services.findings import EXPLANATION_MIN, schedule_of
from facts.services.flags import open_critical
from facts.services.queries import ask_all
from facts.services.review import accept, digests_of, send_back_all, typed_by

from .parts import place_label

PAGE = 50
BULK_MAX = 200
ORDER_MAX = 2000  # so far the neighbours of a return are known
FILTERS = ("cluster", "schedule", "order")
ORDERS = {
    "effect": ["-at_stake", "-n_notes", "submitted_at", "pk"],
    "oldest": ["submitted_at", "pk"],
    "flags": ["-n_flags", "submitted_at", "pk"],
}
DEFAULT = "effect"
# What a check saw, without a figure: those who may not read a firm's values read these.
SAYS = {
    "X01": "{short} moved far from last year, unlike its peers’",
    "X02": "figures moved by one and the same factor",
    "X03": "figures are last year’s to the digit",
    "X04": "sales grew by a round figure two years running",
    "X05": "sales look low for its people and power",
    "X06": "pay lies below the floor",
    "X07": "power and output moved apart",
    "X08": "looks like a slip of scale or of a digit",
    "X09": "the same figures as another return",
    "X10": "trade or size jumped",
}
LOUDER = {Flag.Severity.CRITICAL: 0, Flag.Severity.WARN: 1, Flag.Severity.INFO: 2, Flag.Severity.SOFT: 3}
ACTS = {"accept": "Accept", "send_back": "Send back", "ask": "Ask about"}


class Queue:
    """The returns that wait for a person, filtered and in order. The same for the list and its neighbours."""

    def __init__(self, view, asked):
        self.cluster = asked.get("cluster", "")[:20]
        self.schedule = asked.get("schedule") if asked.get("schedule") in Schedule.values else ""
        self.order = asked.get("order") if asked.get("order") in ORDERS else DEFAULT
        self.base = view.in_scope(Return.objects.waiting_for_review())

    def returns(self):
        found = self.base
        if self.cluster:
            found = found.filter(cluster__code=self.cluster)
        if self.schedule:
            found = found.filter(schedule=self.schedule)
        if self.order == "flags":
            found = found.annotate(n_flags=Count("flags", filter=Q(flags__version=F("version"))))
        if self.order == "effect":
            found = by_stake(found)
        return found.order_by(*ORDERS[self.order])

    @property
    def query(self) -> str:
        kept = {name: getattr(self, name) for name in FILTERS if getattr(self, name) not in ("", DEFAULT)}
        return f"?{urlencode(kept)}" if kept else ""


def by_stake(found):
    """Put beside returns what orders them: at_stake = suspicion × effect, and n_notes, what is left to weigh.

    An effect below the noise counts as none, so that what carries a flag stands before what carries none. n_notes :
    flags that nobody accepted yet, and one for a core question without a value. The checks of a round look at unit
    returns only; of the others the suspicion is that of their form: half for each flag of it, one for a core question.
    """
    unsettled = Q(flags__version=F("version")) & ~Q(flags__resolution=Flag.Resolution.ACCEPTED)
    blank_core = Case(When(core_share__lt=1, then=1.0), default=0.0)
    found = found.annotate(n_unsettled=Count("flags", filter=unsettled))
    of_form = 0.5 * F("n_unsettled") + blank_core
    return found.annotate(
        n_notes=F("n_unsettled") + blank_core,
        at_stake=Case(
            When(effect__lt=LEAST_EFFECT, then=0.0),
            When(schedule=Schedule.UNIT, then=Coalesce(F("suspicion"), 0.0) * F("effect")),
            default=of_form * F("effect"),
            output_field=FloatField(),
        ),
    )


def told(returns: list[Return]) -> None:
    """Put beside each return what the list says of it: label, flags in words, open questions, expected effect.

    Three queries for any number of returns; nothing is opened.
    """
    flags: dict[int, list[Flag]] = {}
    ids = [ret.pk for ret in returns]
    for flag in Flag.objects.filter(ret__in=ids, version=F("ret__version")):
        flags.setdefault(flag.ret_id, []).append(flag)
    open_queries = Query.objects.filter(ret__in=ids, state=Query.State.OPEN).order_by().values_list("ret")
    asked = dict(open_queries.annotate(n=Count("pk")))
    critical = open_critical(returns)
    for ret in returns:
        ret.label = place_label(ret)
        ret.n_flags = len(flags.get(ret.pk, []))
        ret.n_critical = len(critical.get(ret.pk, ()))
        ret.n_asked = asked.get(ret.pk, 0)
        ret.says = flag_words(ret, flags.get(ret.pk, []))
        ret.is_at_stake = ret.effect >= LEAST_EFFECT
        ret.moves = place_words(ret.effect, ret.cluster.name) if ret.cluster and ret.suspicion and ret.effect else ""


def flag_words(ret: Return, flags: list[Flag]) -> str:
    """The flags of a return in words without figures, the loudest first."""
    questions = schedule_of(ret).questions
    ordered = sorted(flags, key=lambda flag: (LOUDER[flag.severity], -(flag.score or 0), flag.rule))
    words, soft = [], 0
    for flag in ordered:
        if flag.rule in SAYS:
            short = questions[flag.question].short if flag.question in questions else "figures"
            words.append(SAYS[flag.rule].format(short=short.lower()))
        else:
            soft += 1
    words = list(dict.fromkeys(words))
    if soft:
        words.append(f"{soft} answer{'s' if soft != 1 else ''} explained in the form")
    text = "; ".join(words[:3])
    return text[:1].upper() + text[1:]


class ReviewQueue(PolicyMixin, TemplateView):
    """What waits for review, the return that may move the ranking most first."""

    action = "return.review"
    template_name = "facts/review_queue.html"

    def get_context_data(self, **kwargs):
        queue = Queue(self, self.request.GET)
        found = queue.returns().with_subjects().select_related("round__instrument")
        page = Paginator(found, PAGE).get_page(self.request.GET.get("page"))
        returns = list(page)
        told(returns)
        for ret in returns:
            ret.is_own = typed_by(ret, self.request.user)
        clusters = Cluster.objects.filter(pk__in=queue.base.order_by().values("cluster")).order_by("name")
        return super().get_context_data(**kwargs) | {
            "page": page,
            "returns": returns,
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
                    "options": [
                        ("effect", "Most at stake first"),
                        ("oldest", "Longest waiting first"),
                        ("flags", "Most flags first"),
                    ],
                },
            ],
        }


def _chosen(post) -> dict[int, tuple[int, str]]:
    """`ret=id:version:digest` of a form, as ids with what was seen; what is not of that form is left out."""
    seen: dict[int, tuple[int, str]] = {}
    for text in post.getlist("ret")[:BULK_MAX]:
        pk, _, rest = text.partition(":")
        version, _, digest = rest.partition(":")
        if pk.isascii() and pk.isdecimal() and len(pk) < 18 and version.isascii() and version.isdecimal():
            seen[int(pk)] = (int(version[:5]), digest[:64])
    return seen


class ReviewSeveral(PolicyMixin, TemplateView):
    """Accept, send back, or ask, on several returns: the exact list first, then all of it or nothing.

    The list is ids with version and digest in the form, so no filter and no newcomer changes it; a return that was
    handed in anew or decided meanwhile keeps the whole list from being done.
    """

    action = post_action = "return.review"
    template_name = "facts/review_several.html"
    http_method_names = ["post"]

    def post(self, request):
        seen = _chosen(request.POST)
        act = next((name for name in ACTS if name in request.POST), request.POST.get("act", ""))
        found = self.in_scope(Return.objects.filter(pk__in=seen)).with_subjects().select_related("round__instrument")
        chosen = sorted(found, key=lambda ret: list(seen).index(ret.pk))
        if act not in ACTS or not chosen or len(chosen) != len(seen):
            messages.error(request, "Nothing was done: choose at least one return that waits for you.")
            return HttpResponseRedirect(self.back())
        if act == "ask" and len({ret.schedule for ret in chosen}) > 1:
            messages.error(request, "Nothing was asked: choose returns of one schedule, so that the question is one.")
            return HttpResponseRedirect(self.back())
        error = ""
        if "confirm" in request.POST:
            try:
                done = self.act(act, chosen, seen)
            except DomainError as refusal:
                error = str(refusal)
            else:
                messages.success(request, done)
                return HttpResponseRedirect(self.back())
        return self.show(act, chosen, seen, error)

    def back(self) -> str:
        return reverse("facts:review") + Queue(self, self.request.GET).query

    def act(self, act: str, chosen: list[Return], seen) -> str:
        post, user = self.request.POST, self.request.user
        many = f"{len(chosen)} returns" if len(chosen) > 1 else "1 return"
        if act == "accept":
            accept(chosen, by=user, override_reason=post.get("override_reason", ""), seen=seen)
            return f"{many} accepted."
        if act == "send_back":
            send_back_all(chosen, by=user, reason=post.get("reason", ""), seen=seen)
            return f"{many} sent back with your words."
        due = parse_date(post.get("due_on", "") or "") if post.get("due_on") else None
        ask_all(chosen, by=user, question=post.get("question", ""), text=post.get("text", ""), due_on=due)
        return f"Asked on {many}."

    def show(self, act, chosen, seen, error):
        told(chosen)
        digests = digests_of(chosen)
        for ret in chosen:
            # What was seen stays in the form, so that the list is refused, not quietly brought up to date.
            version, digest = seen[ret.pk]
            ret.seen = f"{ret.pk}:{version}:{digest or digests.get(ret.pk, '')}"
            ret.is_newer = version != ret.version
            ret.is_own = typed_by(ret, self.request.user)
        post = self.request.POST
        return self.render_to_response(
            self.get_context_data(
                act=act,
                verb=ACTS[act],
                chosen=chosen,
                error=error,
                flags=sum(ret.n_flags for ret in chosen),
                needs_reason=[ret for ret in chosen if _needs_reason(ret)],
                questions=_questions(chosen[0]) if act == "ask" else [],
                typed={
                    name: post.get(name, "") for name in ("override_reason", "reason", "text", "question", "due_on")
                },
                minimum=EXPLANATION_MIN,
                query=Queue(self, self.request.GET).query,
            ),
            status=409 if error else 200,
        )


def _questions(ret: Return) -> list[tuple[str, str]]:
    """Questions of a schedule that something can be asked about."""
    found = schedule_of(ret).questions
    return [(code, f"{one.short} ({code})") for code, one in found.items() if one.shown_at_unit_level]


def _needs_reason(ret) -> bool:
    is_unseen = ret.schedule == "UNIT" and ret.checked_version != ret.version
    return bool(ret.n_critical or (ret.core_share or 0) < 1 or is_unseen)

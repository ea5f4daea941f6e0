"""The checks of a round in the workspace: the last run, what spoke how often, flags over clusters, and decisions."""

from collections import Counter

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Case, IntegerField, Q, Value, When
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.views.generic import TemplateView, View

from clusters.models import Cluster
from core import policy
from core.base import DomainError
from core.jobs.models import Job
from core.policy.views import PolicyMixin
from facts.checks.rules import UNIT_CHECKS, check_of, load_rules
from facts.checks.words import NAMES, explain
from facts.models import CheckRun, Round, RoundFlag
from facts.services import checking
from facts.services.findings import EXPLANATION_MIN

from .collecting import round_or_404
from .rounds import tabs_of

PAGE = 40
WORDS = {"critical": "Critical", "warn": "Warning", "info": "Hint"}
DECIDED = {"accepted": "Explained", "rejected": "Not explained"}


def flags_in_scope(user, round_: Round):
    """Flags over the clusters that a person looks after; over field workers for those who see all clusters."""
    clusters = policy.scope(user, "round.checks", Cluster.objects.all())
    mine = Q(cluster__in=clusters.values("pk"))
    if policy.allowed(user, "round.check"):
        mine |= Q(worker__isnull=False)
    return RoundFlag.objects.filter(mine, round=round_)


class RoundChecks(PolicyMixin, TemplateView):
    """What the checks X01–X30 said of a round, and what was decided about the clusters they spoke of."""

    action = post_action = "round.checks"
    template_name = "facts/check_round.html"

    def get_context_data(self, **kwargs):
        round_ = round_or_404(self.kwargs["year"])
        clusters = self.in_scope(Cluster.objects.all())
        runs = CheckRun.objects.filter(round=round_, cluster__in=clusters.values("pk"))
        jobs = Job.objects.filter(kind=checking.KIND_ROUND, key=str(round_.pk)).order_by("-pk")
        job = jobs.first()
        flags = flags_in_scope(self.request.user, round_).select_related("cluster", "worker", "resolved_by")
        loud = Case(When(severity="critical", then=Value(0)), When(severity="warn", then=Value(1)), default=Value(2))
        undecided = Case(When(resolution="open", then=Value(0)), default=Value(1), output_field=IntegerField())
        page = Paginator(flags.order_by(undecided, loud, "rule", "pk"), PAGE).get_page(self.request.GET.get("page"))
        rules = load_rules()
        for flag in page:
            _put_in_words(flag, rules)
        latest = runs.order_by("-finished_at").first()
        counts = list(runs.values_list("counts", flat=True))
        returns = sum(one.get("returns", 0) for one in counts)
        return super().get_context_data(**kwargs) | {
            "round": round_,
            "tabs": tabs_of(round_, "checks", self.request.user),
            "job": job,
            "is_running": job is not None and job.is_open,
            "failed": job is not None and job.state in (Job.State.FAILED, Job.State.DEAD),
            "may_run": policy.allowed(self.request.user, "round.check"),
            "latest": latest,
            "rules": rules,
            "n_clusters": len(counts),
            "n_returns": returns,
            "lines": _lines(counts, returns, rules),
            "page": page,
            "n_open": flags.filter(resolution="open").count(),
            "minimum": EXPLANATION_MIN,
        }

    def post(self, request, **kwargs):
        round_ = round_or_404(self.kwargs["year"])
        asked = request.POST.get("flag", "")
        pk = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 18 else 0
        flag = flags_in_scope(request.user, round_).filter(pk=pk).first()
        if flag is None or request.POST.get("judged") not in ("accept", "reject"):
            raise Http404
        try:
            checking.resolve_round_flag(
                flag, by=request.user, accept=request.POST["judged"] == "accept", note=request.POST.get("note", "")
            )
        except DomainError as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, "Your decision is kept; it stays as long as the check speaks.")
        return redirect(reverse("facts:round-checks", args=[round_.year]) + f"#flag-{flag.pk}")


class RunChecks(PolicyMixin, View):
    """Ask for the checks of a round; a second click finds the first."""

    action = "round.check"
    http_method_names = ["post"]

    def post(self, request, year):
        checking.check_round(round_or_404(year), by=request.user)
        return redirect("facts:round-checks", year=year)


def _put_in_words(flag: RoundFlag, rules) -> None:
    check = rules.checks.get(check_of(flag.rule))
    flag.sentence = explain(flag.rule, flag.numbers)
    flag.name = check.name if check else flag.rule
    flag.action = check.action if check else ""
    flag.loudness = WORDS.get(flag.severity, "")
    flag.decided = DECIDED.get(flag.resolution, "")


def _lines(counts: list[dict], returns: int, rules) -> list[dict]:
    """One line for each rule over returns: on how many it spoke, also those on none."""
    spoke: Counter = Counter()
    for one in counts:
        spoke.update(one.get("rules", {}))
    lines = []
    for code in UNIT_CHECKS:
        check = rules.checks[code]
        parts = sorted(rule for rule in spoke if check_of(rule) == code) or [code]
        for rule in parts:
            question = rule.partition("-")[2]
            lines.append(
                {
                    "rule": rule,
                    "name": f"{check.name}: {NAMES[question]}" if question in NAMES else check.name,
                    "looks_for": check.rule,
                    "returns": spoke[rule],
                    "share": spoke[rule] / returns if returns else None,
                }
            )
    return lines

"""Returns: the list, what may be begun, the hub of one return."""

from itertools import chain

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, F, Q
from django.http import Http404
from django.shortcuts import redirect
from django.views.generic import TemplateView, View

from clusters.models import Cluster, ClusterRole, Region, Unit
from core import policy
from core.base import DomainError
from core.policy import Role
from core.policy.views import PolicyMixin
from facts.forms import SCALES, ScaleForm
from facts.models import FrameEntry, Return, Round, Schedule
from facts.services import links, minutes, reading
from facts.services.collectors import clusters_to_collect
from facts.services.deadlines import last_day_of, last_days, lock_reason
from facts.services.drafts import save_answers
from facts.services.findings import schedule_of
from facts.services.imports import Row, save_drafts

from .parts import OneReturn, channel_of, place_label, points_of, steps_of
from .queries import thread_of

PAGE = 50


# --- What may be begun ----------------------------------------------------------------------


def units_to_begin(user, round_: Round):
    """Frame units of a round that nobody has begun a return for, in the person's clusters; members first."""
    if not policy.allowed(user, "return.create"):
        return Unit.objects.none()
    holds = [grant for grant in policy.grants_of(user) if grant.role in (Role.ENTRY, Role.HEAD)]
    if not holds:
        return Unit.objects.none()
    begun = Return.objects.filter(round=round_, schedule=Schedule.UNIT)
    framed = FrameEntry.objects.filter(round=round_, in_scope=True, drawn=True).values("unit")
    units = Unit.objects.filter(pk__in=framed).exclude(pk__in=begun.values("unit"))
    units = units.filter(cluster__in=clusters_to_collect(user, round_))
    return policy.scope(user, "unit.read", units).select_related("cluster").order_by("-member", "frame_id")


def schedules_to_begin(user, round_: Round) -> list[dict]:
    """Association, cluster and region returns that the person's organisation files and has not begun."""
    grants = policy.grants_of(user)
    own = [grant.organisation_id for grant in grants if grant.role in (Role.ENTRY, Role.HEAD)]
    agency = [grant.organisation_id for grant in grants if grant.role in (Role.STAFF, Role.SUPERVISOR)]
    wanted: list[dict] = []
    if own:
        roles = ClusterRole.objects.filter(organisation__in=own, role="association", cluster__kind=Cluster.Kind.CLUSTER)
        for role in roles.select_related("cluster", "organisation"):
            subject = f"{role.cluster.code}/{role.organisation.slug}"
            about = {"label": role.organisation.name, "cluster": role.cluster_id}
            wanted.append({"schedule": "ASSOCIATION", "subject": subject} | about)
    if agency:
        kept = Cluster.objects.filter(
            roles__organisation__in=agency, roles__role="lead_agency", kind=Cluster.Kind.CLUSTER
        ).distinct()
        wanted += [{"schedule": "CLUSTER", "subject": one.code, "label": one.name, "cluster": one.pk} for one in kept]
        regions = Region.objects.filter(clusters__in=kept).distinct()
        wanted += [{"schedule": "REGION", "subject": one.code, "label": one.name, "cluster": None} for one in regions]
    begun = set(
        Return.objects.filter(round=round_, subject__in=[one["subject"] for one in wanted]).values_list(
            "schedule", "subject"
        )
    )
    return [one for one in wanted if (one["schedule"], one["subject"]) not in begun]


def grids_of(user, round_: Round) -> list[dict]:
    """Clusters of which the person has unit returns to fill in, for the grid; `note` tells which of them came back."""
    if not policy.allowed(user, "return.write"):
        return []
    own = policy.scope(user, "return.write", Return.objects.filter(round=round_, schedule=Schedule.UNIT))
    own = policy.scope(user, "return.read_draft", own.filter(state__in=Return.EDITABLE)).order_by()
    rows = own.values_list("cluster__code", "cluster__name", "state").annotate(n=Count("pk")).order_by("cluster__name")
    counts: dict[tuple, dict] = {}
    for code, name, state, n in rows:
        counts.setdefault((code, name), {})[state] = n
    words = {"draft": "in draft", "sent_back": "sent back", "reopened": "opened again"}
    return [
        {
            "code": code,
            "name": name,
            "count": sum(by_state.values()),
            "note": ", ".join(f"{by_state[one]} {word}" for one, word in words.items() if one in by_state)
            if by_state.keys() != {"draft"}
            else "",
        }
        for (code, name), by_state in counts.items()
    ]


class ReturnList(PolicyMixin, TemplateView):
    """Returns in scope, and what may still be begun."""

    action = "return.read"
    template_name = "facts/return_list.html"

    def get(self, request, *args, **kwargs):
        own = links.own_return(request.user)  # who came in by a personal link has this one, and no list
        return redirect(own) if own else super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs):
        asked = self.request.GET
        rounds = list(Round.objects.order_by("-year"))
        round_ = next((one for one in rounds if str(one.year) == asked.get("round")), rounds[0] if rounds else None)
        context = super().get_context_data(**kwargs) | {"round": round_, "rounds": rounds}
        if round_ is None:
            return context
        user = self.request.user
        is_open = round_.state == Round.State.OPEN
        units = units_to_begin(user, round_) if is_open else Unit.objects.none()
        schedules = schedules_to_begin(user, round_) if is_open else []
        to_begin = units.count() + len(schedules)
        base = self.in_scope(Return.objects.filter(round=round_))
        own = base.order_by().values_list("cluster", flat=True).distinct()
        waiting = units.order_by().values_list("cluster", flat=True).distinct()
        context["until"] = last_days(round_, chain(own, waiting, (one["cluster"] for one in schedules)))
        by_state = dict(base.order_by().values_list("state").annotate(n=Count("pk")))
        words = " ".join(asked.get("q", "").split())[:60]
        context |= {
            "total": sum(by_state.values()),
            "to_begin": to_begin,
            "begins": asked.get("show") == "begin" and to_begin,
            "may_import": policy.allowed(user, "return.create") and is_open,
            "words": words,
            "stats": [
                {"state": state.value, "label": state.label, "count": by_state[state]}
                for state in Return.State
                if by_state.get(state)
            ],
        }
        if context["begins"]:
            return context | self.to_begin(round_, units, schedules, words)
        schedule = asked.get("schedule") if asked.get("schedule") in Schedule.values else ""
        state = asked.get("state") if asked.get("state") in Return.State.values else ""
        found = base.filter(schedule=schedule) if schedule else base
        found = found.filter(state=state) if state else found
        only_complete = asked.get("show") == "complete" and policy.allowed(user, "return.write")
        if only_complete:  # those that the workspace counts: one's own, every question answered
            found = found.filter(state__in=Return.EDITABLE, asked__gt=1, answered__gte=F("asked"))
            found = policy.scope(user, "return.read_draft", policy.scope(user, "return.write", found))
        if words:
            wanted = Q(subject__icontains=words) | Q(cluster__name__icontains=words)
            found = found.filter(wanted | self.by_name(round_, base, words))
        found = found.with_subjects().order_by("cluster__name", "schedule", "subject", "pk")
        page = self.page(found)
        for ret in page:
            ret.label = place_label(ret)
            ret.is_complete = ret.is_editable and ret.asked > 1 and ret.answered >= ret.asked
        may_certify = is_open and policy.allowed(user, "return.submit")
        return context | {
            "page": page,
            "schedule": schedule,
            "state": state,
            "only_complete": only_complete,
            "may_certify": may_certify and any(ret.is_editable for ret in page),
            "grids": grids_of(user, round_) if is_open else [],
            "filters": [
                {
                    "name": "round",
                    "label": "Round",
                    "value": round_.year,
                    "options": [(r.year, str(r.year)) for r in rounds],
                },
                {"name": "schedule", "label": "Schedule", "value": schedule, "options": Schedule.choices},
                {"name": "state", "label": "State", "value": state, "options": Return.State.choices},
                {"name": "q", "label": "Number, name or cluster", "value": words, "wide": True},
            ],
        }

    def to_begin(self, round_, units, schedules, words) -> dict:
        """What may be begun, narrowed to a unit's number or name; units are named to those who collect them."""
        user = self.request.user
        if words:
            named = reading.units_named(units, words, about=round_, by=user)
            units = units.filter(Q(frame_id__icontains=words) | Q(pk__in=named))
            schedules = [one for one in schedules if words.casefold() in one["label"].casefold()]
        page = self.page(units)
        names = reading.unit_names([one.pk for one in page], about=round_, by=user, purpose="choosing a unit")
        for unit in page:
            unit.known_as = names.get(unit.pk, "")
        return {"schedules": schedules, "page": page}

    def by_name(self, round_, base, words) -> Q:
        """Own unit returns whose unit's name holds the words."""
        if any(one.isdigit() for one in words) or not policy.allowed(self.request.user, "unit_identity.read"):
            return Q(pk__in=[])
        own = policy.scope(self.request.user, "unit_identity.read", base.filter(schedule=Schedule.UNIT))
        units = Unit.objects.filter(pk__in=own.values("unit"))
        return Q(unit__in=reading.units_named(units, words, about=round_, by=self.request.user))

    def page(self, queryset):
        return Paginator(queryset, PAGE).get_page(self.request.GET.get("page"))


class ReturnStart(PolicyMixin, View):
    """Begin a return: an empty draft."""

    action = "return.create"
    http_method_names = ["post"]

    def post(self, request):
        round_ = Round.objects.select_related("instrument").filter(year=_whole(request.POST.get("round"))).first()
        schedule, subject = request.POST.get("schedule", ""), request.POST.get("subject", "")[:120]
        if round_ is None or schedule not in Schedule.values:
            raise Http404
        there = Return.objects.filter(round=round_, schedule=schedule, subject=subject)
        if not there.exists():
            outcome = save_drafts(
                round_=round_,
                schedule_code=schedule,
                rows=[Row(subject, {}, "the form")],
                by=request.user,
                channel=channel_of(request.user),
            )
            if outcome.refused:
                problem = outcome.refused[0].problem
                if problem.rule == "respondent-known":
                    raise Http404
                messages.error(request, f"{problem.message} {problem.mend}")
                return redirect("facts:returns")
        # A second click finds the first one's return; somebody else's is answered as if it did not exist.
        ret = policy.scope(request.user, "return.read", there).first()
        if ret is None:
            raise Http404
        return redirect(ret)


def _whole(text) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 6 else 0


class ReturnHub(OneReturn, TemplateView):
    """One return: its blocks, where it stands, what is open, what happened to it."""

    action = "return.read"
    post_action = "return.write"
    template_name = "facts/return_hub.html"

    def get_context_data(self, **kwargs):
        ret, user = self.get_return(), self.request.user
        is_reader = policy.allowed(user, "return.read_draft", ret)
        reads_values = is_reader or (not ret.is_editable and policy.allowed(user, "return.read_submitted", ret))
        may_look = not ret.is_editable and policy.allowed(user, "return.read_shared", ret)
        context = super().get_context_data(**kwargs) | {
            "ret": ret,
            "label": place_label(ret),
            "schedule": schedule_of(ret),
            "steps": steps_of(ret),
            "is_reader": is_reader,
            "may_look": may_look,
            "may_edit": self.may_write(ret),
            "may_submit": policy.allowed(user, "return.submit", ret),
            "locked": lock_reason(ret) if ret.is_editable else "",
            "last_day": last_day_of(ret),
            "receipts": reading.receipts_of(ret),
            "thread": thread_of(ret, user),
            "history": reading.history_of(ret, for_user=user, with_openings=is_reader, with_fields=reads_values),
            "scale_form": ScaleForm(initial={"scale": ret.scale}),
            "has_money": any(question.takes_scale for question in schedule_of(ret).questions.values()),
        }
        context |= links.sharing_of(ret, by=user) | {"usual": minutes.last_known(ret.round.year).get(ret.schedule)}
        if is_reader:
            context["notes"] = reading.notes_of(ret)
            if policy.allowed(user, "unit_identity.read", ret):
                context["unit_name"] = reading.unit_name(ret, by=user)
        if is_reader and ret.is_editable:
            opened = reading.judged(ret, reading.draft_of(ret), by=user)
            context |= {
                "opened": opened,
                "points": points_of(ret, opened, gather_missing=True),
                "begin": next((part for part in opened.sections if part.state != "done" and part.asked), None),
                "left_off": reading.left_off(ret, by=user),
            }
        return context

    def post(self, request, pk):
        ret = self.get_return()
        form = ScaleForm(request.POST)
        if not form.is_valid():
            messages.error(request, "Choose one of the scales offered.")
            return redirect(ret)
        try:
            save_answers(ret, {}, by=request.user, expected_revision=ret.revision, scale=form.cleaned_data["scale"])
        except DomainError as refusal:
            messages.error(request, str(refusal))
        else:
            words = dict(SCALES)[ret.scale]
            messages.success(request, f"Money is now typed in {words}. What was typed before keeps its value.")
        return redirect(ret)

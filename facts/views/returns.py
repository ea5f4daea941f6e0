"""Returns: the list, the hub of one return, one block a page, certification."""

from datetime import timedelta

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.generic import TemplateView, View

from clusters.models import Cluster, ClusterRole, Region, Unit
from core import policy
from core.base import Conflict, DomainError
from core.policy import Role
from core.policy.views import PolicyMixin
from facts.forms import SCALES, CertifyForm, ScaleForm, SectionForm, in_words, rescaled
from facts.models import FrameEntry, Return, Round, Schedule
from facts.services import reading
from facts.services.drafts import save_answers
from facts.services.findings import schedule_of
from facts.services.imports import Row, save_drafts
from facts.services.submission import NotSubmittable, submit

PAGE = 50
RECENT = timedelta(minutes=15)  # how long a sign-in counts for certifying
TRIES = 3


def place_label(ret: Return) -> str:
    """What a return is about, in words; a unit keeps its number."""
    if ret.schedule == Schedule.ASSOCIATION and ret.organisation:
        return ret.organisation.name
    if ret.schedule == Schedule.REGION and ret.region:
        return ret.region.name
    return ret.cluster.name if ret.schedule == Schedule.CLUSTER and ret.cluster else ret.subject


def field_link(ret: Return, code: str) -> str:
    """The address of a question's field."""
    return reverse("facts:section", args=[ret.pk, code[:2]]) + f"?check=1#id_{code}"


def steps_of(ret: Return) -> list[dict]:
    """Where a return stands on its way, for components/steps.html."""
    way = [("draft", "Draft"), ("submitted", "Submitted"), ("in_review", "In review"), ("accepted", "Accepted")]
    at = {"sent_back": 0, "locked": 4}.get(ret.state)
    at = next((place for place, (state, _) in enumerate(way) if state == ret.state), 0) if at is None else at
    way.append(("locked", "Locked"))
    notes = {
        0: "sent back" if ret.state == Return.State.SENT_BACK else "",
        1: f"version {ret.version}" if ret.version else "",
    }
    return [
        {
            "label": label,
            "state": "done" if place < at else "current" if place == at else "todo",
            "note": notes.get(place, ""),
        }
        for place, (_, label) in enumerate(way)
    ]


# --- What may be begun ----------------------------------------------------------------------


def units_to_begin(user, round_: Round):
    """Frame units of a round that nobody has begun a return for, in the person's clusters; members first."""
    if not policy.allowed(user, "return.create"):
        return Unit.objects.none()
    holds = [grant for grant in policy.grants_of(user) if grant.role in (Role.ENTRY, Role.HEAD)]
    if not holds:
        return Unit.objects.none()
    begun = Return.objects.filter(round=round_, schedule=Schedule.UNIT)
    framed = FrameEntry.objects.filter(round=round_, in_scope=True).values("unit")
    units = Unit.objects.filter(pk__in=framed).exclude(pk__in=begun.values("unit"))
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
            wanted.append({"schedule": "ASSOCIATION", "subject": subject, "label": role.organisation.name})
    if agency:
        kept = Cluster.objects.filter(
            roles__organisation__in=agency, roles__role="lead_agency", kind=Cluster.Kind.CLUSTER
        ).distinct()
        wanted += [{"schedule": "CLUSTER", "subject": one.code, "label": one.name} for one in kept]
        regions = Region.objects.filter(clusters__in=kept).distinct()
        wanted += [{"schedule": "REGION", "subject": one.code, "label": one.name} for one in regions]
    begun = set(
        Return.objects.filter(round=round_, subject__in=[one["subject"] for one in wanted]).values_list(
            "schedule", "subject"
        )
    )
    return [one for one in wanted if (one["schedule"], one["subject"]) not in begun]


class ReturnList(PolicyMixin, TemplateView):
    """Returns in scope, and what may still be begun."""

    action = "return.read"
    template_name = "facts/return_list.html"

    def get_context_data(self, **kwargs):
        asked = self.request.GET
        rounds = list(Round.objects.order_by("-year"))
        round_ = next((one for one in rounds if str(one.year) == asked.get("round")), rounds[0] if rounds else None)
        context = super().get_context_data(**kwargs) | {"round": round_, "rounds": rounds}
        if round_ is None:
            return context
        units = units_to_begin(self.request.user, round_) if round_.state == Round.State.OPEN else Unit.objects.none()
        schedules = schedules_to_begin(self.request.user, round_) if round_.state == Round.State.OPEN else []
        to_begin = units.count() + len(schedules)
        base = self.in_scope(Return.objects.filter(round=round_))
        by_state = dict(base.order_by().values_list("state").annotate(n=Count("pk")))
        context |= {
            "total": sum(by_state.values()),
            "to_begin": to_begin,
            "begins": asked.get("show") == "begin" and to_begin,
            "may_import": policy.allowed(self.request.user, "return.create") and round_.state == Round.State.OPEN,
            "stats": [
                {"state": state.value, "label": state.label, "count": by_state[state]}
                for state in Return.State
                if by_state.get(state)
            ],
        }
        if context["begins"]:
            return context | {"schedules": schedules, "page": self.page(units)}
        schedule = asked.get("schedule") if asked.get("schedule") in Schedule.values else ""
        state = asked.get("state") if asked.get("state") in Return.State.values else ""
        words = asked.get("q", "").strip()[:60]
        found = base.filter(schedule=schedule) if schedule else base
        found = found.filter(state=state) if state else found
        if words:
            found = found.filter(Q(subject__icontains=words) | Q(cluster__name__icontains=words))
        found = found.with_subjects().order_by("cluster__name", "schedule", "subject", "pk")
        page = self.page(found)
        for ret in page:
            ret.label = place_label(ret)
        return context | {
            "page": page,
            "schedule": schedule,
            "state": state,
            "words": words,
            "filters": [
                {
                    "name": "round",
                    "label": "Round",
                    "value": round_.year,
                    "options": [(r.year, str(r.year)) for r in rounds],
                },
                {"name": "schedule", "label": "Schedule", "value": schedule, "options": Schedule.choices},
                {"name": "state", "label": "State", "value": state, "options": Return.State.choices},
                {"name": "q", "label": "Number or cluster", "value": words, "wide": True},
            ],
        }

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
                channel=Return.Channel.WEB,
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


class ReturnHub(PolicyMixin, TemplateView):
    """One return: its blocks, where it stands, what is open, what happened to it."""

    action = "return.read"
    post_action = "return.write"
    template_name = "facts/return_hub.html"

    def get_return(self) -> Return:
        returns = Return.objects.with_subjects().select_related("round__instrument", "cluster__country")
        return self.fetch(returns, pk=self.kwargs["pk"])

    def get_context_data(self, **kwargs):
        ret, user = self.get_return(), self.request.user
        is_writer = policy.allowed(user, "return.write", ret)
        is_reader = policy.allowed(user, "return.read_draft", ret)
        context = super().get_context_data(**kwargs) | {
            "ret": ret,
            "label": place_label(ret),
            "schedule": schedule_of(ret),
            "steps": steps_of(ret),
            "is_reader": is_reader,
            "is_writer": is_writer,
            "may_edit": is_writer and ret.is_editable and ret.round.state == Round.State.OPEN,
            "may_submit": policy.allowed(user, "return.submit", ret),
            "receipts": reading.receipts_of(ret),
            "history": reading.history_of(ret, for_user=user, with_openings=is_reader),
            "scale_form": ScaleForm(initial={"scale": ret.scale}),
            "has_money": any(question.takes_scale for question in schedule_of(ret).questions.values()),
        }
        if is_reader:
            context["notes"] = reading.notes_of(ret)
            if policy.allowed(user, "unit_identity.read", ret):
                context["unit_name"] = reading.unit_name(ret, by=user)
        if is_reader and ret.is_editable:
            opened = reading.judged(ret, reading.draft_of(ret))
            context |= {
                "sections": opened.sections,
                "minutes": sum(part.minutes for part in opened.sections),
                "answered": opened.findings.answered,
                "asked": len(opened.findings.asked),
                "points": points_of(ret, opened, gather_missing=True),
                "begin": next((part for part in opened.sections if part.state != "done" and part.asked), None),
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


def points_of(ret: Return, opened: reading.Opened, *, gather_missing: bool) -> list[dict]:
    """Open points as links to their fields; blanks of a block may stand in one line."""
    points = []
    for part in opened.sections:
        missing = [problem for problem in part.hard if problem.rule.endswith("-required")]
        if gather_missing and len(missing) > 1:
            points.append(
                {
                    "href": field_link(ret, missing[0].question),
                    "message": f"{part.section.title}: {len(missing)} answers are needed.",
                    "severity": "hard",
                }
            )
        else:
            points += [_point(ret, problem) for problem in missing]
        points += [_point(ret, problem) for problem in part.hard if problem not in missing]
        points += [_point(ret, problem) for problem in part.unexplained]
    return points


def _point(ret: Return, problem) -> dict:
    return {
        "href": field_link(ret, problem.question),
        "message": f"{problem.message} {problem.mend}".strip(),
        "severity": problem.severity,
    }


class ReturnSection(PolicyMixin, TemplateView):
    """One block of a return. Saving keeps what can be kept and says what cannot."""

    action = "return.read_draft"
    post_action = "return.write"
    template_name = "facts/return_section.html"

    def get_return(self) -> Return:
        returns = Return.objects.with_subjects().select_related("round__instrument", "cluster__country")
        return self.fetch(returns, pk=self.kwargs["pk"])

    def get_section(self, ret: Return):
        found = next((one for one in schedule_of(ret).sections if one.code == self.kwargs["section"]), None)
        if found is None:
            raise Http404
        return found

    def get(self, request, *args, **kwargs):
        ret = self.get_return()
        section = self.get_section(ret)
        if ret.is_editable:
            payload = reading.draft_of(ret)
        elif policy.allowed(request.user, "return.read_submitted", ret):
            payload = reading.open_for(ret, by=request.user, purpose="own reading")
        else:
            raise Http404
        form = SectionForm(reading.judged(ret, payload), section)
        fields = form.fields(mark_missing="check" in request.GET)
        if not ret.is_editable:  # once handed in, an opinion of the neighbours is nobody's to read
            fields = [one for one in fields if one.question.shown_at_unit_level]
        return self.show(ret, form, fields)

    def show(self, ret, form, fields, *, saved=None, status=200):
        sections = form.opened.sections
        at = next(place for place, part in enumerate(sections) if part.section is form.section)
        errors = [{"id": one.id, "message": one.error} for one in fields if one.error]
        may_edit = ret.is_editable and ret.round.state == Round.State.OPEN
        may_edit = may_edit and policy.allowed(self.request.user, "return.write", ret)
        return self.render_to_response(
            self.get_context_data(
                ret=ret,
                label=place_label(ret),
                section=form.section,
                sections=sections,
                here=sections[at],
                previous=next((part for part in reversed(sections[:at]) if part.asked), None),
                following=self.following(form),
                fields=fields,
                codes=" ".join(form.codes),
                errors=errors if may_edit else [],
                flagged=[one for one in fields for flag in one.flags if not flag["explanation"]],
                may_edit=may_edit,
                saved_today=timezone.localdate() == timezone.localdate(ret.updated_at),
                refused=saved.refused if saved else [],
            ),
            status=status,
        )

    def following(self, form: SectionForm):
        """The next block in which something is asked."""
        sections = form.opened.sections
        at = next(place for place, part in enumerate(sections) if part.section is form.section)
        return next((part for part in sections[at + 1 :] if part.asked), None)

    def post(self, request, *args, **kwargs):
        ret = self.get_return()
        form = SectionForm(reading.judged(ret, reading.draft_of(ret)), self.get_section(ret))
        sent = form.read(request.POST)
        try:
            if sent.raw or sent.explanations:
                ret, saved = self.save(ret, form, sent)
                sent.refused += saved.refused
        except _Clash as clash:
            return self.show_clash(clash)
        except DomainError as refusal:
            return self.show_unsaved(ret, form, sent, str(refusal))
        form = SectionForm(reading.judged(ret, reading.draft_of(ret)), form.section)
        if sent.refused:
            saved = _Refusals(sent.refused)
            kept = len(sent.raw) + len(sent.explanations) - sum(one.question in sent.raw for one in sent.refused)
            if kept:
                messages.success(
                    request, f"{kept} answer{'s' if kept != 1 else ''} saved; the others are marked below."
                )
            return self.show(ret, form, form.fields(saved=saved, post=request.POST), saved=saved)
        return HttpResponseRedirect(self.next_address(ret, form, bool(sent.raw or sent.explanations)))

    def next_address(self, ret, form, is_changed: bool) -> str:
        """Where to go after a save: on, unless the change left something to mend here or opened more questions."""
        here = reverse("facts:section", args=[ret.pk, form.section.code])
        if "go_on" not in self.request.POST:
            return here
        if is_changed and form.speaks:
            return here
        fresh = set(form.codes) - set(self.request.POST.get("codes", "").split())
        if fresh:
            count = len(fresh)
            messages.info(self.request, f"Your answers open {count} more question{'s' if count != 1 else ''} here.")
            return here
        following = self.following(form)
        return reverse("facts:section", args=[ret.pk, following.section.code]) if following else ret.get_absolute_url()

    def save(self, ret, form, sent):
        """Save; where others saved meanwhile and touched other fields, both stand. Raises _Clash on the same field."""
        revision, scale = sent.revision, sent.scale
        for _ in range(TRIES):
            try:
                saved = save_answers(
                    ret,
                    sent.raw,
                    by=self.request.user,
                    expected_revision=revision,
                    scale=scale,
                    explanations=sent.explanations,
                )
                return ret, saved
            except Conflict:
                # Read anew what is stored, with its revision and scale, then look which fields both touched.
                ret = self.get_return()
                form = SectionForm(reading.judged(ret, reading.draft_of(ret)), form.section)
                for code in sent.raw:
                    question = form.questions[code]
                    sent.raw[code] = rescaled(question, sent.raw[code], scale, ret.scale)
                    sent.was[code] = rescaled(question, sent.was[code], scale, ret.scale)
                clashing = [
                    code
                    for code, text in sent.raw.items()
                    if _plain(form.stored(code)) not in (_plain(sent.was[code]), _plain(text))
                ]
                if clashing:
                    raise _Clash(ret, form, sent, clashing) from None
                revision, scale = ret.revision, ret.scale
        raise DomainError("Many people are saving this return just now. Nothing of yours was stored; try again.")

    def show_unsaved(self, ret, form, sent, why: str):
        """The return takes no answers any more: what was typed is shown once, to be copied."""
        rows = [
            {"question": form.questions[code], "words": in_words(form.questions[code], text)}
            for code, text in sent.raw.items()
        ]
        context = {"ret": ret, "label": place_label(ret), "section": form.section, "rows": rows, "why": why}
        context["explanations"] = sent.explanations
        return render(self.request, "facts/return_unsaved.html", context, status=409)

    def show_clash(self, clash: "_Clash"):
        ret, form, sent = clash.ret, clash.form, clash.sent
        rows = []
        for code in clash.codes:
            question, stored = form.questions[code], form.stored(code)
            rows.append(
                {
                    "question": question,
                    "mine": sent.raw[code],
                    "mine_words": in_words(question, sent.raw[code]),
                    "theirs": stored,
                    "theirs_words": in_words(question, stored),
                }
            )
        mine = [
            {"code": code, "text": text, "was": form.stored(code)}
            for code, text in sent.raw.items()
            if code not in clash.codes
        ]
        return render(
            self.request,
            "facts/return_conflict.html",
            {
                "ret": ret,
                "label": place_label(ret),
                "section": form.section,
                "rows": rows,
                "mine": mine,
                "explanations": sent.explanations,
                "codes": " ".join(sent.raw),
                "writer": reading.last_writer(ret),
            },
            status=409,
        )


def _plain(text: str) -> str:
    """A typed text without grouping, to compare two of them."""
    return text.replace(",", "")


class _Refusals:
    """Refused values of a save, as the form reads them."""

    def __init__(self, refused):
        self.refused = refused


class _Clash(Exception):
    """Two people changed the same field."""

    def __init__(self, ret, form, sent, codes):
        super().__init__(ret.pk)
        self.ret, self.form, self.sent, self.codes = ret, form, sent, codes


class ReturnSubmit(PolicyMixin, TemplateView):
    """Open points; when there are none, certification; afterwards the receipt."""

    action = post_action = "return.submit"
    template_name = "facts/return_submit.html"

    def get_return(self) -> Return:
        returns = Return.objects.with_subjects().select_related("round__instrument", "cluster__country", "submitted_by")
        return self.fetch(returns, pk=self.kwargs["pk"])

    def needs_password(self) -> bool:
        signed_in = self.request.user.last_login
        confirmed = self.request.session.get("confirmed_at", 0)
        now = timezone.now()
        return (signed_in is None or now - signed_in > RECENT) and now.timestamp() - confirmed > RECENT.total_seconds()

    def get(self, request, *args, **kwargs):
        ret = self.get_return()
        if not ret.is_editable:
            return self.receipt(ret)
        return self.ask(ret, self.form(initial={"revision": ret.revision}))

    def form(self, data=None, **kwargs):
        return CertifyForm(data, user=self.request.user, needs_password=self.needs_password(), **kwargs)

    def receipt(self, ret):
        receipts = reading.receipts_of(ret)
        return self.render_to_response(
            self.get_context_data(
                ret=ret, label=place_label(ret), receipt=receipts[-1] if receipts else None, steps=steps_of(ret)
            )
        )

    def ask(self, ret, form, *, points=None, status=200):
        if points is None:
            opened = reading.judged(ret, reading.draft_of(ret))
            points = points_of(ret, opened, gather_missing=False)
        return self.render_to_response(
            self.get_context_data(
                ret=ret,
                label=place_label(ret),
                schedule=schedule_of(ret),
                points=points,
                form=form,
                is_open=ret.round.state == Round.State.OPEN,
            ),
            status=status,
        )

    def post(self, request, *args, **kwargs):
        ret = self.get_return()
        if not ret.is_editable:
            return redirect("facts:submit", pk=ret.pk)  # a second click finds the receipt of the first
        form = self.form(request.POST)
        if not form.is_valid():
            return self.ask(ret, form)
        if form.cleaned_data["revision"] != ret.revision:
            messages.error(
                request, "The return was changed since you opened this page. Look at it again, then certify."
            )
            return redirect("facts:submit", pk=ret.pk)
        if "password" in form.fields:
            request.session["confirmed_at"] = timezone.now().timestamp()
        try:
            submit([ret], by=request.user, certified_name=form.cleaned_data["certified_name"])
        except NotSubmittable as refusal:
            return self.ask(ret, form, points=[_point(ret, problem) for problem in refusal.problems[ret.pk]])
        except DomainError as refusal:
            messages.error(request, str(refusal))
        return redirect("facts:submit", pk=ret.pk)

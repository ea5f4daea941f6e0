"""Handing in: the look-over of all answers, certification of one return or of several, the receipt."""

from datetime import timedelta

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect
from django.utils import timezone
from django.views.generic import TemplateView

from core import policy
from core.accounts.sessions import is_sure, make_sure
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.forms import CertifyForm, SectionForm
from facts.models import Return
from facts.services import reading
from facts.services.bulk import by_round
from facts.services.collectors import is_link_holder
from facts.services.deadlines import lock_reason, lock_reasons
from facts.services.findings import schedule_of
from facts.services.receipts import next_steps
from facts.services.submission import NotSubmittable, submit

from .parts import OneReturn, place_label, point_of, points_of, steps_of

RECENT = timedelta(minutes=15)  # how long a sign-in counts for certifying
OPEN_AGAIN = "You opened your link more than 15 minutes ago. Open it again, then certify; nothing typed is lost."
AT_ONCE = 100  # returns certified together: as many as a person can look through


class AsksPassword:
    """Certifying asks for the password again when the sign-in is old; a personal link has none to ask for."""

    def needs_password(self) -> bool:
        return not is_sure(self.request) and self.request.user.has_usable_password()

    def needs_link(self) -> bool:
        """Whether somebody without password opened the personal link too long ago to certify."""
        user = self.request.user
        is_old = user.last_login is None or timezone.now() - user.last_login > RECENT
        return is_old and not user.has_usable_password() and is_link_holder(user)

    def note_password(self, form) -> None:
        if "password" in form.fields:
            make_sure(self.request)


class ReturnCheck(OneReturn, TemplateView):
    """All answers of a draft on one page, to look over before it is certified; every one leads to its field."""

    action = "return.read_draft"
    template_name = "facts/return_check.html"

    def get_context_data(self, **kwargs):
        ret = self.get_return()
        if not ret.is_editable:
            raise Http404
        opened = reading.judged(ret, reading.draft_of(ret), by=self.request.user)
        blocks = []
        for part in opened.sections:
            fields = [one for one in SectionForm(opened, part.section).fields(mark_missing=True) if one.asked]
            if fields:
                blocks.append({"part": part, "fields": fields})
        return super().get_context_data(**kwargs) | {
            "ret": ret,
            "label": place_label(ret),
            "opened": opened,
            "blocks": blocks,
            "points": points_of(ret, opened, gather_missing=True),
            "may_edit": self.may_write(ret),
            "may_submit": policy.allowed(self.request.user, "return.submit", ret),
        }


class ReturnSubmit(AsksPassword, OneReturn, TemplateView):
    """Open points; when there are none, certification; afterwards the receipt."""

    action = post_action = "return.submit"
    template_name = "facts/return_submit.html"

    def get(self, request, *args, **kwargs):
        ret = self.get_return()
        if not ret.is_editable:
            return self.receipt(ret)
        return self.ask(ret, self.form(initial={"revision": ret.revision}))

    def form(self, data=None, **kwargs):
        return CertifyForm(data, request=self.request, needs_password=self.needs_password(), **kwargs)

    def receipt(self, ret):
        receipts = reading.receipts_of(ret)
        return self.render_to_response(
            self.get_context_data(
                ret=ret,
                label=place_label(ret),
                receipt=receipts[-1] if receipts else None,
                steps=steps_of(ret),
                following=list(next_steps(ret)),
            )
        )

    def ask(self, ret, form, *, points=None, status=200):
        opened = reading.judged(ret, reading.draft_of(ret), by=self.request.user)
        if points is None:
            points = points_of(ret, opened, gather_missing=False)
        return self.render_to_response(
            self.get_context_data(
                ret=ret,
                label=place_label(ret),
                schedule=schedule_of(ret),
                opened=opened,
                points=points,
                form=form,
                locked=lock_reason(ret) or (OPEN_AGAIN if self.needs_link() else ""),
            ),
            status=status,
        )

    def post(self, request, *args, **kwargs):
        ret = self.get_return()
        if not ret.is_editable:
            return redirect("facts:submit", pk=ret.pk)  # a second click finds the receipt of the first
        if self.needs_link():
            messages.error(request, OPEN_AGAIN)
            return redirect("facts:submit", pk=ret.pk)
        form = self.form(request.POST)
        if not form.is_valid():
            return self.ask(ret, form)
        if form.cleaned_data["revision"] != ret.revision:
            messages.error(
                request, "The return was changed since you opened this page. Look at it again, then certify."
            )
            return redirect("facts:submit", pk=ret.pk)
        self.note_password(form)
        try:
            submit([ret], by=request.user, certified_name=form.cleaned_data["certified_name"])
        except NotSubmittable as refusal:
            return self.ask(ret, form, points=[point_of(ret, problem) for problem in refusal.problems[ret.pk]])
        except DomainError as refusal:
            messages.error(request, str(refusal))
        return redirect("facts:submit", pk=ret.pk)


class CertifySeveral(AsksPassword, PolicyMixin, TemplateView):
    """Certify several returns at once: first the exact list with each one's open points, then all of them or none."""

    action = post_action = "return.submit"
    template_name = "facts/return_certify.html"

    def chosen(self, pks: list[str]) -> list[Return]:
        """The chosen returns in scope that can still be handed in."""
        wanted = [int(pk) for pk in pks[:AT_ONCE] if pk.isascii() and pk.isdecimal() and len(pk) < 15]
        found = Return.objects.with_subjects().select_related("round__instrument", "cluster__country")
        found = found.filter(pk__in=wanted, state__in=Return.EDITABLE)
        return list(self.in_scope(found).order_by("cluster__name", "schedule", "subject", "pk"))

    def get(self, request, *args, **kwargs):
        returns = self.chosen(request.GET.getlist("ret"))
        form = CertifyForm(request=request, needs_password=self.needs_password(), of_one=False)
        return self.ask(returns, form)

    def ask(self, returns, form):
        rows = []
        locked = dict(_locked(returns))
        for ret, opened in zip(returns, reading.judged_many(returns, by=self.request.user), strict=True):
            points = points_of(ret, opened, gather_missing=True)
            if reason := locked.get(ret.pk):
                points = [{"href": ret.get_absolute_url(), "message": reason, "severity": "hard"}]
            rows.append({"ret": ret, "label": place_label(ret), "opened": opened, "points": points})
        return self.render_to_response(
            self.get_context_data(
                rows=rows,
                ready=[row for row in rows if not row["points"]],
                waiting=[row for row in rows if row["points"]],
                form=form,
                at_once=AT_ONCE,
            )
        )

    def post(self, request, *args, **kwargs):
        if self.needs_link():
            messages.error(request, OPEN_AGAIN)
            return redirect("facts:returns")
        seen = dict(pair.split(":", 1) for pair in request.POST.getlist("ret") if ":" in pair)
        returns = self.chosen(list(seen))
        form = CertifyForm(request.POST, request=request, needs_password=self.needs_password(), of_one=False)
        if len(returns) != len(seen) or any(seen.get(str(ret.pk)) != str(ret.revision) for ret in returns):
            messages.error(request, "One of these returns was changed meanwhile. Look at the list again, then certify.")
            return self.ask(returns, form if form.is_bound and not form.is_valid() else self._again())
        if not returns or not form.is_valid():
            return self.ask(returns, form)
        self.note_password(form)
        try:
            submit(returns, by=request.user, certified_name=form.cleaned_data["certified_name"])
        except DomainError as refusal:
            messages.error(request, f"{refusal} None of the returns was submitted.")
            return self.ask(returns, form)
        count = len(returns)
        messages.success(request, f"{count} return{'s' if count != 1 else ''} submitted. Each has its receipt.")
        return redirect("facts:returns")

    def _again(self):
        return CertifyForm(request=self.request, needs_password=self.needs_password(), of_one=False)


def _locked(returns: list[Return]):
    """Why some of several returns cannot be handed in now, by id."""
    for _, group in by_round(returns):
        reasons = lock_reasons(group)
        yield from ((ret.pk, reasons[ret.subject]) for ret in group if ret.subject in reasons)

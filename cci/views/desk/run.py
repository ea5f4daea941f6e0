"""One edition's run: progress and a way to stop it; then its inputs, steps, warnings, digest, and what is decided."""

from django.contrib import messages
from django.shortcuts import redirect
from django.utils import timezone

from cci.desk.running import figures_of, run_of
from cci.models import Edition
from cci.services import cancel_recompute, request_verification, verification_of
from cci.views.decisions import decide, decisions_of
from core import policy
from core.accounts.sessions import ask_again, is_sure
from core.base import DomainError

from .pages import OfEdition, refreshing


class EditionPage(OfEdition):
    """The run of an edition, and the decisions on it."""

    post_action = "edition.propose"
    template_name = "cci/edition_page.html"

    def get_context_data(self, **kwargs):
        refused = kwargs.pop("refused", None)
        context = super().get_context_data(**kwargs)
        edition, user = context["edition"], self.request.user
        may_recompute = policy.allowed(user, "edition.recompute")
        context |= {
            "run": run_of(edition.job, timezone.now()) if edition.job else None,
            "may_cancel": may_recompute and context["is_computing"],
            "may_recompute": may_recompute and not edition.is_trial and edition.state in ("candidate", "failed"),
        }
        if not context["has_figures"]:
            return context
        check = verification_of(edition)
        return context | {
            "figures": figures_of(edition),
            "decisions": decisions_of(edition, user, refused),
            "verification": check,
            "verifying": run_of(check, timezone.now()) if check and check.is_open else None,
            "may_verify": may_recompute and not (check and check.is_open),
        }

    def render_to_response(self, context, **kwargs):
        is_working = context["is_computing"] or bool(context.get("verifying"))
        return refreshing(super().render_to_response(context, **kwargs), is_working)

    def post(self, request, pk):
        edition = self.get_edition()
        if request.POST.get("decision") == "publish" and not is_sure(request):
            messages.info(request, "Publishing asks for your password again; nothing was published yet.")
            return ask_again(request)
        if refused := decide(request, edition):
            return self.render_to_response(self.get_context_data(edition=edition, refused=refused))
        return redirect("cci:edition", pk=edition.pk)


class CancelRun(OfEdition):
    """What is kept when a run is stopped; then the act."""

    action = post_action = "edition.recompute"
    template_name = "cci/edition_cancel.html"

    def get(self, request, pk):
        edition = self.get_edition()
        if edition.state != Edition.State.COMPUTING:
            messages.info(request, f"{edition} is not being computed any more.")
            return redirect("cci:edition", pk=pk)
        return self.render_to_response(self.get_context_data(edition=edition))

    def post(self, request, pk):
        edition = self.get_edition()
        try:
            cancel_recompute(edition, by=request.user)
        except DomainError as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, f"The computing of {edition.label} is stopped; nothing of it is kept.")
        return redirect("cci:edition", pk=pk)


class Verify(OfEdition):
    """Compute an edition again and compare digests."""

    action = "edition.recompute"
    http_method_names = ["post"]

    def post(self, request, pk):
        try:
            request_verification(self.get_edition(), by=request.user)
        except DomainError as refusal:
            messages.error(request, str(refusal))
        return redirect("cci:edition", pk=pk)

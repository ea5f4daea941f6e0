"""What is decided on an edition, by whom, and what comes next: proposed, approved, published, taken back."""

from django import forms
from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect
from django.views.generic import TemplateView

from cci.forms import NoteForm, PreReleaseForm, ProposeForm, PublishForm
from cci.models import Edition, PreRelease
from cci.services import decline, propose, publish, revised, withdraw_approval
from cci.services.releases import grant_pre_release, next_entry, planned_words, withdraw_pre_release
from core import policy
from core.base import DomainError
from core.policy.views import PolicyMixin

REASON = {
    "decline": "Why the proposal is taken back",
    "withdraw": "Why the approval is withdrawn",
}


def decisions_of(edition: Edition, user, bound: dict[str, forms.Form] | None = None) -> dict:
    """What `_decisions.html` shows of an edition to this person: where it stands, who is next, their own forms.

    bound : forms as sent, where one was refused.
    """
    bound = bound or {}
    before = revised(edition)
    may_propose = policy.allowed(user, "edition.propose", edition)
    is_own = edition.proposed_by_id == user.pk
    may_publish = policy.allowed(user, "edition.publish", edition) and not is_own
    entry = next_entry(edition.round) if edition.is_official and not edition.is_public else None
    given: dict = {
        "edition": edition,
        "before": before,
        "is_own": is_own,
        "entry": entry,
        "entry_words": planned_words(entry) if entry else "",
        "has_draft_method": not edition.methodology.is_adopted,
        "refused": next(iter(bound), ""),
        "pre_releases": [],
    }
    if edition.state == "candidate" and edition.is_official and may_propose and edition.methodology.is_adopted:
        given["propose"] = (bound.get("propose") or ProposeForm()) if before else forms.Form()
    if edition.state == "proposed":
        if may_publish:
            given["publish"] = bound.get("publish") or PublishForm(
                initial={
                    "release": "later" if entry and entry.is_exact else "now",
                    "release_at": entry.planned_at if entry else None,
                }
            )
        if may_propose:
            given["decline"] = bound.get("decline") or NoteForm(label=REASON["decline"], auto_id="id_decline_%s")
    if edition.state == "scheduled":
        given["pre_releases"] = list(edition.pre_releases.filter(withdrawn_at=None).select_related("user"))
        given["may_list"] = policy.allowed(user, "pre_release.manage")
        if policy.allowed(user, "edition.publish", edition):
            given["withdraw"] = bound.get("withdraw") or NoteForm(label=REASON["withdraw"], auto_id="id_withdraw_%s")
    return given


def decide(request, edition: Edition) -> dict[str, forms.Form]:
    """Do what a form of `_decisions.html` asks. Returns the form that was refused by its name, or nothing."""
    act, digest, user = request.POST.get("decision", ""), request.POST.get("digest", ""), request.user
    form: forms.Form
    if act == "publish":
        policy.require(user, "edition.publish", edition)
        form = PublishForm(request.POST if "release" in request.POST else {"release": "now"})
    elif act in REASON:
        policy.require(user, "edition.publish" if act == "withdraw" else "edition.propose", edition)
        sent = {"note": request.POST.get("note") or request.POST.get("reason", "")}
        form = NoteForm(sent, label=REASON[act], auto_id=f"id_{act}_%s")
    else:
        policy.require(user, "edition.propose", edition)
        act, form = "propose", ProposeForm(request.POST) if revised(edition) else forms.Form({})
    if not form.is_valid():
        return {act: form}
    try:
        if act == "publish":
            publish(edition, by=user, digest=digest, release_at=form.moment)
        elif act == "decline":
            decline(edition, by=user, digest=digest, reason=form.cleaned_data["note"])
        elif act == "withdraw":
            withdraw_approval(edition, by=user, digest=digest, reason=form.cleaned_data["note"])
        else:
            propose(edition, by=user, digest=digest, **form.cleaned_data)
    except DomainError as refusal:
        messages.error(request, str(refusal))
        return {act: form}
    messages.success(request, _said(edition, act))
    return {}


def _said(edition: Edition, act: str) -> str:
    if act == "publish":
        waits = f"{edition} is approved. It comes out at its release time; until then it is under embargo."
        return waits if edition.state == Edition.State.SCHEDULED else f"{edition} is published."
    return {
        "propose": f"{edition} is proposed. A second analyst publishes it.",
        "decline": f"The proposal of {edition.label} is taken back; the reason is on record.",
        "withdraw": f"The approval of {edition.label} is withdrawn; the reason is on record.",
    }[act]


class PreReleaseList(PolicyMixin, TemplateView):
    """Who may see an approved edition before its release; the list comes out with it."""

    action, post_action = "pre_release.manage", "pre_release.grant"
    template_name = "cci/pre_release_list.html"

    @property
    def edition(self) -> Edition:
        return get_object_or_404(Edition.objects.select_related("round"), pk=self.kwargs["pk"])

    def get_context_data(self, **kwargs):
        edition = kwargs.pop("edition", None) or self.edition
        may_grant = policy.allowed(self.request.user, "pre_release.grant") and edition.state == "scheduled"
        return super().get_context_data(**kwargs) | {
            "edition": edition,
            "entries": list(edition.pre_releases.select_related("user", "granted_by")),
            "may_grant": may_grant,
            "form": (kwargs.get("form") or PreReleaseForm()) if may_grant else None,
        }

    def post(self, request, pk):
        edition, form = self.edition, PreReleaseForm(request.POST)
        is_withdrawal = request.POST.get("withdraw", "").isdecimal()
        if not is_withdrawal and not form.is_valid():
            return self.render_to_response(self.get_context_data(edition=edition, form=form))
        try:
            if is_withdrawal:
                entry = get_object_or_404(PreRelease, edition=edition, pk=request.POST["withdraw"])
                withdraw_pre_release(entry, by=request.user)
                words = f"{entry.office} no longer sees {edition}."
            else:
                data = form.cleaned_data
                who = {"office": data["office"], "reason": data["reason"], "by": request.user}
                entry = grant_pre_release(edition, data["username"], **who)
                words = f"{entry.office} may see {edition} from now on. Send them the address of the page below."
        except DomainError as refusal:
            if is_withdrawal:
                messages.error(request, str(refusal))
                return redirect("cci:pre-releases", pk=pk)
            form.add_error(None, str(refusal))
            return self.render_to_response(self.get_context_data(edition=edition, form=form))
        messages.success(request, words)
        return redirect("cci:pre-releases", pk=pk)

"""Profiles: how complete they are, and one profile's facts, proposed here and published by a second person."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Max, Q
from django.shortcuts import redirect
from django.urls import reverse
from django.views.generic import TemplateView, View

from clusters.forms import FactForm
from clusters.models import Cluster, ProfileFact
from clusters.services import decide_fact, propose_fact, withdraw_fact
from core import policy
from core.base import DomainError
from core.policy.views import PolicyMixin

SECTIONS = ProfileFact.Section.choices
PUBLISHED = Q(facts__state=ProfileFact.State.PUBLISHED)


class ProfileList(PolicyMixin, TemplateView):
    """Profiles in scope, the emptiest and stalest first."""

    action = "profile.read"
    template_name = "clusters/profile_list.html"

    def get_context_data(self, **kwargs):
        found = self.in_scope(Cluster.objects.filter(kind=Cluster.Kind.CLUSTER)).with_places()
        found = found.annotate(
            n_sections=Count("facts__section", filter=PUBLISHED, distinct=True),
            n_published=Count("facts", filter=PUBLISHED),
            n_proposed=Count("facts", filter=Q(facts__state=ProfileFact.State.PROPOSED)),
            last_fact=Max("facts__verified_at", filter=PUBLISHED),
        )
        return super().get_context_data(**kwargs) | {
            "clusters": found.order_by("n_sections", "last_fact", "name", "pk"),
            "n_sections": len(SECTIONS),
        }


class ProfileEntry(PolicyMixin, TemplateView):
    """One profile: six sections of published and proposed facts, and a form for the next one for who may write."""

    action, post_action = "profile.read", "profile.write"
    template_name = "clusters/profile_entry.html"

    def get_cluster(self) -> Cluster:
        return self.fetch(Cluster.objects.with_places(), code=self.kwargs["code"])

    def get_context_data(self, **kwargs):
        cluster, user = kwargs.pop("cluster", None) or self.get_cluster(), self.request.user
        facts = cluster.facts.exclude(state=ProfileFact.State.WITHDRAWN).select_related("entered_by", "verified_by")
        by_section: dict[str, list] = {code: [] for code, _ in SECTIONS}
        for fact in facts:
            fact.is_own = fact.entered_by_id == user.pk
            by_section[fact.section].append(fact)
        asked = self.request.GET.get("section", "")
        first = asked if asked in by_section else next((code for code, found in by_section.items() if not found), "")
        return super().get_context_data(**kwargs) | {
            "cluster": cluster,
            "sections": [{"code": code, "title": title, "facts": by_section[code]} for code, title in SECTIONS],
            "done": sum(any(fact.state == "published" for fact in found) for found in by_section.values()),
            "may_publish": policy.allowed(user, "fact.publish", cluster_fact(cluster)) if facts else False,
            "may_write": policy.allowed(user, "profile.write"),
            "form": kwargs.get("form") or FactForm(initial={"section": first}),
        }

    def post(self, request, code):
        cluster = self.get_cluster()
        form = FactForm(request.POST)
        if form.is_valid():
            try:
                fact = propose_fact(cluster, by=request.user, **form.cleaned_data)
            except ValidationError as refusal:
                form.add_error(None, refusal)
            else:
                messages.success(request, f"Proposed: {fact.label}. A second person of the agency publishes it.")
                return redirect(reverse("clusters:profile", args=[cluster.code]) + f"#{fact.section}")
        return self.render_to_response(self.get_context_data(cluster=cluster, form=form))


def cluster_fact(cluster: Cluster) -> ProfileFact | None:
    """Any fact of a cluster: the right to publish is the same for all of them."""
    return cluster.facts.first()


class FactDecision(PolicyMixin, View):
    """Publish or decline a proposed fact, or withdraw a published one."""

    action = "fact.publish"
    http_method_names = ["post"]

    def post(self, request, pk):
        fact = self.fetch(ProfileFact.objects.select_related("cluster"), pk=pk)
        decision = request.POST.get("decision")
        try:
            if decision == "withdraw":
                withdraw_fact(fact, by=request.user)
                messages.success(request, f"Withdrawn: {fact.label}. It stays on record.")
            elif decision in ("publish", "decline"):
                reason = request.POST.get("reason", "")[:200]
                decide_fact(fact, by=request.user, publish=decision == "publish", reason=reason)
                done = "Published" if decision == "publish" else "Declined"
                messages.success(request, f"{done}: {fact.label}.")
            else:
                messages.error(request, "Choose to publish or to decline.")
        except DomainError as refusal:
            messages.error(request, str(refusal))
        return redirect(reverse("clusters:profile", args=[fact.cluster.code]) + f"#{fact.section}")

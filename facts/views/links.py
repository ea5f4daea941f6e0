"""Personal links: the page behind a link, sign-in by it, sharing, and where the head of an association makes them."""

from functools import partial

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.core.cache import cache
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.generic import TemplateView, View

from clusters.models import Cluster, Unit
from core.base import DomainError
from core.policy.views import PolicyMixin
from facts.models import FrameEntry, Return, Round, Schedule, UnitLink
from facts.services import links, minutes
from facts.services.collectors import clusters_to_collect
from facts.services.deadlines import state_reason, windows
from facts.services.instruments import definition
from facts.services.reading import unit_names

from .collecting import round_or_404
from .rounds import tabs_of

PAGE = 50
WRONG_MAX, WRONG_SECONDS = 30, 600  # wrong links from one address before it is asked to wait


def _too_many(request, *, add: bool) -> bool:
    """Whether an address tried too many wrong links of late. It spares the database; the token itself is the lock."""
    # Behind the proxy its header names the visitor; without one the header is the visitor's own invention.
    source = "REMOTE_ADDR" if settings.DEMO else "HTTP_X_FORWARDED_FOR"
    key = f"wrong-link:{request.META.get(source) or request.META.get('REMOTE_ADDR')}"
    if add:
        cache.add(key, 0, WRONG_SECONDS)
        try:
            cache.incr(key)
        except ValueError:  # it ran out between the two
            cache.set(key, 1, WRONG_SECONDS)
    return cache.get(key, 0) > WRONG_MAX


@method_decorator([never_cache, sensitive_variables("token")], name="dispatch")
class LinkPage(PolicyMixin, View):
    """What a link opens, then, on a press, the way in. Looking at the page uses nothing up: mail scanners do so too."""

    action = "site.read"

    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        # No address of a link leaves in a Referer; "no-referrer" would also take the Origin that the form needs.
        response["Referrer-Policy"] = "strict-origin"
        response["X-Robots-Tag"] = "noindex"
        return response

    def find(self, token: str) -> UnitLink | None:
        if _too_many(self.request, add=False):
            return None
        link = links.find_link(token)
        if link is None:
            _too_many(self.request, add=True)
        return link

    def get(self, request, token):
        link = self.find(token)
        if link is None:
            return gone(request)
        return self.show(link)

    def show(self, link: UnitLink, problem: str = "", status: int = 200):
        found = links.landing(link)
        window = windows(link.round, [link.unit.cluster_id])[link.unit.cluster_id]
        instrument = definition(link.round.instrument.version)
        return render(
            self.request,
            "facts/link_page.html",
            {
                "link": link,
                "round": link.round,
                "unit": link.unit,
                "ret": found.ret,
                "begun_by": found.begun_by,
                "association": found.association,
                "window": window,
                "locked": state_reason(found.ret) if found.ret else "",
                "problem": problem,
                "promise": instrument.promise,
                "n_questions": len(instrument.schedules[Schedule.UNIT.value].questions),
                "minutes": minutes.last_known(link.round.year).get(Schedule.UNIT.value),
                "hours": links.SESSION_SECONDS // 3600,
            },
            status=status,
        )

    def post(self, request, token):
        link = self.find(token)
        if link is None:
            return gone(request)
        try:
            ret = links.open_link(link)
        except DomainError as refusal:
            return self.show(link, str(refusal), status=409)
        login(request, link.user, backend="django.contrib.auth.backends.ModelBackend")
        request.session.set_expiry(links.SESSION_SECONDS)
        return redirect(ret)


def gone(request):
    """One and the same page for every link that opens nothing."""
    return render(request, "facts/link_gone.html", status=404)


class Share(PolicyMixin, View):
    """The unit's switch: let those who collect in the cluster see its answers, or not."""

    action = "return.share"
    http_method_names = ["post"]

    def post(self, request, pk):
        ret = self.fetch(Return.objects.select_related("round"), pk=pk)
        shared = request.POST.get("shared") == "1"
        try:
            links.share(ret, by=request.user, shared=shared)
        except DomainError as refusal:
            messages.error(request, str(refusal))
        else:
            seen = "Nobody in your cluster sees your answers now."
            if shared:
                seen = f"{ret.shared_with.name} may read what you hand in, not change it."
            messages.success(request, seen)
        return redirect(ret)


class LinkList(PolicyMixin, TemplateView):
    """The units of the clusters that a head collects for, each with its link: made, opened, ended."""

    action = post_action = "unit_link.make"
    template_name = "facts/link_list.html"

    def setup(self, request, *args, **kwargs):
        super().setup(request, *args, **kwargs)
        self.round = round_or_404(kwargs["year"])

    def own(self) -> list[Cluster]:
        """Clusters for which the head's organisation collects in this round."""
        collecting = clusters_to_collect(self.request.user, self.round)
        return list(self.in_scope(Cluster.objects.filter(pk__in=collecting)).order_by("name"))

    def get_context_data(self, **kwargs):
        clusters, asked = self.own(), self.request.GET
        cluster = next((one for one in clusters if one.code == asked.get("cluster")), clusters[0] if clusters else None)
        context = super().get_context_data(**kwargs) | {
            "round": self.round,
            "tabs": tabs_of(self.round, "links", self.request.user),
            "clusters": clusters,
            "cluster": cluster,
            "is_open": self.round.state == Round.State.OPEN,
        }
        if cluster is None:
            return context
        framed = FrameEntry.objects.filter(round=self.round, cluster=cluster, in_scope=True, drawn=True)
        units = Unit.objects.filter(pk__in=framed.values("unit")).order_by("-member", "frame_id")
        page = Paginator(units, PAGE).get_page(asked.get("page"))
        shown = [unit.pk for unit in page]
        made = {
            link.unit_id: link
            for link in UnitLink.objects.filter(round=self.round, unit__in=shown).order_by("pk").select_related("user")
        }
        returns = Return.objects.filter(round=self.round, schedule=Schedule.UNIT, unit__in=shown)
        begun = {ret.unit_id: ret for ret in returns}
        names = unit_names(shown, about=self.round, by=self.request.user, purpose="personal links")
        kept = links.kept_units(self.round, page)
        for unit in page:
            unit.is_kept = unit.pk in kept
            unit.link, unit.ret, unit.name = made.get(unit.pk), begun.get(unit.pk), names.get(unit.pk, "")
        return context | {
            "page": page,
            "n_free": links.units_without_return(self.round, cluster).count(),
            "window": windows(self.round, [cluster.pk])[cluster.pk],
            "filters": [
                {
                    "name": "cluster",
                    "label": "Cluster",
                    "value": cluster.code,
                    "options": [(one.code, one.name) for one in clusters],
                }
            ]
            if len(clusters) > 1
            else [],
        }

    def post(self, request, year):
        clusters = self.own()
        try:
            if "file" in request.POST:
                cluster = next((one for one in clusters if one.code == request.POST["file"]), None)
                if cluster is None:
                    raise Http404
                return self.file(cluster)
            unit = Unit.objects.filter(cluster__in=clusters, frame_id=request.POST.get("unit", "")[:30])
            unit = unit.select_related("cluster").first()
            if unit is None:
                raise Http404
            if "revoke" in request.POST:
                for link in UnitLink.objects.filter(round=self.round, unit=unit, revoked_at=None):
                    links.revoke_link(link, by=request.user)
                messages.success(request, f"The link of {unit.frame_id} opens nothing any more.")
                return redirect(f"{request.path}?cluster={unit.cluster.code}")
            token = links.make_link(unit, self.round, by=request.user)
        except DomainError as refusal:
            messages.error(request, str(refusal))
            return redirect("facts:round-links", year=year)
        # Shown in the answer to this one request: it is stored nowhere, so there is nothing to come back to.
        return render(
            request,
            "facts/link_made.html",
            {
                "round": self.round,
                "unit": unit,
                "address": address_of(request, token),
                "cluster": unit.cluster,
                "up_name": "facts:round-links",
                "up_label": "Personal links",
            },
        )

    def file(self, cluster: Cluster):
        address = partial(address_of, self.request)
        content, count = links.links_file(self.round, cluster, by=self.request.user, address=address)
        response = HttpResponse(content, content_type="text/csv; charset=utf-8")
        name = f"links-{self.round.year}-{cluster.code.lower()}.csv"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["X-Links"] = str(count)
        return response


class ReplaceForm(forms.Form):
    """Which unit's link is made anew, and why."""

    unit = forms.CharField(label="Number of the unit", max_length=30)
    reason = forms.CharField(
        label="Why it needs a new link",
        help_text="At least 10 characters. It is kept sealed; the unit sees in its history that you replaced the link.",
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class LinkReplace(PolicyMixin, TemplateView):
    """Where the supervisor of a cluster makes a unit's link anew after it was opened."""

    action = post_action = "unit_link.replace"
    template_name = "facts/link_replace.html"

    def get_context_data(self, **kwargs):
        round_ = round_or_404(self.kwargs["year"])
        form = kwargs.pop("form", None) or ReplaceForm()
        tabs = tabs_of(round_, "link", self.request.user)
        return super().get_context_data(**kwargs) | {"round": round_, "form": form, "tabs": tabs}

    def post(self, request, year):
        round_, form = round_or_404(year), ReplaceForm(request.POST)
        if form.is_valid():
            clusters = self.in_scope(Cluster.objects.all())
            unit = Unit.objects.filter(cluster__in=clusters, frame_id=form.cleaned_data["unit"].strip())
            unit = unit.select_related("cluster").first()
            if unit is None:
                form.add_error("unit", "No unit of your clusters has this number.")
            else:
                try:
                    token = links.replace_link(unit, round_, by=request.user, reason=form.cleaned_data["reason"])
                except DomainError as refusal:
                    form.add_error(None, str(refusal))
                else:
                    address = address_of(request, token)
                    context = {"round": round_, "unit": unit, "address": address, "cluster": unit.cluster}
                    context |= {"up_name": "facts:round-link", "up_label": "Replace a link", "is_replaced": True}
                    return render(request, "facts/link_made.html", context)
        return self.render_to_response(self.get_context_data(form=form), status=422)


def address_of(request, token: str) -> str:
    """The full address of a link, to print or send: at the host by which the person came."""
    return request.build_absolute_uri(reverse("facts:link", args=[token]))

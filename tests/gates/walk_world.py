"""The world of the walks: two towns of one country with everything in it, and eleven kinds of people in each.

Every record that a route can name has a label, `a.draft`, and the two towns, `a` and `b`, hold the same. What neither
holds begins with `office.`; what everybody may know begins with `public.`.
"""

import datetime as dt

from django.utils import timezone

from cci.models import Edition, PreRelease
from clusters.models import Cluster, ClusterRole, Membership
from clusters.services import propose_fact
from core.policy import Role
from facts.models import FrameEntry, Return, UnitLink
from facts.services.imports import Row, save_drafts
from facts.services.instruments import lookups
from facts.services.links import digest_of, make_link, open_link, share
from facts.services.queries import ask
from facts.services.reopening import ask_reopening
from facts.services.review import accept
from facts.services.submission import submit
from facts.services.uploads import receive
from facts.vault.store import put_identities
from interventions.models import Intervention
from tests.api.world import World
from tests.factories import ClusterFactory, RegionFactory, SectorFactory, UnitFactory, person, seen_by_checks
from tests.facts.valid_returns import RETURNS

TENANTS = ("a", "b")
# Role codes of the design's permission matrix.
CODES = {
    "AN": Role.ANONYMOUS,
    "VW": Role.VIEWER,
    "UL": Role.LINK,
    "AE": Role.ENTRY,
    "AH": Role.HEAD,
    "ST": Role.STAFF,
    "SU": Role.SUPERVISOR,
    "AL": Role.ANALYST,
    "AU": Role.AUDITOR,
    "PC": Role.CLIENT,
    "SA": Role.ADMIN,
}
OF_A_TENANT = ("UL", "AE", "AH", "ST", "SU", "PC")  # the others are the same person in both tenants
UNITS = ("draft", "review", "accepted", "linked", "sealed", "shared", "untouched")


class WalkWorld(World):
    """Two towns, `a` (the world itself) and `b`.

    values(tenant, label) : the answers of a unit return; a gate plants its own by giving another function.
    """

    def __init__(self, values=None, identity=None):
        super().__init__()
        self.values = values or (lambda tenant, label, schedule: RETURNS[schedule])
        self.identity = identity or (lambda tenant, label: {"name": f"Firm {tenant} {label}", "address": "Lane 5"})
        self.towns = {"a": self, "b": self.other}
        for code in RETURNS["CLUSTER"]["CA03"]:
            SectorFactory(code=code, title=f"Class {code}")
        lookups.cache_clear()
        Cluster.objects.filter(pk=self.other.cluster.pk).update(region=RegionFactory(code="PK-SD", name="Sindh"))
        self.other.cluster.refresh_from_db()
        self.objects: dict[str, dict[str, object]] = {}
        self.clients = {}
        self.tokens = {}
        for tenant, town in self.towns.items():
            self._settle(tenant, town)
            for code in OF_A_TENANT:
                held = Membership.objects.get(user=self.people_of(tenant)[code])
                self.add("membership", f"{tenant}.{CODES[code].value}", held)
        self._offices()

    # --- people

    def people_of(self, tenant: str) -> dict[str, object]:
        """Role code → person, None for the stranger."""
        town = self.towns[tenant]
        return {
            "AN": None,
            "VW": self.viewer,
            "UL": town.holder,
            "AE": town.entry,
            "AH": town.head,
            "ST": town.staff,
            "SU": town.supervisor,
            "AL": self.analyst,
            "AU": self.auditor,
            "PC": town.client,
            "SA": self.admin,
        }

    def add(self, kind: str, label: str, record) -> None:
        self.objects.setdefault(kind, {})[label] = record

    # --- what each town holds

    def _settle(self, tenant: str, town) -> None:
        if tenant == "b":
            town.client = person("client", town.association)
        town.units += [UnitFactory(cluster=town.cluster) for _ in UNITS[len(town.units) :]]
        framed = set(FrameEntry.objects.filter(round=town.round).values_list("unit_id", flat=True))
        FrameEntry.objects.bulk_create(
            FrameEntry(round=town.round, unit=unit, cluster=town.cluster, size=1, prior_employment=5)
            for unit in town.units
            if unit.pk not in framed
        )
        units = dict(zip(UNITS, town.units, strict=True))
        put_identities({unit.pk: self.identity(tenant, label) for label, unit in units.items()})
        town.hidden_cluster = ClusterFactory(
            code=f"PK-HIDDEN-{tenant.upper()}",
            name=f"Unlisted-{tenant * 8}",
            is_published=False,
            sector=town.cluster.sector,
            region=town.cluster.region,
        )
        for organisation, role in ((town.association, "association"), (town.agency, "lead_agency")):
            ClusterRole.objects.create(cluster=town.hidden_cluster, organisation=organisation, role=role)
        for label, unit in units.items():
            self.add("unit", f"{tenant}.{label}", unit)
        self.add("cluster", f"{tenant}.published", town.cluster)
        self.add("cluster", f"{tenant}.hidden", town.hidden_cluster)
        for label, organisation in (("association", town.association), ("agency", town.agency)):
            self.add("organisation", f"public.{tenant}_{label}", organisation)
        self._returns(tenant, town, units)
        fact = propose_fact(
            town.cluster, by=town.staff, section="size", label="workers", value="9000", unit="", source="A register"
        )
        self.add("fact", f"{tenant}.proposed", fact)
        upload = receive(b"unit,UA01\nX,1\n", "a.csv", round_=town.round, scale=1, by=town.entry)
        self.add("upload", f"{tenant}.upload", upload)

    def _returns(self, tenant: str, town, units) -> None:
        def drafted(label, schedule, subject, by) -> Return:
            outcome = save_drafts(
                round_=town.round,
                schedule_code=schedule,
                rows=[Row(subject, dict(self.values(tenant, label, schedule)), "row 2")],
                by=by,
                channel="file",
                keep_failing=True,
            )
            assert not outcome.refused, [str(problem) for problem in outcome.refused]
            ret = outcome.returns[0]
            self.add("return", f"{tenant}.{label}", ret)
            return ret

        def handed_in(ret, by) -> Return:
            submit([ret], by=by, certified_name="A. Person")
            seen_by_checks(ret)
            return ret

        drafted("draft", "UNIT", units["draft"].frame_id, town.entry)
        review = handed_in(drafted("review", "UNIT", units["review"].frame_id, town.entry), town.head)
        accepted = handed_in(drafted("accepted", "UNIT", units["accepted"].frame_id, town.entry), town.head)
        accept([accepted], by=town.supervisor)
        ask_reopening(accepted, by=town.supervisor, reason="A line was read in thousands, not in lakh.")
        for label in ("linked", "sealed", "shared"):
            token = make_link(units[label], town.round, by=town.head)
            link = UnitLink.objects.get(token_digest=digest_of(token))
            open_link(link)
            ret = drafted(label, "UNIT", units[label].frame_id, link.user)
            if label == "linked":
                town.holder = link.user
                self.tokens[tenant] = token
            else:
                share(ret, by=link.user, shared=label == "shared")
                handed_in(Return.objects.get(pk=ret.pk), link.user)
        drafted("association", "ASSOCIATION", f"{town.cluster.code}/{town.association.slug}", town.entry)
        drafted("cluster", "CLUSTER", town.cluster.code, town.staff)
        drafted("region", "REGION", town.cluster.region_id, town.staff)
        for label, ret in self.objects["return"].items():
            ret.refresh_from_db()
            if label.startswith(tenant) and label.split(".")[1] in ("review", "sealed"):
                asked = ask(ret, by=town.supervisor, question="UC01", text="Is the subsidy part of these sales?")
                self.add("query", f"{tenant}.{label.split('.')[1]}", asked)
        assert review.state == Return.State.SUBMITTED

    # --- what the office holds, and what is public

    def _offices(self) -> None:
        embargoed = self.edition("2026", 2026, 0, "candidate")
        Edition.objects.filter(pk=embargoed.pk).update(
            state="scheduled", release_at=timezone.now() + dt.timedelta(days=7)
        )
        embargoed.refresh_from_db()
        PreRelease.objects.create(
            edition=embargoed, user=self.viewer, office="Press office", reason="Briefing", granted_by=self.analyst
        )
        for edition in Edition.objects.all():
            side = "public" if edition.state in ("published", "superseded") else "office"
            label = "under_embargo" if edition.state == "scheduled" else edition.label
            self.add("edition", f"{side}.{label}", edition)
        for release in self.round.releases.all():
            self.add("release", f"public.{release.pk}", release)
        for intervention in Intervention.objects.all():
            side = "public" if intervention.is_published else "office"
            self.add("intervention", f"{side}.{intervention.pk}", intervention)
        self.add("round", "public.2026", self.round)

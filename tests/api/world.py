"""A small world for the API: clusters with editions behind them, some public, some not, with figures to look for."""

import datetime as dt

from django.utils import timezone

from cci.models import Edition, Erratum, Methodology, Release, Score, Standing
from cci.services import register_methodology
from clusters.models import AreaOfWork, ClusterAlias, OrganisationAlias, ProfileFact, Source
from facts.models import Indicator, IndicatorValue, Snapshot
from facts.services.values import register_indicators
from interventions.models import BudgetLine, Intervention, Scheme
from tests.factories import ClusterFactory, OrganisationFactory, Town, before_publication, open_round, person

# Figures that must never come out: the exact value, the exact count, a score's decimals, figures of a candidate.
EXACT_VALUE, EXACT_UNITS, EXACT_SCORE, CANDIDATE_SHOWN, CANDIDATE_SCORE = 41234.5678, 8731, 61.7391, 77777.0, 33.0
CANARIES = ("41234.5", "8731", "61.73", "77777", "rumour", "HIDDEN", "candidate")
NODES = ("CCI", "O", "H", "S", "L", "R", "O1")


class World(Town):
    """A town whose round 2025 has a published edition, 2024 a superseded and a published one, 2026 a candidate."""

    def __init__(self):
        super().__init__()
        register_methodology("1.0")
        register_indicators()
        self.client = person("client", self.association)
        self.analyst, self.auditor = person("analyst"), person("auditor")
        self.viewer, self.admin = person("viewer"), person("admin")
        self.other = Town()
        self.hidden = ClusterFactory(code="PK-HIDDEN-1", name="HIDDEN cluster", is_published=False)
        self.closed = {year: open_round(year, state="closed", is_synthetic=True) for year in (2024, 2025)}
        self.editions = {
            "2025": self.edition("2025", 2025, 0, "published"),
            "2024": self.edition("2024", 2024, 0, "superseded"),
            "2024.1": self.edition("2024.1", 2024, 1, "published"),
            "2025.1": self.edition("2025.1", 2025, 1, "candidate"),
            "2026-provisional": self.edition("2026-provisional", 2026, None, "candidate"),
        }
        Release.objects.create(
            round=self.round,
            title="Index 2026",
            planned_at=timezone.now() + dt.timedelta(days=90),
            announced_by=self.analyst,
        )
        Erratum.objects.create(
            edition=self.editions["2024"],
            kind="data",
            text="Sales of one cluster were taken twice.",
            effect="Its score falls by two points.",
            corrected_in=self.editions["2024.1"],
            written_by=self.analyst,
        )
        self.source = Source.objects.create(code="a-source", citation="A source")
        self.area = AreaOfWork.objects.create(code="cap", name="Capacity", position=1)
        self.scheme = Scheme.objects.create(slug="a-scheme", name="A scheme", owner=self.agency)
        for cluster in (self.cluster, self.other.cluster, self.hidden):
            self.furnish(cluster)
        ProfileFact.objects.create(
            cluster=self.cluster, section="size", label="firms", value="rumour", source="x", state="proposed"
        )

    def edition(self, label, year, revision, state) -> Edition:
        round_ = self.round if year == 2026 else self.closed[year]
        snapshot = Snapshot.objects.create(
            round=round_, digest=f"snapshot-{label}", taken_at=timezone.now(), is_synthetic=True
        )
        return Edition.objects.create(
            round=round_,
            methodology=Methodology.objects.get(),
            snapshot=snapshot,
            revision=revision,
            label=label,
            state=state,
            is_provisional=revision is None,
            revision_kind="data" if label == "2024.1" else "",
            revision_note="Late returns came in." if label == "2024.1" else "",
            digest=f"digest-{label}",
            summary={"clusters": 3, "ranked": 2, "units": EXACT_UNITS},
            report={"note": "rumour"},
            is_synthetic=True,
            computed_at=timezone.now(),
        )

    def furnish(self, cluster, *, is_ranked=True) -> None:
        """Give a cluster aliases, organisations, interventions, values and scores in every edition."""
        ClusterAlias.objects.create(cluster=cluster, name=f"Old {cluster.code}")
        cluster.sources.add(self.source)
        ProfileFact.objects.create(
            cluster=cluster, section="size", label="firms", value="340", source="A source", state="published"
        )
        agency = OrganisationFactory(name=f"Agency {cluster.pk}", kind="government agency", country_id="PK")
        OrganisationAlias.objects.create(organisation=agency, name=f"Alias of {agency.slug}")
        agency.areas.add(self.area)
        intervention = Intervention.objects.create(
            code=f"I-{cluster.code}"[:20],
            title=f"Help for {cluster.name}",
            kind="soft",
            lead=agency,
            scheme=self.scheme,
            starts_on=dt.date(2020, 1, 1),
            is_published=cluster.is_published,
        )
        intervention.clusters.add(cluster, self.cluster)
        intervention.areas.add(self.area)
        BudgetLine.objects.create(
            intervention=intervention, amount="235000.50", currency="USD", as_printed="$ 235,000.50"
        )
        indicators = list(Indicator.objects.order_by("position")[:2])
        values, scores, standings = [], [], []
        for edition in self.editions.values():
            is_public = edition.state in ("published", "superseded")
            values += [
                IndicatorValue(
                    snapshot=edition.snapshot,
                    cluster=cluster,
                    indicator=indicator,
                    value=EXACT_VALUE,
                    shown=41200.0 if is_public else CANDIDATE_SHOWN,
                    status="A",
                    n_units=EXACT_UNITS,
                    coverage=0.8317,
                )
                for indicator in indicators
            ]
            for place, node in enumerate(NODES):
                has_interval = node == "CCI" and is_ranked
                scores.append(
                    Score(
                        edition=edition,
                        cluster=cluster,
                        node=node,
                        value=EXACT_SCORE + place if is_public else CANDIDATE_SCORE,
                        rank=cluster.pk if is_ranked else None,
                        n_ranked=2,
                        rank_low=1 if has_interval else None,
                        rank_high=2 if has_interval else None,
                        coverage=0.98765,
                    )
                )
            standings.append(
                Standing(
                    edition=edition,
                    cluster=cluster,
                    is_ranked=is_ranked,
                    reason="" if is_ranked else "response",
                    response_share=0.51234,
                    n_units=EXACT_UNITS,
                )
            )
        with before_publication():
            IndicatorValue.objects.bulk_create(values)
            Score.objects.bulk_create(scores)
            Standing.objects.bulk_create(standings)

    def people(self) -> dict:
        return {
            "anonymous": None,
            "viewer": self.viewer,
            "entry": self.entry,
            "head": self.head,
            "staff": self.staff,
            "supervisor": self.supervisor,
            "analyst": self.analyst,
            "auditor": self.auditor,
            "client": self.client,
            "admin": self.admin,
        }

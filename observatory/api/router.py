"""The API's table of contents: every endpoint on one screen."""

from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.routers import APIRootView, DefaultRouter

from cci import api as cci
from cci import api_releases as releases
from clusters import api as clusters
from facts import api as facts
from interventions import api as interventions

from .conventions import Negotiation, conventional
from .pagination import Cursor, Pages

ENDPOINTS = [
    # what exists
    ("regions", clusters.RegionViewSet, Pages),
    ("sectors", clusters.SectorViewSet, Pages),
    ("clusters", clusters.ClusterViewSet, Pages),
    ("units", clusters.UnitViewSet, Cursor),
    ("associations", clusters.AssociationViewSet, Pages),
    ("agencies", clusters.AgencyViewSet, Pages),
    # what was observed
    ("rounds", facts.RoundViewSet, Pages),
    ("instruments", facts.InstrumentViewSet, Pages),
    ("questions", facts.QuestionViewSet, Pages),
    ("returns", facts.ReturnViewSet, Cursor),
    ("indicators", facts.IndicatorViewSet, Pages),
    # what it amounts to
    ("indicator-values", cci.IndicatorValueViewSet, Cursor),
    ("editions", cci.EditionViewSet, Pages),
    ("scores", cci.ScoreViewSet, Cursor),
    ("rankings", cci.RankingViewSet, Pages),
    ("releases", releases.ReleaseViewSet, Pages),
    ("errata", releases.ErratumViewSet, Pages),
    ("revision-changes", releases.RevisionChangeViewSet, Pages),
    # what is done about it
    ("interventions", interventions.InterventionViewSet, Pages),
    ("schemes", interventions.SchemeViewSet, Pages),
]


class Root(APIRootView):
    """The addresses of all endpoints."""

    policy_actions = {"get": "site.read"}
    permission_classes = [AllowAny]  # it holds nothing but addresses; another verb is 405, not 401
    content_negotiation_class = Negotiation
    renderer_classes = [JSONRenderer]
    metadata_class = None


class Router(DefaultRouter):
    APIRootView = Root
    include_format_suffixes = False


router = Router()
for prefix, viewset, pages in ENDPOINTS:
    router.register(prefix, conventional(viewset, pages), basename=prefix)

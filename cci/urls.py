from django.urls import path

from .views import (
    benchmark,
    decisions,
    eligibility,
    explanation,
    methodologies,
    methodology_page,
    public,
    ranking,
    releases,
)
from .views.desk import board, readings, run

app_name = "cci"
urlpatterns = [
    # public
    path("cci/", public.Latest.as_view(), name="latest"),
    path("cci/releases/", releases.Calendar.as_view(), name="releases"),
    path("cci/errata/", releases.Errata.as_view(), name="errata"),
    path("cci/<str:label>/", ranking.Ranking.as_view(), name="ranking"),
    path("cci/<str:label>/changes/", releases.RevisionChanges.as_view(), name="changes"),
    path("cci/<str:label>/record/", releases.EditionRecord.as_view(), name="record"),
    path(
        "cci/<str:label>/methodology/changes/",
        methodologies.PublicDifference.as_view(),
        name="methodology-changes",
    ),
    path("cci/<str:label>/clusters/<str:code>/", explanation.WhyItStandsHere.as_view(), name="explanation"),
    path("cci/<str:label>/eligibility/", eligibility.Eligibility.as_view(), name="eligibility"),
    path("cci/<str:label>/methodology/", methodology_page.MethodologyPage.as_view(), name="methodology"),
    # workspace
    path("workspace/benchmark/<str:code>/", benchmark.ClusterSheet.as_view(), name="cluster-benchmark"),
    path("workspace/editions/", board.EditionList.as_view(), name="editions"),
    path("workspace/editions/recompute/", board.Recompute.as_view(), name="recompute"),
    path("workspace/editions/close-round/", board.CloseRound.as_view(), name="close-round"),
    path("workspace/editions/<int:pk>/", run.EditionPage.as_view(), name="edition"),
    path("workspace/editions/<int:pk>/cancel/", run.CancelRun.as_view(), name="edition-cancel"),
    path("workspace/editions/<int:pk>/verify/", run.Verify.as_view(), name="edition-verify"),
    path("workspace/editions/<int:pk>/results/", readings.Results.as_view(), name="edition-results"),
    path("workspace/editions/<int:pk>/robustness/", readings.Robustness.as_view(), name="edition-robustness"),
    path("workspace/editions/<int:pk>/coherence/", readings.Coherence.as_view(), name="edition-coherence"),
    path("workspace/editions/<int:pk>/record/", readings.Record.as_view(), name="edition-record"),
    path("workspace/editions/<int:pk>/pre-release/", decisions.PreReleaseList.as_view(), name="pre-releases"),
    path("workspace/editions/errata/<str:label>/", releases.WriteErratum.as_view(), name="erratum-new"),
    path("workspace/pre-release/<str:label>/", releases.PreReleasePage.as_view(), name="pre-release"),
    path("workspace/releases/", releases.ReleaseList.as_view(), name="release-list"),
    path("workspace/releases/<int:pk>/", releases.ReleasePage.as_view(), name="release"),
    path("workspace/methodologies/", methodologies.MethodologyList.as_view(), name="methodologies"),
    path("workspace/methodologies/<str:version>/", methodologies.MethodologyPage.as_view(), name="methodology-of"),
    path(
        "workspace/methodologies/<str:version>/difference/",
        methodologies.Difference.as_view(),
        name="methodology-difference",
    ),
    path("workspace/methodologies/<str:version>/effect/", methodologies.Effect.as_view(), name="methodology-effect"),
]

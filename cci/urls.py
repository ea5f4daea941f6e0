from django.urls import path

from .views import benchmark, editions, eligibility, public

app_name = "cci"
urlpatterns = [
    # public
    path("cci/", public.Latest.as_view(), name="latest"),
    path("cci/<str:label>/", public.Ranking.as_view(), name="ranking"),
    path("cci/<str:label>/eligibility/", eligibility.Eligibility.as_view(), name="eligibility"),
    path("cci/<str:label>/methodology/", public.MethodologyPage.as_view(), name="methodology"),
    # workspace
    path("workspace/benchmark/<str:code>/", benchmark.ClusterSheet.as_view(), name="cluster-benchmark"),
    path("workspace/editions/", editions.EditionList.as_view(), name="editions"),
    path("workspace/editions/recompute/", editions.Recompute.as_view(), name="recompute"),
    path("workspace/editions/close-round/", editions.CloseRound.as_view(), name="close-round"),
    path("workspace/editions/<int:pk>/", editions.EditionPage.as_view(), name="edition"),
]

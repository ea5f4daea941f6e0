from django.urls import path

from .views import editions, public

app_name = "cci"
urlpatterns = [
    # public
    path("cci/", public.Latest.as_view(), name="latest"),
    path("cci/<str:label>/", public.Ranking.as_view(), name="ranking"),
    path("cci/<str:label>/methodology/", public.MethodologyPage.as_view(), name="methodology"),
    # workspace
    path("workspace/editions/", editions.EditionList.as_view(), name="editions"),
    path("workspace/editions/recompute/", editions.Recompute.as_view(), name="recompute"),
    path("workspace/editions/close-round/", editions.CloseRound.as_view(), name="close-round"),
    path("workspace/editions/<int:pk>/", editions.EditionPage.as_view(), name="edition"),
]

from django.urls import path

from .views import public, workspace

app_name = "clusters"
urlpatterns = [
    # public
    path("clusters/", public.ClusterList.as_view(), name="list"),
    path("agencies/", public.AgencyMatrix.as_view(), name="agencies"),
    path("agencies/<slug:slug>/", public.OrganisationPage.as_view(), name="organisation"),
    # workspace
    path("workspace/profiles/", workspace.ProfileList.as_view(), name="profiles"),
    path("workspace/profiles/<str:code>/", workspace.ProfileEntry.as_view(), name="profile"),
    path("workspace/facts/<int:pk>/", workspace.FactDecision.as_view(), name="fact-decision"),
]

"""The map of the site."""

from django.urls import include, path

from observatory.style_guide import StyleGuide
from observatory.views import health, home, profile, workspace

urlpatterns = [
    path("", home.Home.as_view(), name="home"),
    path("clusters/<str:code>/", profile.ClusterProfile.as_view(), name="cluster"),
    path("workspace/", workspace.Workspace.as_view(), name="workspace"),
    path("accounts/", include("core.accounts.urls")),
    path("", include("clusters.people_urls")),
    path("", include("clusters.urls")),
    path("", include("facts.urls")),
    path("", include("cci.urls")),
    path("", include("interventions.urls")),
    path("api/", include("observatory.api.urls")),
    path("style-guide/", StyleGuide.as_view(), name="style-guide"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
handler403 = "observatory.views.errors.forbidden"
handler404 = "observatory.views.errors.not_found"
handler500 = "observatory.views.errors.broken"

"""Addresses under /api/."""

from django.urls import include, path, re_path

from . import views
from .router import router

urlpatterns = [
    path("", views.Documentation.as_view(), name="api-docs"),
    path("docs/", views.Interactive.as_view(), name="api-interactive"),
    path("schema/", views.Schema.as_view(), name="api-schema"),
    path("v1/", include((router.urls, "v1"))),
    re_path("", views.unknown),
]

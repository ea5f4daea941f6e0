from django.urls import path

from .views import public

app_name = "interventions"
urlpatterns = [
    path("interventions/", public.InterventionList.as_view(), name="list"),
    path("interventions/<int:pk>/", public.InterventionPage.as_view(), name="detail"),
]

from django.urls import path

from .views import people

app_name = "people"
urlpatterns = [
    path("accounts/invitation/<str:token>/", people.Accept.as_view(), name="accept"),
    # workspace
    path("workspace/people/", people.People.as_view(), name="list"),
    path("workspace/people/invite/", people.Invite.as_view(), name="invite"),
    path("workspace/people/offers/<int:pk>/", people.DecideOffer.as_view(), name="offer"),
    path("workspace/people/<int:pk>/", people.ChangePerson.as_view(), name="person"),
    path("workspace/clients/", people.Clients.as_view(), name="clients"),
    path("workspace/clients/new/", people.NewClient.as_view(), name="new-client"),
    path("workspace/clients/<int:pk>/", people.ChangeClient.as_view(), name="client"),
]

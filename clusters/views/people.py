"""People of an organisation and their invitations; keys of partner systems; the page behind an invitation."""

from django import forms
from django.contrib import messages
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.generic import FormView, TemplateView, View

from clusters import people
from clusters.models import Membership
from core import policy
from core.accounts import clients
from core.accounts.forms import password_field
from core.accounts.models import ApiClient, Invitation, User
from core.accounts.sessions import Reauthenticated, ask_again, is_sure
from core.accounts.views import keep_to_ourselves
from core.base import DomainError
from core.policy.views import PolicyMixin

PAGE = 50
WAITING = [Invitation.State.PROPOSED, Invitation.State.OPEN]


class People(PolicyMixin, TemplateView):
    """Who holds which role, and who is invited to one."""

    action = "people.manage"
    template_name = "accounts/people.html"

    def get_context_data(self, **kwargs):
        held = self.in_scope(Membership.objects.filter(people.current()).select_related("user", "organisation"))
        offers = self.in_scope(Invitation.objects.filter(state__in=WAITING).select_related("organisation", "made_by"))
        page = Paginator(held.order_by("organisation__name", "role", "pk"), PAGE)
        user, now = self.request.user, timezone.now()
        page = page.get_page(self.request.GET.get("page"))
        for one in page:
            one.words = people.WORDS[one.role]
        return super().get_context_data(**kwargs) | {
            "page": page,
            "offers": [
                {
                    "offer": one,
                    "words": people.WORDS[one.role],
                    "is_proposed": one.state == Invitation.State.PROPOSED,
                    "is_own": one.made_by_id == user.pk,
                    "is_over": one.expires_at is not None and one.expires_at <= now,
                }
                for one in offers.order_by("-made_at", "pk")
            ],
            "sees_clients": policy.allowed(user, "api_client.manage"),
            "forgets_second_factor": policy.allowed(user, "second_factor.forget"),
        }


class InviteForm(forms.Form):
    email = forms.EmailField(label="E-mail address", widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(label="Role")
    organisation = forms.ModelChoiceField(None, label="Organisation", required=False, empty_label="The office itself")

    def __init__(self, *args, by, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [(role.value, people.WORDS[role]) for role in people.roles_to_give(by)]
        organisation, found = self.fields["organisation"], people.organisations_for(by)
        organisation.queryset = found
        if not policy.allowed(by, "second_factor.forget"):  # not an administrator: nobody is invited into the office
            organisation.required, organisation.empty_label = True, None


class Invite(Reauthenticated, PolicyMixin, FormView):
    action = "people.manage"
    template_name = "accounts/invite.html"
    form_class = InviteForm

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"by": self.request.user}

    def form_valid(self, form):
        given = form.cleaned_data
        try:
            offer = people.invite(given["email"], given["role"], given["organisation"], by=self.request.user)
        except DomainError as refusal:
            form.add_error(None, str(refusal))
            return self.form_invalid(form)
        if offer.state == Invitation.State.PROPOSED:
            said = "Proposed. Another administrator confirms it; then the invitation goes out."
        else:
            said = f"An invitation goes out to {offer.email}. It can be taken up for seven days."
        messages.success(self.request, said)
        return redirect("people:list")


class Act(PolicyMixin, View):
    """One press on a row of a list: `acts` says which words lead to which service."""

    http_method_names = ["post"]
    back = "people:list"
    acts: dict

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated and not is_sure(request):
            return redirect(f"{reverse('accounts:again')}?next={reverse(self.back)}")
        return super().dispatch(request, *args, **kwargs)

    def post(self, request, pk):
        act = self.acts.get(request.POST.get("act", ""))
        found = self.fetch(self.queryset(), pk=pk)
        if act is None:
            messages.error(request, "Nothing was done: the press said nothing that this page knows.")
            return redirect(self.back)
        try:
            said = act(self, found)
        except DomainError as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, said)
        return redirect(self.back)


class DecideOffer(Act):
    action = "people.manage"

    def queryset(self):
        return Invitation.objects.select_related("organisation")

    def confirm(self, offer):
        people.confirm(offer, by=self.request.user)
        return f"Confirmed. An invitation goes out to {offer.email}."

    def withdraw(self, offer):
        people.withdraw(offer, by=self.request.user)
        return "Withdrawn. Its link opens nothing any more."

    acts = {"confirm": confirm, "withdraw": withdraw}


class ChangePerson(Act):
    action = "people.manage"

    def queryset(self):
        return Membership.objects.select_related("user", "organisation")

    def end(self, membership):
        people.end_membership(membership, by=self.request.user)
        return f"{membership.user} no longer holds this role."

    def forget(self, membership):
        if not policy.allowed(self.request.user, "second_factor.forget", membership):
            raise PermissionDenied("This account may not do that.")
        people.forget_second_factor(membership, by=self.request.user)
        return f"{membership.user} sets up a new second factor at the next sign-in."

    acts = {"end": end, "forget": forget}


# --- Partner systems ----------------------------------------------------------------------------------


class Clients(PolicyMixin, TemplateView):
    action = "api_client.manage"
    template_name = "accounts/clients.html"

    def get_context_data(self, **kwargs):
        found = self.in_scope(ApiClient.objects.select_related("organisation", "made_by"))
        return super().get_context_data(**kwargs) | {
            "clients": found.order_by("revoked_at", "organisation__name", "name", "pk")[:500],
            "now": timezone.now(),
            "sees_people": policy.allowed(self.request.user, "people.manage"),
        }


class ClientForm(forms.Form):
    organisation = forms.ModelChoiceField(None, label="Organisation", empty_label=None)
    name = forms.CharField(label="Name of the partner system", max_length=80)
    scopes = forms.MultipleChoiceField(
        label="What its key is for", choices=list(clients.SCOPES.items()), widget=forms.CheckboxSelectMultiple
    )
    days = forms.IntegerField(
        label="Works for so many days",
        min_value=1,
        max_value=clients.LONGEST_DAYS,
        initial=clients.LONGEST_DAYS,
        help_text=f"At most {clients.LONGEST_DAYS}.",
    )

    def __init__(self, *args, by, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["organisation"].queryset = people.organisations_with_clients(by)


@method_decorator(never_cache, name="dispatch")
class NewClient(Reauthenticated, PolicyMixin, FormView):
    action = "api_client.manage"
    template_name = "accounts/client_new.html"
    form_class = ClientForm

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"by": self.request.user}

    @sensitive_variables()
    def form_valid(self, form):
        given = form.cleaned_data
        try:
            client, key = people.add_client(
                given["organisation"],
                name=given["name"],
                scopes=given["scopes"],
                days=given["days"],
                by=self.request.user,
            )
        except DomainError as refusal:
            form.add_error(None, str(refusal))
            return self.form_invalid(form)
        return render(self.request, "accounts/client_key.html", {"client": client, "key": key})


@method_decorator(never_cache, name="dispatch")
class ChangeClient(Act):
    action = "api_client.manage"
    back = "people:clients"

    def queryset(self):
        return ApiClient.objects.select_related("organisation")

    @sensitive_variables()
    def post(self, request, pk):
        if request.POST.get("act") != "rotate":
            return super().post(request, pk)
        client = self.fetch(self.queryset(), pk=pk)
        try:
            key = clients.rotate(client, by=request.user)
        except DomainError as refusal:
            messages.error(request, str(refusal))
            return redirect(self.back)
        return render(request, "accounts/client_key.html", {"client": client, "key": key, "is_new": False})

    def revoke(self, client):
        clients.revoke(client, by=self.request.user)
        return f"{client} was ended. Its key is refused from now on."

    acts = {"revoke": revoke}


# --- The page behind an invitation ----------------------------------------------------------------------


class NewPersonForm(forms.Form):
    """Name and password of a new account."""

    username = forms.CharField(
        label="User name",
        max_length=150,
        validators=[UnicodeUsernameValidator()],
        help_text="Letters, digits and @ . + - _",
        widget=forms.TextInput(attrs={"autocomplete": "username"}),
    )
    display_name = forms.CharField(
        label="Your name", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = password_field("Password", "new-password", help_text="At least 12 characters.")
    again = password_field("The same once more", "new-password")

    def clean(self):
        given = super().clean()
        password = given.get("password")
        if password and given.get("again") is not None and password != given["again"]:
            self.add_error("again", "The two are not the same.")
        elif password:
            person = User(username=given.get("username", ""), display_name=given.get("display_name", ""))
            try:
                validate_password(password, person)
            except ValidationError as refused:
                self.add_error("password", refused)
        return given


@method_decorator([never_cache, sensitive_post_parameters(), sensitive_variables("token")], name="dispatch")
class Accept(PolicyMixin, FormView):
    """Take a role up: with the account one is signed in with, or with a new one. Looking uses nothing up."""

    action = "site.read"
    template_name = "accounts/accept.html"
    form_class = NewPersonForm

    def dispatch(self, request, *args, **kwargs):
        self.offer = people.open_offer(kwargs["token"])
        if self.offer is None:
            response = render(request, "accounts/link_gone.html", status=404)
        else:
            response = super().dispatch(request, *args, **kwargs)
        return keep_to_ourselves(response)

    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs) | {"offer": self.offer, "words": people.WORDS[self.offer.role]}

    def post(self, request, *args, **kwargs):
        if request.user.is_authenticated and not request.user.has_usable_password():
            raise PermissionDenied("A personal link takes up no role.")
        if request.user.is_authenticated and not is_sure(request):
            return ask_again(request)
        if request.user.is_authenticated:
            return self._take_up(None, user=request.user)
        return super().post(request, *args, **kwargs)

    @sensitive_variables()
    def form_valid(self, form):
        given = form.cleaned_data
        return self._take_up(
            form, username=given["username"], display_name=given["display_name"], password=given["password"]
        )

    def _take_up(self, form, **who):
        try:
            people.accept(self.offer, **who)
        except DomainError as refusal:
            if form is None:
                messages.error(self.request, str(refusal))
                return redirect("workspace")
            form.add_error(None, str(refusal))
            return self.form_invalid(form)
        messages.success(self.request, "The role is yours. " + ("Sign in." if form is not None else ""))
        return redirect("workspace")

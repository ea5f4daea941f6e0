"""Who belongs to which organisation: invited, taken up, ended; and the accounts of partner systems.

An offer gives nothing until it is taken up over its link. The office's roles take two administrators.
"""

import secrets
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from core import policy
from core.accounts import clients, mail, second_factor
from core.accounts.links import digest_of
from core.accounts.models import PERSONAL_ROLES, ApiClient, Invitation
from core.accounts.permissions import INVITES
from core.accounts.sessions import end_sessions
from core.audit.models import record
from core.base import Conflict, DomainError
from core.jobs import ledger
from core.policy import Role

from .models import Membership, Organisation

User = get_user_model()
BY_TWO = frozenset({Role.ANALYST, Role.AUDITOR, Role.ADMIN})
OFFICE = BY_TWO | {Role.VIEWER}  # roles without an organisation
WORDS = {
    Role.VIEWER: "Reader",
    Role.ENTRY: "Types in returns",
    Role.HEAD: "Head: certifies and submits",
    Role.STAFF: "Agency staff",
    Role.SUPERVISOR: "Agency supervisor: reviews",
    Role.ANALYST: "Analyst of the cell",
    Role.AUDITOR: "Auditor",
    Role.ADMIN: "Administrator",
    Role.CLIENT: "Partner system",
    Role.LINK: "Personal link",
}


def current() -> "Q":
    """Memberships that count today."""
    return Q(ends_on=None) | Q(ends_on__gte=timezone.localdate())


# --- Offers -----------------------------------------------------------------------------------------


def roles_to_give(by) -> list[Role]:
    """The roles that a person may offer, in the order of the matrix."""
    held = {grant.role for grant in policy.grants_of(by)}
    if Role.ADMIN in held:
        return list(PERSONAL_ROLES)
    return [role for role in PERSONAL_ROLES if any(role in INVITES.get(one, ()) for one in held)]


def organisations_for(by):
    """The organisations into which a person may invite."""
    grants = policy.grants_of(by)
    if any(grant.role == Role.ADMIN for grant in grants):
        return Organisation.objects.filter(merged_into=None).order_by("name", "pk")
    own = [grant.organisation_id for grant in grants if grant.role in INVITES]
    return Organisation.objects.filter(pk__in=own).order_by("name", "pk")


def may_give(by, role: Role, organisation: Organisation | None) -> bool:
    """Whether a person may offer this role in this organisation."""
    for grant in policy.grants_of(by):
        if grant.role == Role.ADMIN and role in PERSONAL_ROLES:
            return True
        is_own = organisation is not None and grant.organisation_id == organisation.pk
        if is_own and role in INVITES.get(grant.role, ()):
            return True
    return False


@transaction.atomic
def invite(email: str, role: str, organisation: Organisation | None, *, by) -> Invitation:
    """Offer a role to whoever reads an address. A role of the office waits for a second administrator.

    The answer is the same whether or not somebody with this address has an account.
    """
    role = Role(role)
    if (role in OFFICE) != (organisation is None):
        need = "belongs to the office: leave the organisation out" if role in OFFICE else "needs an organisation"
        raise DomainError(f"The role “{WORDS[role]}” {need}.")
    if not may_give(by, role, organisation):
        raise DomainError(f"You may not offer the role “{WORDS[role]}” there.")
    state = Invitation.State.PROPOSED if role in BY_TWO else Invitation.State.OPEN
    offer = Invitation(email=email.strip().lower(), role=role, organisation=organisation, state=state, made_by=by)
    _drop_expired(offer)
    try:
        offer.full_clean()
    except ValidationError as refused:
        raise DomainError(" ".join(refused.messages)) from None
    offer.save()
    record("people.invite", offer, by=by, role=role.value, organisation=organisation.slug if organisation else "")
    if state == Invitation.State.OPEN:
        _send(offer)
    return offer


def _drop_expired(offer: Invitation) -> None:
    """An offer that ran out makes room for a new one."""
    same = Invitation.objects.filter(email=offer.email, role=offer.role, organisation=offer.organisation)
    same.filter(state=Invitation.State.OPEN, expires_at__lte=Now()).update(state=Invitation.State.WITHDRAWN)


def _send(offer: Invitation) -> None:
    ledger.enqueue("accounts.send_invitation", key=str(offer.pk), invitation=offer.pk)


@transaction.atomic
def confirm(offer: Invitation, *, by) -> None:
    """The second administrator's word for a role of the office; then the message goes out."""
    if not may_give(by, Role(offer.role), None):
        raise DomainError("Only an administrator confirms a role of the office.")
    if offer.made_by_id == by.pk:
        raise DomainError("You proposed this yourself. Another administrator confirms it.")
    waiting = Invitation.objects.filter(pk=offer.pk, state=Invitation.State.PROPOSED)
    if not waiting.update(state=Invitation.State.OPEN, confirmed_by=by):
        raise Conflict("This proposal was confirmed or withdrawn in the meantime.")
    record("people.confirm", offer, by=by, role=offer.role)
    _send(offer)


@transaction.atomic
def withdraw(offer: Invitation, *, by) -> None:
    """Take an offer back; its link opens nothing any more."""
    waiting = Invitation.objects.filter(pk=offer.pk, state__in=[Invitation.State.PROPOSED, Invitation.State.OPEN])
    if not waiting.update(state=Invitation.State.WITHDRAWN, digest=None):
        raise Conflict("This invitation was taken up or withdrawn in the meantime.")
    record("people.withdraw", offer, by=by, role=offer.role)


def open_offer(token: str) -> Invitation | None:
    """The offer behind a link, while the link lives by the database's clock. One query."""
    return (
        Invitation.objects.select_related("organisation", "made_by")
        .filter(digest=digest_of(token), state=Invitation.State.OPEN, expires_at__gt=Now())
        .first()
    )


@transaction.atomic
def accept(offer: Invitation, *, user=None, username: str = "", display_name: str = "", password: str = ""):
    """Take an offer up, once: with the account one has, or with a new one. Returns the account.

    Sessions of the account end where the role asks for a second factor: the next sign-in sets it up.
    """
    taken = Invitation.objects.filter(pk=offer.pk, state=Invitation.State.OPEN, expires_at__gt=Now())
    if not taken.update(state=Invitation.State.ACCEPTED, digest=None):
        raise Conflict("This invitation was taken up already, or is too old. Ask for a new one.")
    if user is None:
        user = _new_person(username, display_name, password, offer.email)
    Invitation.objects.filter(pk=offer.pk).update(user=user)
    Membership.objects.update_or_create(
        user=user, organisation=offer.organisation, role=offer.role, defaults={"ends_on": None}
    )
    if Role(offer.role) in second_factor.REQUIRED and not second_factor.is_set_up(user):
        end_sessions(user)
    record("people.accept", offer, by=user, role=offer.role)
    return user


def _new_person(username: str, display_name: str, password: str, email: str):
    if "@" in username and username.lower() != email:
        raise DomainError(
            f"The user name {username} is an address that was not invited. Take {email}, or a plain name."
        )
    user = User(username=username, display_name=display_name, email=email)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        raise DomainError(f"The user name {username} is taken. Choose another.") from None
    return user


@transaction.atomic
def end_membership(membership: Membership, *, by) -> None:
    """End a role today. The person's sessions end, and the offers they made there are withdrawn."""
    if membership.user_id == by.pk:
        raise DomainError("You do not end your own role. Ask a colleague.")
    if membership.role == Role.ADMIN:
        # Both administrators are locked, so that two who end one another at once do not leave nobody.
        admins = Membership.objects.select_for_update().filter(current(), role=Role.ADMIN, user__is_active=True)
        if len(set(admins.values_list("user", flat=True)) - {membership.user_id}) == 0:
            raise DomainError("This is the last administrator. Invite another one first.")
    yesterday = timezone.localdate() - timedelta(days=1)
    if not Membership.objects.filter(current(), pk=membership.pk).update(ends_on=yesterday):
        raise Conflict("This role was ended in the meantime.")
    made = Invitation.objects.filter(
        made_by=membership.user, state__in=[Invitation.State.PROPOSED, Invitation.State.OPEN]
    )
    if membership.organisation_id is not None:
        made = made.filter(organisation=membership.organisation)
    made.update(state=Invitation.State.WITHDRAWN, digest=None)
    end_sessions(membership.user)
    record("people.end", membership, by=by, role=membership.role)
    mail.tell(membership.user, "A role")


@transaction.atomic
def forget_second_factor(membership: Membership, *, by) -> None:
    """For somebody who lost telephone and recovery codes: the next sign-in sets up a new authenticator."""
    if membership.user_id == by.pk:
        raise DomainError("You do not take your own second factor away here. Ask a colleague.")
    second_factor.forget(membership.user, by=by)
    mail.tell(membership.user, "The second factor")


# --- Partner systems ----------------------------------------------------------------------------------


def organisations_with_clients(by):
    """The organisations for which a person may make keys."""
    grants = policy.grants_of(by)
    row = policy.matrix()["api_client.manage"]
    if any(grant.role == Role.ADMIN for grant in grants):
        return Organisation.objects.filter(merged_into=None).order_by("name", "pk")
    own = [grant.organisation_id for grant in grants if grant.role in row and grant.organisation_id]
    return Organisation.objects.filter(pk__in=own).order_by("name", "pk")


@transaction.atomic
def add_client(organisation: Organisation, *, name: str, scopes: list[str], days: int, by) -> tuple[ApiClient, str]:
    """Make a partner system's account and key. Returns both; the key is shown this once."""
    if not organisations_with_clients(by).filter(pk=organisation.pk).exists():
        raise DomainError(f"You may not make a key for {organisation}.")
    if not name.strip():
        raise DomainError("Give the partner system a name.")
    user = User(username=f"client-{secrets.token_hex(8)}", display_name=name.strip()[:80])
    user.set_unusable_password()
    user.save()
    Membership.objects.create(user=user, organisation=organisation, role=Role.CLIENT)
    return clients.create_client(
        user, organisation_id=organisation.pk, name=name.strip()[:80], scopes=scopes, days=days, by=by
    )

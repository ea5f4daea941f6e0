"""People and partner systems that sign in, and what signing in needs to remember."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.utils.crypto import salted_hmac

from core.policy import Role


class User(AbstractUser):
    """A person, or a partner system, that signs in. What it may do stands in its memberships, never here."""

    display_name = models.CharField(max_length=120, blank=True)
    session_epoch = models.PositiveIntegerField(default=0, help_text="Counted up, it ends every session.")

    class Meta(AbstractUser.Meta):
        indexes = [
            # As `people.find` asks; the holders of personal links, who are many, have no address.
            models.Index(Upper("email"), condition=~Q(email=""), name="accounts_user_email_upper")
        ]

    def __str__(self) -> str:
        return self.display_name or self.username

    def _get_session_auth_hash(self, secret=None):
        # Django's own, over the epoch besides the password: sessions end without a new password, too.
        salt = "core.accounts.models.User.get_session_auth_hash"
        return salted_hmac(salt, f"{self.password}:{self.session_epoch}", secret=secret, algorithm="sha256").hexdigest()


class Allowance(models.Model):
    """How many tries are used up under one key, as the moment at which all of them are back. See `guesses`."""

    key = models.CharField(max_length=64, primary_key=True)
    used_until = models.FloatField(db_index=True, help_text="Seconds since 1970.")

    def __str__(self) -> str:
        return self.key


class SecondFactor(models.Model):
    """The secret that a person's authenticator app shares with us, sealed."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="second_factor")
    sealed = models.BinaryField()
    last_step = models.BigIntegerField(help_text="The newest 30-second step whose code was used: none works twice.")
    made_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"second factor of {self.user}"


class RecoveryCode(models.Model):
    """One of ten codes that stand in for the authenticator once. Kept as a digest."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64, unique=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"recovery code of {self.user}"


class Reset(models.Model):
    """A wish for a new password. The job that sends the link finds out whether there is such a person."""

    asked_for = models.CharField(max_length=254, help_text="What was typed: a user name or an e-mail address.")
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    # None, not "": any number of rows have no link yet.
    digest = models.CharField(max_length=64, null=True, blank=True, unique=True)  # noqa: DJ001
    asked_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"reset {self.pk}"


PERSONAL_ROLES = [role for role in Role.signed_in() if role not in (Role.LINK, Role.CLIENT)]


class Invitation(models.Model):
    """A role offered to whoever reads an e-mail address. It counts from the moment it is taken up."""

    class State(models.TextChoices):
        PROPOSED = "proposed", "waits for a second administrator"
        OPEN = "open", "not taken up yet"
        ACCEPTED = "accepted", "taken up"
        WITHDRAWN = "withdrawn", "withdrawn"

    email = models.EmailField()
    role = models.CharField(max_length=12, choices=[(role.value, role.value) for role in PERSONAL_ROLES])
    # By name: organisations lie in the room above.
    organisation = models.ForeignKey(
        "clusters.Organisation", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    digest = models.CharField(max_length=64, null=True, blank=True, unique=True)  # noqa: DJ001  see Reset
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)
    confirmed_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    sent_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    user = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="Who took it up."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(role__in=["analyst", "auditor", "admin"])
                | Q(state__in=["proposed", "withdrawn"])
                | Q(confirmed_by__isnull=False) & ~Q(confirmed_by=models.F("made_by")),
                name="accounts_office_role_by_two",
                violation_error_message="The roles of the office take two administrators.",
            ),
            models.UniqueConstraint(
                fields=["email", "role", "organisation"],
                condition=Q(state__in=["proposed", "open"], organisation__isnull=False),
                name="accounts_invitation_open_once",
                violation_error_message="This person is invited to this role already.",
            ),
            models.UniqueConstraint(
                fields=["email", "role"],
                condition=Q(state__in=["proposed", "open"], organisation__isnull=True),
                name="accounts_office_invitation_open_once",
                violation_error_message="This person is invited to this role already.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.pk}"


class ApiClient(models.Model):
    """A partner system of one organisation: its key, of which only a digest is kept, and what the key is for."""

    user = models.OneToOneField(User, on_delete=models.PROTECT, related_name="api_client")
    organisation = models.ForeignKey("clusters.Organisation", on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=80)
    scopes = models.JSONField(default=list)
    prefix = models.CharField(max_length=16, unique=True, help_text="Begins the key; finds the row, opens nothing.")
    digest = models.CharField(max_length=64)
    old_prefix = models.CharField(max_length=16, null=True, blank=True, unique=True)  # noqa: DJ001  see Reset
    old_digest = models.CharField(max_length=64, blank=True)
    old_until = models.DateTimeField(null=True, blank=True, help_text="A key that was replaced works until then.")
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="Noted every five minutes at most.")

    def __str__(self) -> str:
        return self.name

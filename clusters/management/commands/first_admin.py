"""Invite the first administrator of a new stand: `manage.py first_admin ada ada@example.org`."""

import getpass

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from clusters.models import Membership
from clusters.people import current
from core.accounts.models import User
from core.audit.models import record
from core.policy import Role


class Command(BaseCommand):
    help = "Make the first administrator; everybody after that is invited on the pages. Refused where there is one."

    def add_arguments(self, parser):
        parser.add_argument("username")
        parser.add_argument("email")

    @transaction.atomic
    def handle(self, *, username, email, **options):
        if Membership.objects.select_for_update().filter(current(), role=Role.ADMIN, user__is_active=True).exists():
            raise CommandError("There is an administrator. They invite others under /workspace/people/.")
        if User.objects.filter(username=username).exists():
            raise CommandError(f"The user name {username} is taken. Choose another.")
        user = User(username=username, email=email)
        password = getpass.getpass("Password of the first administrator: ")
        try:
            validate_password(password, user)
        except ValidationError as refused:
            raise CommandError(" ".join(refused.messages)) from None
        user.set_password(password)
        user.save()
        Membership.objects.create(user=user, role=Role.ADMIN)
        record("people.first_admin", user, by=user)
        self.stdout.write(f"{username} signs in and sets up a second factor; then invites a second administrator.")

"""`manage.py audit_head`: date, number and digest of the chain's last event, to be kept outside the database, daily."""

from django.core.management.base import BaseCommand
from django.utils import timezone

from core.audit.models import head


class Command(BaseCommand):
    help = "Print date, number and digest of the last audit event. Keep it where the database's owner cannot reach."

    def handle(self, *args, **options):
        seq, digest = head()
        self.stdout.write(f"{timezone.localdate().isoformat()} {seq}:{digest}")

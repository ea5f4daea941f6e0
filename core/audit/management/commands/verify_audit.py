"""`manage.py verify_audit`: read the whole audit chain and say where it breaks first. Exit 1 where it does."""

from django.core.management.base import BaseCommand, CommandError

from core.audit.models import head, verify


class Command(BaseCommand):
    help = "Verify the audit chain: every event against its digest and the one before it."

    def add_arguments(self, parser):
        parser.add_argument(
            "--head",
            metavar="SEQ:DIGEST",
            help="a head printed earlier by audit_head; the chain must still hold this event, with this digest",
        )

    def handle(self, *args, **options):
        seq, digest = _printed(options["head"])
        broken = verify(printed=(seq, digest) if seq else None)
        if broken is not None:
            raise CommandError(f"The audit chain breaks at event {broken.seq}: {broken.why}")
        last, digest = head()
        self.stdout.write(f"The audit chain is whole: {last} events, head {digest}.")


def _printed(text: str | None) -> tuple[int, str]:
    if not text:
        return 0, ""
    seq, _, digest = text.partition(":")
    if not (seq.isascii() and seq.isdecimal() and len(digest) == 64):
        raise CommandError(f"--head is {text!r}; give it as audit_head prints it, number:digest.")
    return int(seq), digest

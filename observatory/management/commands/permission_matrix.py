"""`manage.py permission_matrix`."""

import sys

from django.conf import settings
from django.core.management.base import BaseCommand

from core.policy.table import as_markdown

PAGE = settings.BASE_DIR / "docs" / "matrix.md"


class Command(BaseCommand):
    help = "Print who may what, as a page; with --write into docs/matrix.md."

    def add_arguments(self, parser):
        parser.add_argument("--write", action="store_true", help="Write docs/matrix.md instead of printing.")

    def handle(self, *, write: bool, **options):
        if write:
            PAGE.write_text(as_markdown(), encoding="utf-8")
        else:
            sys.stdout.write(as_markdown())

"""Celery, which wakes workers; what is to be done stands in the job ledger (`core.jobs`)."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "observatory.settings")

app = Celery("observatory")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["core.accounts", "core.jobs", "cci", "facts"])
app.autodiscover_tasks(["facts"], related_name="round_tasks")

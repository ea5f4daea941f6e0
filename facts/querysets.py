"""Questions asked of what was observed."""

from django.db import models


class RoundQuerySet(models.QuerySet):
    def open(self):
        return self.filter(state="open")


class ReturnQuerySet(models.QuerySet):
    def counted(self):
        """Returns that enter indicators."""
        return self.filter(state__in=["accepted", "locked"])

    def waiting_for_review(self):
        return self.filter(state__in=["submitted", "in_review"])

    def with_subjects(self):
        """Load what a list row shows, in one query."""
        return self.select_related("round", "cluster", "unit", "organisation", "region")


class IndicatorValueQuerySet(models.QuerySet):
    def of(self, snapshot):
        return self.filter(snapshot=snapshot).select_related("indicator", "cluster")

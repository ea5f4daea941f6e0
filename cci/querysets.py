"""Questions asked of methodologies and editions."""

from django.db import models


class MethodologyQuerySet(models.QuerySet):
    def current(self):
        """The methodology adopted last, or None."""
        return self.filter(state="adopted").order_by("-adopted_at", "-pk").first()

    def for_computing(self):
        """What a new edition is computed with: the adopted methodology, or the newest where none is adopted yet."""
        return self.current() or self.order_by("-pk").first()


class EditionQuerySet(models.QuerySet):
    def public(self):
        """Editions everybody may read: the published ones and those they superseded."""
        return self.filter(state__in=["published", "superseded"])

    def latest_published(self):
        """The newest published edition, or None."""
        return (
            self.filter(state="published")
            .select_related("round", "methodology", "snapshot")
            .order_by("-round__year")
            .first()
        )

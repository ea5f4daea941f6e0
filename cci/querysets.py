"""Questions asked of editions."""

from django.db import models


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

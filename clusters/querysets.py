"""Questions asked of the ground."""

from django.db import models
from django.db.models import Q


class ClusterQuerySet(models.QuerySet):
    def published(self):
        """What everybody may see."""
        return self.filter(is_published=True)

    def placed(self):
        """Clusters that are one place, not a group or a national remark."""
        return self.filter(kind="cluster", latitude__isnull=False)

    def matching(self, words: str):
        """Every word (of the first eight) occurs in code, name, alias, place, region, country, sector or product."""
        found = self
        for word in words.split()[:8]:
            found = found.filter(
                Q(code__icontains=word)
                | Q(name__icontains=word)
                | Q(aliases__name__icontains=word)
                | Q(place__icontains=word)
                | Q(region__name__icontains=word)
                | Q(country__name__icontains=word)
                | Q(sector__title__icontains=word)
                | Q(products__title__icontains=word)
            )
        return found.distinct()

    def in_sector(self, code: str):
        """A class, group or division of ISIC Rev.4 with all below it; a section letter with all its divisions."""
        if code.isalpha():
            return self.filter(
                Q(sector_id=code)
                | Q(sector__parent=code)
                | Q(sector__parent__parent=code)
                | Q(sector__parent__parent__parent=code)
            )
        return self.filter(sector__code__startswith=code)

    def with_places(self):
        """Load what a list row shows, in one query."""
        return self.select_related("country", "region", "sector")


class OrganisationQuerySet(models.QuerySet):
    def in_matrix(self):
        """The agencies of the area-of-work matrix, in its order."""
        return self.filter(position__gt=0).order_by("position")

"""The ground: what exists, whether or not it is measured, scored or helped."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from core.base import TimeStamped
from core.policy import Role

from .querysets import ClusterQuerySet, OrganisationQuerySet


class Country(models.Model):
    """A country that holds regions and clusters (ISO 3166-1)."""

    code = models.CharField("ISO 3166-1 code", max_length=2, primary_key=True)
    iso3 = models.CharField(max_length=3)
    name = models.CharField(max_length=80)
    currency = models.CharField("ISO 4217 code", max_length=3, blank=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "countries"

    def __str__(self) -> str:
        return self.name


class Region(models.Model):
    """A first-level division of a country (ISO 3166-2), with the point where its label stands."""

    code = models.CharField("ISO 3166-2 code", max_length=8, primary_key=True)
    country = models.ForeignKey(Country, on_delete=models.PROTECT, related_name="regions")
    name = models.CharField(max_length=120)
    type = models.CharField(max_length=60, blank=True)
    level = models.PositiveSmallIntegerField(default=1, help_text="Sum level 1 only: level 2 lies inside it.")
    is_disputed = models.BooleanField(default=False, help_text="Belongs to neither side's total.")
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["country_id", "name"]

    def __str__(self) -> str:
        return self.name


class Sector(models.Model):
    """An economic activity of ISIC Rev.4: section, division, group or class."""

    code = models.CharField("ISIC Rev.4 code", max_length=5, primary_key=True)
    level = models.PositiveSmallIntegerField(help_text="1 section, 2 division, 3 group, 4 class")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    title = models.CharField(max_length=200)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.code} {self.title}"

    @property
    def division(self) -> str:
        return self.code[:2]


class Product(models.Model):
    """A chapter or heading of the Harmonized System 2022."""

    code = models.CharField("HS 2022 code", max_length=6, primary_key=True)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    title = models.CharField(max_length=400)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.code} {self.title}"


class Source(models.Model):
    """A document or register that a fact was taken from, cited as a reader would cite it."""

    code = models.SlugField(max_length=40, primary_key=True)
    citation = models.CharField(max_length=300)
    publisher = models.CharField(max_length=120, blank=True)
    year = models.PositiveSmallIntegerField(null=True, blank=True)
    licence = models.CharField(max_length=120, blank=True)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.citation


class AreaOfWork(models.Model):
    """One of the six areas in which agencies work for clusters (Planning Commission of India, 2012)."""

    code = models.CharField(max_length=8, primary_key=True)
    name = models.CharField(max_length=60)
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        verbose_name_plural = "areas of work"

    def __str__(self) -> str:
        return self.name


class Organisation(models.Model):
    """A body that works with clusters: agency, association, institute, bank, zone developer … one table, by kind."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    short_name = models.CharField(max_length=60, blank=True)
    kind = models.CharField(max_length=60)
    group = models.CharField(max_length=60, blank=True, help_text="Heading in the agency × area-of-work matrix.")
    country = models.ForeignKey(Country, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    role = models.TextField(blank=True, help_text="What the sources say that it does.")
    areas = models.ManyToManyField(AreaOfWork, blank=True, related_name="organisations")
    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="merged_from")
    sources = models.ManyToManyField(Source, blank=True, related_name="+")
    is_synthetic = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField(default=0, help_text="Row of the matrix; 0 where it is not in it.")

    objects = OrganisationQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("clusters:organisation", args=[self.slug])


class OrganisationAlias(models.Model):
    """Another name or spelling under which an organisation is known."""

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="aliases")
    name = models.CharField(max_length=200)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["organisation", "name"], name="clusters_alias_once")]

    def __str__(self) -> str:
        return self.name


class Cluster(TimeStamped):
    """A place where firms of one trade work close enough to share workers, suppliers and buyers."""

    class Kind(models.TextChoices):
        CLUSTER = "cluster", "Cluster"
        GROUP = "group", "Group of clusters"

    class Type(models.TextChoices):
        CRAFT = "craft", "Craft or handicraft village"
        AGRO = "agro", "Agro- or resource-based"
        SME = "sme", "Modern cluster of small firms"
        SUB = "sub", "Sub-contracting cluster around large buyers"
        EXPORT = "exp", "Export-led cluster of small firms"
        KNOWLEDGE = "know", "Knowledge-based cluster"
        ZONE = "zone", "Planned industrial estate or zone"

    class Stage(models.TextChoices):
        EMBRYONIC = "1", "Embryonic"
        GROWING = "2", "Growing"
        MATURE = "3", "Mature"
        DECLINING = "4", "Declining"
        RENEWING = "5", "Renewing"

    class PlaceBasis(models.TextChoices):
        STATED = "stated", "named in the source"
        ASSUMED = "assumed", "assumed inside the area the source names"
        NONE = "none", "the source names no place"

    code = models.CharField(max_length=20, unique=True, help_text="Country, product, place: PK-SUR-SKT. Never changes.")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.CLUSTER)
    country = models.ForeignKey(Country, on_delete=models.PROTECT, related_name="clusters")
    region = models.ForeignKey(Region, null=True, blank=True, on_delete=models.PROTECT, related_name="clusters")
    place = models.CharField(max_length=120, blank=True)
    place_in_source = models.CharField(max_length=120, blank=True)
    place_basis = models.CharField(max_length=8, choices=PlaceBasis, default=PlaceBasis.STATED)
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)
    type = models.CharField(max_length=8, choices=Type, blank=True)
    stage = models.CharField(max_length=1, choices=Stage, blank=True)
    sector = models.ForeignKey(Sector, null=True, blank=True, on_delete=models.PROTECT, related_name="clusters")
    other_sectors = models.ManyToManyField(Sector, blank=True, related_name="+")
    products = models.ManyToManyField(Product, blank=True, related_name="clusters")
    summary = models.TextField(blank=True, help_text="What the sources say, in our words.")
    sources = models.ManyToManyField(Source, blank=True, related_name="clusters")
    is_published = models.BooleanField(default=True)
    verified_on = models.DateField(null=True, blank=True)

    objects = ClusterQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(latitude__isnull=True, longitude__isnull=True)
                | Q(latitude__range=(-90, 90), longitude__range=(-180, 180)),
                name="clusters_cluster_point_whole",
                violation_error_message="A place needs both latitude (−90 to 90) and longitude (−180 to 180).",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("cluster", args=[self.code])


class ClusterAlias(models.Model):
    """Another name of a cluster."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="aliases")
    name = models.CharField(max_length=120)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ProfileFact(models.Model):
    """One stated fact of a profile, with who says so and for when. Conflicting facts stand side by side."""

    class Section(models.TextChoices):
        IDENTITY = "identity", "Place and identity"
        VALUE_CHAIN = "value_chain", "What it makes, value chain"
        SIZE = "size", "Size and trend"
        ORGANISATIONS = "organisations", "Organisations"
        ASSOCIATION = "association", "Association"
        INTERVENTIONS = "interventions", "Interventions"

    class State(models.TextChoices):
        PROPOSED = "proposed", "waits for a second person"
        PUBLISHED = "published", "published"
        DECLINED = "declined", "declined"
        WITHDRAWN = "withdrawn", "withdrawn"

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="facts")
    section = models.CharField(max_length=16, choices=Section)
    label = models.CharField("what is stated", max_length=120)
    value = models.CharField(max_length=300)
    unit = models.CharField(max_length=40, blank=True)
    year = models.PositiveSmallIntegerField(null=True, blank=True)
    source = models.CharField(max_length=300, help_text="Who says so: document, register, person's office.")
    licence = models.CharField(max_length=80, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.PROPOSED)
    entered_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField(auto_now_add=True)
    verified_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    verified_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["section", "label", "-year", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(verified_by__isnull=True) | Q(entered_by__isnull=True) | ~Q(verified_by=F("entered_by")),
                name="clusters_fact_two_people",
                violation_error_message="Who entered a fact does not publish it.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.value}"


class ClusterRole(models.Model):
    """What an organisation is to a cluster."""

    class Role(models.TextChoices):
        LEAD_AGENCY = "lead_agency", "Agency that looks after it"
        ASSOCIATION = "association", "Association"
        COLLECTOR = "collector", "Collects returns"
        SUPPORT = "support", "Works there"

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="roles")
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="cluster_roles")
    role = models.CharField(max_length=12, choices=Role)

    class Meta:
        ordering = ["role", "pk"]
        constraints = [models.UniqueConstraint(fields=["cluster", "organisation", "role"], name="clusters_role_once")]


class Unit(models.Model):
    """A firm or workshop of a cluster, under a number of its own. Name, address and numbers lie in the vault."""

    frame_id = models.CharField(max_length=30, unique=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="units")
    sector = models.ForeignKey(Sector, null=True, on_delete=models.PROTECT, related_name="+")
    registered = models.BooleanField(default=False)
    member = models.BooleanField(default=False, help_text="On the association's list of members.")
    start_year = models.PositiveSmallIntegerField(null=True, blank=True)
    is_synthetic = models.BooleanField(default=False)

    class Meta:
        ordering = ["frame_id"]

    def __str__(self) -> str:
        return self.frame_id


class Zone(models.Model):
    """A special economic zone, whose firms could buy from and teach a cluster."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="zones")
    place = models.CharField(max_length=80, blank=True)
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)
    area_acres = models.CharField("area in acres, as printed", max_length=120, blank=True)
    sectors = models.TextField(blank=True)
    basis = models.CharField(max_length=120, blank=True, help_text="How well the facts are known.")
    caveat = models.CharField(max_length=200, blank=True)
    sources = models.ManyToManyField(Source, blank=True, related_name="+")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's role, in an organisation or (without one) in the office that runs the observatory."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    organisation = models.ForeignKey(
        Organisation, null=True, blank=True, on_delete=models.CASCADE, related_name="memberships"
    )
    unit = models.ForeignKey(
        Unit, null=True, blank=True, on_delete=models.CASCADE, related_name="+", help_text="Of a personal link only."
    )
    role = models.CharField(max_length=12, choices=[(r.value, r.value) for r in Role.signed_in()])
    ends_on = models.DateField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "organisation", "role"], name="clusters_membership_once"),
            models.UniqueConstraint(
                fields=["user", "role"], condition=Q(organisation=None), name="clusters_office_role_once"
            ),
            models.CheckConstraint(
                condition=Q(role="link", unit__isnull=False, organisation__isnull=True)
                | (~Q(role="link") & Q(unit__isnull=True)),
                name="clusters_link_of_a_unit",
                violation_error_message="A personal link is for one unit; no other role is.",
            ),
            models.CheckConstraint(
                condition=Q(organisation__isnull=False)
                | ~Q(role__in=["entry", "head", "staff", "supervisor", "client"]),
                name="clusters_membership_of_an_organisation",
                violation_error_message="This role belongs to an organisation.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.role}"

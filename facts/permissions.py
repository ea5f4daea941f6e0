"""Rows of the permission matrix about returns and what they become."""

from django.db.models import CharField, Exists, F, OuterRef, Q
from django.db.models.functions import Cast, Now

from clusters.models import ClusterRole
from clusters.permissions import NOTHING, own_cluster
from core.policy import ALL, Grant, Role

from .models import Collector, Return

COLLECTIVE = ("CLUSTER", "REGION")


def linked_return(grant: Grant) -> Q:
    """The one return that a personal link names, while the link lives by the database's clock."""
    if grant.unit_id is None or grant.user_id is None:
        return NOTHING
    return Q(
        schedule="UNIT",
        unit=grant.unit_id,
        round__links__unit=grant.unit_id,
        round__links__user=grant.user_id,
        round__links__revoked_at__isnull=True,
        round__links__expires_at__gt=Now(),
    )


def own_return(grant: Grant) -> Q:
    """The association's own return, and the unit returns that the grant's organisation itself typed or imported."""
    if grant.organisation_id is None:
        return NOTHING
    return Q(schedule="ASSOCIATION", organisation=grant.organisation_id) | Q(
        schedule="UNIT", collector=grant.organisation_id
    )


def shared_return(grant: Grant) -> Q:
    """Unit returns that their unit handed in over its own link and lets the grant's organisation read."""
    if grant.organisation_id is None:
        return NOTHING
    return Q(schedule="UNIT", shared_with=grant.organisation_id)


def own_or_shared(grant: Grant) -> Q:
    return own_return(grant) | shared_return(grant)


def own_or_about(grant: Grant) -> Q:
    """Own and shared returns, and what the agency says of the own clusters and their regions."""
    return own_or_shared(grant) | Q(schedule__in=COLLECTIVE) & (
        own_cluster(grant, "cluster__") | own_cluster(grant, "region__clusters__")
    )


def header_of_cluster(grant: Grant) -> Q:
    """Which unit returns of a cluster have come in, for its association and for who collects there in the round.

    Header and state only: what a unit answered over its own link is in no other row of these roles.
    """
    if grant.organisation_id is None:
        return NOTHING
    own = ClusterRole.objects.filter(organisation=grant.organisation_id, role=ClusterRole.Role.ASSOCIATION)
    appointed = Collector.objects.filter(
        organisation=grant.organisation_id, round=OuterRef("round"), cluster=OuterRef("cluster")
    )
    return Q(schedule="UNIT") & (Q(cluster__in=own.values("cluster")) | Q(Exists(appointed)))


def own_about_or_header(grant: Grant) -> Q:
    return own_or_about(grant) | header_of_cluster(grant)


def agency_return(grant: Grant) -> Q:
    """Returns of the clusters that the grant's agency looks after, and of their regions."""
    return own_cluster(grant, "cluster__") | Q(schedule="REGION") & own_cluster(grant, "region__clusters__")


def agency_collective(grant: Grant) -> Q:
    """Cluster and region schedules, which the agency itself fills."""
    return Q(schedule__in=COLLECTIVE) & agency_return(grant)


def all_collective(grant: Grant) -> Q:
    return Q(schedule__in=COLLECTIVE)


def agency_unit_and_association(grant: Grant) -> Q:
    return Q(schedule__in=["UNIT", "ASSOCIATION"]) & agency_return(grant)


def agency_in_review(grant: Grant) -> Q:
    """Values of submitted returns, without names, while they wait for this agency's decision."""
    return agency_unit_and_association(grant) & Q(state__in=["submitted", "in_review"])


def agency_in_review_or_collective(grant: Grant) -> Q:
    """What waits for this agency's decision, and the schedules that it fills itself."""
    return agency_in_review(grant) | agency_collective(grant)


def published_value(grant: Grant) -> Q:
    return Q(snapshot__editions__state__in=["published", "superseded"])


def own_upload(grant: Grant) -> Q:
    """Files that were sent in the name of the grant's organisation, or of the cell."""
    return Q(organisation=grant.organisation_id)


def own_standing(grant: Grant) -> Q:
    """The clusters that the grant's association represents; a collector from elsewhere is not the cluster."""
    if grant.organisation_id is None:
        return NOTHING
    return Q(roles__organisation=grant.organisation_id, roles__role="association")


def broken_glass(kind: str):
    """Firms' returns of the cluster and round for which this very person was granted an hour that still runs."""

    def scope(grant: Grant) -> Q:
        if grant.user_id is None:
            return NOTHING
        return Q(
            schedule__in=["UNIT", "ASSOCIATION"],
            round__break_glasses__kind=kind,
            round__break_glasses__asked_by=grant.user_id,
            round__break_glasses__cluster=F("cluster"),
            round__break_glasses__state="granted",
            round__break_glasses__ends_at__gt=Now(),
        )

    return scope


def values_in_the_hour(grant: Grant) -> Q:
    return all_collective(grant) | broken_glass("values")(grant)


def own_openings(grant: Grant) -> Q:
    """Events on the organisation's own and shared returns, on its clusters, and on rounds by its own people."""
    if grant.organisation_id is None:
        return NOTHING
    returns = Return.objects.filter(own_or_shared(grant)).order_by()
    clusters = ClusterRole.objects.filter(organisation=grant.organisation_id, role=ClusterRole.Role.ASSOCIATION)
    as_text = CharField()  # the audit chain keeps ids as text
    return (
        Q(object_type="facts.return", object_id__in=returns.values_list(Cast("pk", as_text)))
        | Q(object_type="clusters.cluster", object_id__in=clusters.order_by().values_list(Cast("cluster", as_text)))
        | Q(object_type="facts.round", actor__memberships__organisation=grant.organisation_id)
    )


UPLOADERS = (Role.ENTRY, Role.HEAD, Role.STAFF, Role.SUPERVISOR, Role.ANALYST, Role.CLIENT)
_own = dict.fromkeys((Role.ENTRY, Role.HEAD), own_return)
_readers = dict.fromkeys((Role.ENTRY, Role.HEAD), own_or_about)
_agency = dict.fromkeys((Role.STAFF, Role.SUPERVISOR), agency_return)
_headers = dict.fromkeys((Role.ENTRY, Role.HEAD), own_about_or_header)
_boards = dict.fromkeys((Role.ENTRY, Role.HEAD, Role.STAFF, Role.SUPERVISOR), own_cluster)
_clerks = dict.fromkeys((Role.STAFF, Role.SUPERVISOR), agency_collective)

MATRIX = {
    "instrument.read": {Role.ANONYMOUS: ALL},
    "indicator.read": {Role.ANONYMOUS: ALL},
    "indicator_value.read": {Role.ANONYMOUS: published_value},
    "round.read": {Role.ANONYMOUS: ALL},
    "round.close": {Role.ANALYST: ALL},
    "round.edit": {Role.ANALYST: ALL},  # plan, move days, open, draw; freezing and closing take a second analyst
    "round.invite": {Role.ANALYST: ALL},
    "round.check": {Role.ANALYST: ALL},  # run the checks again; see flags on field workers
    # over clusters
    "round.board": {**_boards, Role.ANALYST: ALL, Role.AUDITOR: ALL},
    "round.checks": {Role.SUPERVISOR: own_cluster, Role.ANALYST: ALL},
    "round.extend": {Role.SUPERVISOR: own_cluster, Role.ANALYST: ALL},
    "collector.appoint": {Role.SUPERVISOR: own_cluster, Role.ANALYST: ALL},
    "unit_link.make": {Role.HEAD: own_cluster},
    "unit_link.replace": {Role.SUPERVISOR: own_cluster},  # a link that was opened: with a reason, told to the unit
    # over returns
    "return.share": {Role.LINK: linked_return},
    "return.read": {
        **_headers,
        **_agency,
        Role.ANALYST: ALL,
        Role.AUDITOR: ALL,
        Role.CLIENT: own_return,
        Role.LINK: linked_return,
    },
    "return.read_draft": {**_own, **_clerks, Role.ANALYST: all_collective, Role.LINK: linked_return},
    "return.write": {
        **_own,
        **_clerks,
        Role.ANALYST: all_collective,
        Role.CLIENT: own_return,
        Role.LINK: linked_return,
    },
    "return.create": {**_own, **_clerks, Role.ANALYST: all_collective, Role.CLIENT: own_return},
    "upload.read": dict.fromkeys(UPLOADERS, own_upload),  # its sender alone: the view narrows it to the person
    "return.submit": {
        Role.HEAD: own_return,
        **_clerks,
        Role.ANALYST: all_collective,
        Role.LINK: linked_return,
    },
    "return.read_submitted": {
        **_readers,
        Role.STAFF: agency_collective,
        Role.SUPERVISOR: agency_in_review_or_collective,
        Role.ANALYST: ALL,
        Role.AUDITOR: values_in_the_hour,
        Role.LINK: linked_return,
    },
    "return.export": {**_own, **_clerks, Role.ANALYST: all_collective, Role.LINK: linked_return},
    "return.review": {Role.SUPERVISOR: agency_return, Role.ANALYST: all_collective},
    "return.reopen": {Role.SUPERVISOR: agency_return, Role.ANALYST: ALL},  # ask or decide: two people, see the service
    "query.ask": {Role.SUPERVISOR: agency_return, Role.ANALYST: ALL},
    "query.answer": {**_own, **_clerks, Role.LINK: linked_return},
    # A query repeats what a firm wrote: staff, who may not read its values, see queries on the agency's schedules only.
    "query.read": {
        **_own,
        Role.STAFF: agency_collective,
        Role.SUPERVISOR: agency_return,
        Role.ANALYST: ALL,
        Role.LINK: linked_return,
    },
    "return.read_shared": dict.fromkeys((Role.ENTRY, Role.HEAD), shared_return),
    "benchmark.read": {**dict.fromkeys((Role.ENTRY, Role.HEAD), own_or_shared), Role.LINK: linked_return},
    # over clusters: why one is or is not ranked; the signals behind D7 and D8 are for the data team
    "standing.read": {
        **dict.fromkeys((Role.ENTRY, Role.HEAD), own_standing),
        **dict.fromkeys((Role.STAFF, Role.SUPERVISOR), own_cluster),
        Role.ANALYST: ALL,
        Role.AUDITOR: ALL,
    },
    "standing.read_signals": {Role.SUPERVISOR: own_cluster, Role.ANALYST: ALL},
    "unit_identity.read": {**_own, Role.ANALYST: broken_glass("names")},
    "values.export": {Role.ANALYST: broken_glass("export")},
    "break_glass.ask": {Role.ANALYST: ALL, Role.AUDITOR: ALL},  # ask, grant as the other one, see
    "return.export_all": {Role.HEAD: own_return, Role.LINK: linked_return},  # everything held on a unit
    "opening.read": {Role.HEAD: own_openings, Role.AUDITOR: ALL},  # over audit events
}

"""Many rows at once are the rows that one at a time would have been, on both databases."""

from django.db import transaction

from core import policy
from core.audit.models import Event, first_broken, record_many
from core.bulk import allocate_keys, insert_many
from facts.models import Return
from facts.vault.models import SealedText
from tests.factories import UserFactory

ODD = ["\\N", "\\.", "a\tb", "a\nb\r\n", "\\\\N", "é\u2028\u0085x", "'\"", "", "\\x41", "\x0b\x08\x0c", "\\", "😀"]


def test_odd_texts_and_bytes_come_back_as_they_were(db):
    places = [ODD[number % len(ODD)] for number in range(260)]
    payloads = [bytes(range(256)) + b"\\.\n\\N\t", b"", bytes([0])]

    with transaction.atomic():
        insert_many([SealedText(place=place, key_id="k", payload=payloads[n % 3]) for n, place in enumerate(places)])

    rows = list(SealedText.objects.order_by("pk"))
    assert [row.place for row in rows] == places
    assert [bytes(row.payload) for row in rows] == [payloads[n % 3] for n in range(260)]


def test_a_long_chain_of_events_holds_with_odd_details(db):
    user = UserFactory()

    with transaction.atomic():
        record_many([("test.act", user, {"text": ODD[n % len(ODD)], "n": n, "x": None}) for n in range(500)], by=user)

    assert Event.objects.filter(action="test.act").count() == 500
    assert first_broken() is None


def test_keys_are_reserved_once_and_follow_on(db):
    with transaction.atomic():
        first = allocate_keys(SealedText, 300)
        insert_many([SealedText(pk=key, place="p", key_id="k", payload=b"x") for key in first])
        second = allocate_keys(SealedText, 2)

    assert len(set(first + second)) == 302
    after = SealedText.objects.create(place="p", key_id="k", payload=b"x")
    assert after.pk not in first


def test_a_scope_takes_any_queryset_and_judges_only_its_rows(town):
    for shaped in (
        Return.objects.values("pk"),
        Return.objects.values_list("pk", flat=True),
        Return.objects.select_related("round").order_by("pk"),
        Return.objects.only("pk").distinct(),
        Return.objects.none(),
    ):
        assert list(policy.scope(town.head, "return.read", shaped)) == []
    with transaction.atomic():
        assert list(policy.scope(town.head, "return.read", Return.objects.select_for_update())) == []
    sql = str(policy.scope(town.head, "return.read", Return.objects.filter(pk__in=[7])).query)
    assert sql.count("IN (7)") == 2  # the inner look is held to the same rows

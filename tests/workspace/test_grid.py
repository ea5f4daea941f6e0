"""Units as rows, certifying several, and finding what to begin: the association's everyday work on many firms."""

import json
import re

import pytest
from django.urls import reverse

from core.audit.models import Event
from facts.models import Return
from facts.services.drafts import save_answers
from facts.services.reading import draft_of
from facts.services.units import keep_identities
from tests.factories import OrganisationFactory, person

GRID = "/workspace/returns/grid/"


def sent(rows: dict, block: str = "UB") -> dict:
    """What the grid's form sends: {return: {code: (was, typed)}}."""
    body: dict = {}
    for ret, cells in rows.items():
        body[f"was:{ret.pk}"] = json.dumps({code: was for code, (was, _) in cells.items()})
        body |= {f"cell:{ret.pk}:{code}": text for code, (_, text) in cells.items()}
    return body


@pytest.fixture
def three(drafted):
    return [drafted(unit=place) for place in range(3)]


def test_rows_are_saved_and_a_wrong_cell_keeps_its_text_and_its_reason(town, door, three, words):
    one, two, _ = three

    answer = door(town.entry).post(
        GRID, sent({one: {"UB08": ("30", "31"), "UB04": ("2", "two or so")}, two: {"UB08": ("30", "33")}})
    )

    page = words(answer)
    assert answer.status_code == 200
    assert 'value="two or so"' in page and "“two or so” is not a number." in page
    assert f'href="#c{one.pk}_UB04"' in page
    assert draft_of(one)["answers"]["UB08"] == 31 and draft_of(one)["answers"]["UB04"] == 2
    assert draft_of(two)["answers"]["UB08"] == 33


def test_labels_and_words_are_understood_as_in_a_sheet(town, door, three):
    ret = three[0]

    answer = door(town.entry).post(
        GRID + "?block=UA",
        sent({ret: {"UA04": ("2", "private company"), "UA07": ("0", "Yes"), "UA06": ("4", "4")}}),
    )

    assert answer.status_code == 302
    answers = draft_of(ret)["answers"]
    assert (answers["UA04"], answers["UA07"], answers["UA06"]) == (3, 1, 4)


def test_what_the_cell_showed_is_not_written_again(town, door, three):
    ret = three[0]

    door(town.entry).post(
        GRID + "?block=UA", sent({ret: {"UA07": ("0", "No"), "UA01": ("1", "Operated the whole year")}})
    )

    ret.refresh_from_db()
    assert ret.revision == 1


def test_a_colleagues_cell_is_not_overwritten_and_the_rest_of_the_row_is_stored(town, door, three, words):
    ret = three[0]
    save_answers(ret, {"UB08": "55"}, by=town.head, expected_revision=ret.revision)

    page = words(door(town.entry).post(GRID, sent({ret: {"UB08": ("30", "44"), "UB04": ("2", "3")}})))

    assert "a colleague (head" in page and 'value="44"' in page
    assert draft_of(ret)["answers"]["UB08"] == 55 and draft_of(ret)["answers"]["UB04"] == 3


def test_totals_stand_under_what_adds_up_and_under_nothing_else(town, door, three, words):
    page = words(door(town.entry).get(GRID))
    costs = words(door(town.entry).get(GRID + "?block=UD"))

    assert re.search(r'data-total="UB01">60<', page)  # three units of twenty
    assert 'data-total="UD01">1,08,00,000<' in costs  # three times 36,00,000
    assert 'data-total="UD02"' not in costs  # a percentage


def test_foreign_drafts_and_foreign_clusters_are_not_there(town, door, three, words):
    stranger = person("entry", OrganisationFactory())

    assert three[0].subject not in words(door(stranger).get(GRID))
    assert door(stranger).get(GRID + f"?cluster={town.cluster.code}").status_code == 200
    assert door(town.entry).get(GRID + "?cluster=XX").status_code == 404
    assert door(town.entry).get(GRID + "?block=ZZ").status_code == 404
    assert door(town.supervisor).get(GRID).status_code in (200, 403)
    door(stranger).post(GRID, sent({three[0]: {"UB08": ("30", "31")}}))
    assert draft_of(three[0])["answers"]["UB08"] == 30


def test_the_grid_costs_the_same_for_one_row_or_three(
    town, door, drafted, django_assert_num_queries, django_assert_max_num_queries
):
    client = door(town.entry)
    drafted()
    client.get(GRID)
    with django_assert_max_num_queries(34) as captured:
        client.get(GRID)
    for unit in (1, 2):
        drafted(unit=unit)
    with django_assert_num_queries(len(captured)):
        client.get(GRID)


# --- Certifying several -----------------------------------------------------------------------------


def chosen(returns) -> list[str]:
    return [f"{ret.pk}:{ret.revision}" for ret in returns]


def test_several_are_certified_at_once_after_the_exact_list(town, door, three, words):
    client, address = door(town.head), reverse("facts:certify")
    query = "?" + "&".join(f"ret={ret.pk}" for ret in three)

    page = words(client.get(address + query))
    assert all(ret.subject in page for ret in three) and "Certify and submit 3 returns" in page
    client.post(address, {"ret": chosen(three), "certified_name": "A. Head", "statement": "on"})

    assert set(Return.objects.values_list("state", flat=True)) == {"submitted"}
    assert Event.objects.filter(action="return.submit").count() == 3


def test_an_incomplete_one_is_named_with_its_points_and_left_out(town, door, drafted, words):
    whole, broken = drafted(), drafted(unit=1, UB01="")
    client, address = door(town.head), reverse("facts:certify")

    page = words(client.get(f"{address}?ret={whole.pk}&ret={broken.pk}"))
    assert "1 of the 2 chosen cannot be certified yet" in page and "UB01" in page
    assert f'value="{whole.pk}:{whole.revision}"' in page and f'value="{broken.pk}:' not in page
    client.post(address, {"ret": chosen([whole, broken]), "certified_name": "A. Head", "statement": "on"})

    assert set(Return.objects.values_list("state", flat=True)) == {"draft"}  # all of them or none


def test_one_changed_meanwhile_stops_all(town, door, three, words):
    before = chosen(three)
    save_answers(three[1], {"UB08": "44"}, by=town.entry, expected_revision=three[1].revision)

    page = words(
        door(town.head).post(reverse("facts:certify"), {"ret": before, "certified_name": "A. Head", "statement": "on"})
    )

    assert "changed meanwhile" in page
    assert not Return.objects.exclude(state="draft").exists()


def test_only_heads_certify_and_only_their_own(town, door, three):
    stranger = person("head", OrganisationFactory())

    assert door(town.entry).get(reverse("facts:certify")).status_code == 403
    door(stranger).post(
        reverse("facts:certify"), {"ret": chosen(three), "certified_name": "A. Head", "statement": "on"}
    )
    assert not Return.objects.exclude(state="draft").exists()


# --- Finding, looking over --------------------------------------------------------------------------


def test_a_unit_to_begin_is_found_by_number_or_name_and_the_search_is_logged(town, door, words):
    keep_identities({town.units[1].pk: {"name": "Bilal Knitwear"}})
    client, address = door(town.entry), reverse("facts:returns")

    by_name = words(client.get(address, {"show": "begin", "q": "bilal  KNIT"}))
    by_number = words(client.get(address, {"show": "begin", "q": town.units[2].frame_id}))

    assert town.units[1].frame_id in by_name and "Bilal Knitwear" in by_name
    assert town.units[0].frame_id not in by_name
    assert town.units[2].frame_id in by_number and town.units[1].frame_id not in by_number
    opening = Event.objects.get(action="unit.identity")
    assert "Bilal" not in json.dumps(opening.detail)


def test_all_answers_stand_on_one_page_with_a_way_to_each(town, door, drafted, words):
    ret = drafted(UB08="")

    page = words(door(town.entry).get(reverse("facts:check", args=[ret.pk])))

    assert f'href="{reverse("facts:section", args=[ret.pk, "UB"])}#id_UB01"' in page
    assert "90,00,000 PKR" in page and "still needed" in page and "Operated the whole year" in page
    assert door(town.supervisor).get(reverse("facts:check", args=[ret.pk])).status_code in (403, 404)


def test_counters_tell_needed_answers_from_optional_ones(town, door, drafted, words):
    whole = words(door(town.entry).get(reverse("facts:return", args=[drafted().pk])))
    blank = words(door(town.entry).get(reverse("facts:return", args=[drafted(unit=1, UC06="").pk])))

    assert re.search(r"All \d+ answered", whole)
    assert "optional left blank" in blank

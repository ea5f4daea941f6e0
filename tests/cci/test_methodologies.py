"""Methodologies: three steps by different people, what differs between two, and what a new one would do."""

import pytest
from django.db import IntegrityError, transaction

from cci.methodology import load_method
from cci.methodology_diff import differences, grouped
from cci.models import Edition, Methodology, Score, Standing
from cci.services import (
    adopt_methodology,
    back_cast,
    check_methodology,
    register_methodology,
    request_recompute,
    request_trial,
    runs,
)
from core.audit.models import Event
from core.base import Conflict, DomainError
from core.jobs import ledger
from core.jobs.models import Job
from facts.services.snapshots import take_snapshot
from tests.factories import ClusterFactory, before_publication, open_round, person
from tests.methods import adopted, second_method

pytestmark = pytest.mark.django_db
NOTE = "Weights and goalposts compared with the framework."


@pytest.fixture
def cell():
    return person("analyst"), person("analyst"), person("analyst")


@pytest.fixture
def second(tmp_path):
    with second_method(tmp_path) as version:
        yield version


def published(year, methodology, **fields) -> Edition:
    round_ = open_round(year, state="closed")
    return Edition.objects.create(
        round=round_,
        methodology=methodology,
        revision=0,
        label=str(year),
        digest=str(year),
        state="published",
        **fields,
    )


# --- Life -------------------------------------------------------------------------------------


def test_one_registers_another_checks_and_the_first_may_adopt(cell):
    first, second, _ = cell
    method = register_methodology("1.0", by=first)

    check_methodology(method, by=second, note=NOTE)
    adopt_methodology(method, by=first, note="It was tried on five rounds.")

    method.refresh_from_db()
    assert (method.state, method.registered_by, method.checked_by, method.adopted_by) == (
        "adopted",
        first,
        second,
        first,
    )
    acts = Event.objects.filter(action__startswith="methodology.").order_by("seq").values_list("action", "actor")
    assert list(acts) == [
        ("methodology.register", first.pk),
        ("methodology.check", second.pk),
        ("methodology.adopt", first.pk),
    ]
    assert Methodology.objects.current() == method


def test_who_registered_does_not_check_and_who_checked_does_not_adopt(cell):
    first, second, _ = cell
    method = register_methodology("1.0", by=first)

    with pytest.raises(DomainError, match="registers a methodology does not check"):
        check_methodology(method, by=first, note=NOTE)
    check_methodology(method, by=second, note=NOTE)
    with pytest.raises(DomainError, match="checks a methodology does not adopt"):
        adopt_methodology(method, by=second, note=NOTE)
    method.refresh_from_db()
    assert method.state == "checked"


def test_the_database_itself_wants_other_people(cell):
    first, second, _ = cell
    method = register_methodology("1.0", by=first)

    for field, user in (("checked_by", first), ("adopted_by", second)):
        Methodology.objects.filter(pk=method.pk).update(checked_by=second)
        with pytest.raises(IntegrityError), transaction.atomic():
            Methodology.objects.filter(pk=method.pk).update(**{field: user})


def test_steps_come_in_order_once_and_with_words(cell):
    first, second, third = cell
    method = register_methodology("1.0", by=first)

    with pytest.raises(DomainError, match="is draft; only a checked one is adopted"):
        adopt_methodology(method, by=second, note=NOTE)
    with pytest.raises(DomainError, match="Say what you looked at"):
        check_methodology(method, by=second, note="ok")
    stale = Methodology.objects.get(pk=method.pk)
    check_methodology(method, by=second, note=NOTE)
    with pytest.raises(Conflict):
        check_methodology(stale, by=third, note=NOTE)
    with pytest.raises(DomainError, match="only a draft one is checked"):
        check_methodology(method, by=third, note=NOTE)


def test_the_same_files_are_registered_once_and_changed_ones_are_refused(cell, tmp_path):
    first, second, _ = cell
    method = register_methodology("1.0", by=first)

    assert register_methodology("1.0", by=second) == method
    with second_method(tmp_path, "1.1"):
        register_methodology("1.1", by=first)
        path = tmp_path / "methodologies/cci-1.1.toml"
        path.write_text(path.read_text().replace("floor = [0, 0, 5]", "floor = [0, 0, 7]"))
        load_method.cache_clear()
        with pytest.raises(DomainError, match="new version"):
            register_methodology("1.1", by=first)
        with pytest.raises(DomainError, match="differ from the registered ones"):
            check_methodology(Methodology.objects.get(version="1.1"), by=second, note=NOTE)


def test_new_editions_take_the_methodology_adopted_last(cell, second):
    old = adopted("1.0")
    draft = register_methodology(second, by=cell[0])
    round_ = open_round(2025, state="closed")

    assert request_recompute(round_, by=cell[0]).methodology == old
    check_methodology(draft, by=cell[1], note=NOTE)
    assert Methodology.objects.for_computing() == old
    adopt_methodology(draft, by=cell[2], note=NOTE)
    assert Methodology.objects.for_computing() == draft


# --- Differences ------------------------------------------------------------------------------


def test_a_methodology_differs_from_itself_in_nothing():
    assert differences(load_method("1.0"), load_method("1.0")) == []


def test_every_difference_of_two_files_is_told_and_no_other(second):
    found = differences(load_method("1.0"), load_method(second))

    assert {(one.group, one.path, one.kind) for one in found} == {
        ("engine", "engine.aggregate.floor", "changed"),
        ("engine", "engine.aggregate.method", "changed"),
        ("words", "node.O102.name", "changed"),
    }
    floor = next(one for one in found if one.path.endswith("floor"))
    assert (floor.name, floor.before, floor.after) == ("Least value that enters, by level", "0, 0, 1", "0, 0, 5")
    assert [title for title, _ in grouped(found)] == ["How it is computed", "Words"]


def test_hierarchy_weights_directions_formulas_and_goalposts_are_compared():
    from dataclasses import replace

    old = load_method("1.0")
    indicators = {one.code: one for one in old.definitions.indicators}
    gone = indicators.pop("O202")
    indicators["O205"] = replace(indicators["O205"], dimension="O1")
    indicators["O101"] = replace(indicators["O101"], weight=0.5, direction=-1, formula=gone.formula, cap=7.0)
    posts = old.goalposts[old.goalposts["iCode"] != "O202"].copy()
    posts.loc[posts["iCode"] == "O102", "hi"] = 99.0
    content = {**old.content, "publication": {**old.content["publication"], "units": 20}}
    new = replace(
        old,
        definitions=replace(old.definitions, indicators=tuple(indicators.values())),
        goalposts=posts,
        content=content,
    )

    found = {one.path: one for one in differences(old, new)}

    assert found["node.O202.parent"].kind == "removed"
    assert found["node.O205.parent"].kind == "moved" and "in O1" in found["node.O205.parent"].after
    assert (found["node.O101.weight"].before, found["node.O101.weight"].after) == ("0.45", "0.5")
    assert found["node.O101.direction"].after == "less is better"
    assert found["node.O101.formula"].after == gone.formula.text
    assert found["node.O101.cap"].kind == "added"
    assert found["goalpost.O102.hi"].after == "99"
    assert found["publication.units"].after == "20"
    assert len([path for path in found if "O202" in path]) == 1  # told once, with the node
    back = {one.path: one.kind for one in differences(new, old)}
    assert back["node.O202.parent"] == "added" and back.keys() == found.keys()


# --- Trials -----------------------------------------------------------------------------------


@pytest.fixture
def past(cell):
    """Two rounds published under 1.0, each with the snapshot of its returns."""
    old = adopted("1.0")
    editions = [published(year, old) for year in (2024, 2025)]
    for edition in editions:
        edition.snapshot = take_snapshot(edition.round, by=cell[0])
        with before_publication():
            edition.save()
    return editions


def test_a_trial_rests_on_the_published_editions_snapshot_and_is_made_once(cell, past, second):
    method = register_methodology(second, by=cell[0])

    trial = request_trial(method, past[1].round, by=cell[0])

    assert (trial.label, trial.is_trial, trial.revision) == ("2025-trial-1.1", True, None)
    assert trial.snapshot == past[1].snapshot
    assert request_trial(method, past[1].round, by=cell[1]) == trial
    assert Edition.objects.filter(is_trial=True).count() == 1


def test_a_trial_whose_worker_died_every_time_is_asked_for_anew(cell, past, second):
    method = register_methodology(second, by=cell[0])
    trial = request_trial(method, past[1].round, by=cell[0])
    Job.objects.filter(pk=trial.job_id).update(state="dead")

    again = request_trial(method, past[1].round, by=cell[0])

    assert again == trial
    assert again.job_id != trial.job_id and again.job.is_open


def test_a_trial_is_refused_where_there_is_nothing_to_compare(cell, past, second):
    method = register_methodology(second, by=cell[0])

    with pytest.raises(DomainError, match="itself made by methodology 1.0"):
        request_trial(past[0].methodology, past[0].round, by=cell[0])
    with pytest.raises(DomainError, match="no published edition"):
        request_trial(method, open_round(2023, state="closed"), by=cell[0])


def test_computing_back_tries_every_round_in_one_act(cell, past, second):
    method = register_methodology(second, by=cell[0])

    made = back_cast(method, by=cell[0])

    assert [one.label for one in made] == ["2024-trial-1.1", "2025-trial-1.1"]
    with pytest.raises(DomainError, match="nothing to compute back"):
        back_cast(past[0].methodology, by=cell[0])


def test_a_trial_in_the_works_is_no_edition_of_its_round(cell, past, second):
    request_trial(register_methodology(second, by=cell[0]), past[1].round, by=cell[0])

    edition = request_recompute(past[1].round, by=cell[0])

    assert (edition.label, edition.is_trial) == ("2025.1", False)


def test_a_trial_takes_no_snapshot_and_stores_no_values(cell, past, second, monkeypatch):
    """The job computes with the trial's methodology on the stored snapshot."""
    trial = request_trial(register_methodology(second, by=cell[0]), past[1].round, by=cell[0])
    seen = {}

    def computed(tables, year, method, digest, *more):
        seen.update(version=method.version, digest=digest)
        return {"digest": "d"}

    monkeypatch.setattr(runs, "take_snapshot", lambda *a, **k: 1 / 0)
    monkeypatch.setattr(runs, "compute_edition", computed)
    monkeypatch.setattr(
        runs, "store_edition", lambda edition, result: Edition.objects.filter(pk=edition.pk).update(digest="stored")
    )

    ledger.run(trial.job_id, heartbeat=False)

    trial.refresh_from_db()
    assert (seen, trial.digest) == ({"version": "1.1", "digest": past[1].snapshot.digest}, "stored")


def test_a_trial_is_never_proposed(cell, past, second):
    from cci.services import propose

    trial = request_trial(register_methodology(second, by=cell[0]), past[1].round, by=cell[0])
    Edition.objects.filter(pk=trial.pk).update(state="candidate", digest="x")
    trial.refresh_from_db()

    with pytest.raises(DomainError, match="never published"):
        propose(trial, by=cell[0], digest="x")


def test_trials_and_series_say_what_the_method_changes(cell, past, second):
    from cci.revisions import series_of, summaries, tried_rounds

    method = register_methodology(second, by=cell[0])
    clusters = [ClusterFactory() for _ in range(3)]
    trials = back_cast(method, by=cell[0])
    Edition.objects.filter(pk__in=[one.pk for one in trials]).update(state="candidate")
    orders = {past[0]: (60, 50, 40), past[1]: (60, 50, 40), trials[0]: (61, 52, 43), trials[1]: (40, 52, 64)}
    with before_publication():
        for edition, values in orders.items():
            ranks = [1 + sum(other > value for other in values) for value in values]
            for cluster, value, rank in zip(clusters, values, ranks, strict=True):
                Score.objects.create(
                    edition=edition, cluster=cluster, node="CCI", value=value, rank=rank, rank_low=rank, rank_high=rank
                )
                Standing.objects.create(edition=edition, cluster=cluster, is_ranked=True)

    tried = tried_rounds(method)
    short = summaries(tried)
    same, turned = short[past[0].pk], short[past[1].pk]
    assert (same.n_common, same.moved, same.spearman, same.mean_change) == (3, 0, pytest.approx(1), pytest.approx(2))
    assert (turned.moved, turned.spearman) == (2, pytest.approx(-1))
    first = series_of(tried, [clusters[0].pk])[0]
    assert (first["years"], first["published"], first["break"]) == ([61.0, 40.0], 60.0, -20.0)

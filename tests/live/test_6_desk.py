"""The analyst's desk on a live stand: asked for, stopped, computed by a worker, computed again to the same digest."""

import re

import pytest

from .conftest import PASSWORD, Stand, Visitor, until

READINGS = ("", "results/", "robustness/", "coherence/", "record/")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A stand of its own with a worker: what is closed here must not disturb the other walks."""
    made = Stand(tmp_path_factory.mktemp("desk"))
    try:
        made.start()
        made.wait_for_world(600)
        yield made
    finally:
        made.stop()
        made.drop_database()


@pytest.fixture
def analyst(desk):
    return Visitor(desk).sign_in("demo-analyst")


def latest(desk) -> tuple[int, str]:
    """The newest published edition: its id and its digest."""
    return desk.query("SELECT id, digest FROM cci_edition WHERE state = 'published' ORDER BY label DESC")[0]


def test_a_published_edition_is_computed_again_to_the_same_digest(desk, analyst):
    pk, digest = latest(desk)
    path = f"/workspace/editions/{pk}/"

    analyst.post(f"{path}verify/", path)
    until(lambda: "The same digest" in analyst.get(path), 300, "the comparison is made")

    assert analyst.get(path).count(digest) >= 3
    assert latest(desk) == (pk, digest)


def test_a_run_is_stopped_and_the_next_one_is_seen_through(desk, analyst):
    analyst.post("/workspace/editions/recompute/", "/workspace/editions/", round="2025")
    pk = desk.value("SELECT max(id) FROM cci_edition")
    path = f"/workspace/editions/{pk}/"
    analyst.post(f"{path}cancel/", f"{path}cancel/")
    assert "was stopped" in analyst.get(path)
    assert desk.value(f"SELECT count(*) FROM cci_score WHERE edition_id = {pk}") == 0

    analyst.post("/workspace/editions/recompute/", path, round="2025")
    until(lambda: "Steps of the run" in analyst.get(path), 300, "the edition is computed")

    assert desk.value(f"SELECT state FROM cci_edition WHERE id = {pk}") == "candidate"
    for reading in READINGS:
        assert "<h1" in analyst.get(path + reading)
    assert re.search(r"Beside Edition 20\d\d", analyst.get(f"{path}results/"))


@pytest.mark.looks
@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_of_the_desk_is_accessible_and_fits_the_screen(desk, browser, width):
    from axe_core_python.sync_playwright import Axe

    path = f"/workspace/editions/{latest(desk)[0]}/"
    context = browser.new_context(
        base_url=desk.address, viewport={"width": width, "height": 900}, bypass_csp=True, java_script_enabled=True
    )
    page = context.new_page()
    page.goto("/accounts/sign-in/")
    page.get_by_label("Username").fill("demo-analyst")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/workspace/")
    faults = {}
    for address in ("/workspace/editions/", *(path + reading for reading in READINGS)):
        assert page.goto(address).status == 200
        if found := Axe().run(page)["violations"]:
            faults[address] = [(one["id"], one["nodes"][0]["html"][:120]) for one in found]
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            faults[f"{address} at {width}"] = f"{wide} px wide"
    context.close()
    assert faults == {}

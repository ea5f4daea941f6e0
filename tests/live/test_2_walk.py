"""The main job, in a real browser: an association submits, an officer accepts, analysts compute and publish, the
public ranking shows the change. Runs after test_1_stand, on the stand that it leaves.
"""

import re
from contextlib import contextmanager
from urllib.error import HTTPError

import pytest
from playwright.sync_api import expect

from .conftest import PASSWORD, until

pytestmark = pytest.mark.browser
CODE = "PK-SUR-SKT"


@pytest.fixture
def signed_in(browser, stand):
    """Open a browser of one's own, signed in; a console error or a foreign request fails the walk."""

    @contextmanager
    def opened(username: str):
        context = browser.new_context(base_url=stand.address, viewport={"width": 1280, "height": 900})
        page = context.new_page()
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("request", lambda r: None if r.url.startswith((stand.address, "data:")) else faults.append(r.url))
        if username:
            page.goto("/accounts/sign-in/")
            page.get_by_label("Username").fill(username)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
        yield page
        assert faults == []
        context.close()

    return opened


def test_the_association_mends_its_return_and_submits_it(stand, signed_in):
    sql = f"SELECT id FROM facts_return WHERE schedule = 'ASSOCIATION' AND subject LIKE '{CODE}/%' AND state = 'draft'"
    pk = stand.value(sql)
    with signed_in("demo-head") as page:
        page.goto("/workspace/")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.goto(f"/workspace/returns/{pk}/AB/")
        members = page.locator("[name=AB01]")
        before = members.input_value()
        page.locator("[name=AB02]").fill("99999")
        page.get_by_role("button", name="Save", exact=True).click()
        # AB02-H1: members with fewer than 50 persons cannot be more than all members.
        expect(page.get_by_role("alert").or_(page.locator(".error-summary"))).to_be_visible()
        assert page.locator("[name=AB01]").input_value() == before
        page.goto(f"/workspace/returns/{pk}/submit/")
        expect(page.get_by_text("open point").first).to_be_visible()

        page.goto(f"/workspace/returns/{pk}/AB/")
        page.locator("[name=AB02]").fill(str(int(re.sub(r"\D", "", before)) - 1))
        _save(page)
        _explain_all(page, pk)
        page.goto(f"/workspace/returns/{pk}/submit/")
        _certify(page)
        expect(page.get_by_role("heading", name="Receipt")).to_be_visible()
        digest = page.locator(".digest").inner_text()
    assert stand.value(f"SELECT digest FROM vault_sealedanswers WHERE ret_id = {pk} AND number = 1") == digest


def _explain_all(page, pk) -> None:
    """Write an explanation wherever a soft check asks for one."""
    for _ in range(8):
        page.goto(f"/workspace/returns/{pk}/submit/")
        link = page.locator("main a[href*='#']").first
        if page.get_by_label("Name").count() or not link.count():
            return
        page.goto(link.get_attribute("href").split("#")[0])
        for box in page.locator("[name^='explain']").all():
            if not box.input_value():
                box.fill("As in the minutes of the general meeting.")
        _save(page)


def _save(page) -> None:
    """Press Save, and wait for the page that comes: what was typed is sent first."""
    with page.expect_navigation():
        page.get_by_role("button", name="Save", exact=True).click()


def _certify(page) -> None:
    form = page.locator("main form").last
    for box in form.locator("input[type=text]").all():
        box.fill("A. Chair")
    for box in form.locator("input[type=password]").all():
        box.fill(PASSWORD)
    for box in form.locator("input[type=checkbox]").all():
        box.check()
    page.get_by_role("button", name="Certify and submit").click()


def test_the_supervisor_accepts_what_waits(stand, signed_in):
    waiting = (
        "SELECT count(*) FROM facts_return r JOIN clusters_cluster c ON c.id = r.cluster_id "
        f"WHERE c.code = '{CODE}' AND r.state IN ('submitted', 'in_review')"
    )
    pk = stand.value(f"SELECT id FROM facts_return WHERE subject LIKE '{CODE}/%' AND state = 'submitted'")
    with signed_in("demo-supervisor") as page:
        page.goto(f"/workspace/review/{pk}/")
        reason = page.locator("[name=override_reason]")
        if reason.count():
            reason.fill("The association was asked by telephone.")
        page.get_by_role("button", name="Accept", exact=True).click()
        expect(page.get_by_text("accepted").first).to_be_visible()
        for _ in range(4):
            page.goto(f"/workspace/review/?cluster={CODE}")
            boxes = page.locator("input[name=ret]")
            if not boxes.count():
                break
            for box in boxes.all():
                box.check()
            page.get_by_role("button", name="Accept the chosen ones").click()
            page.locator("[name=override_reason]").fill("Called back; the firms do not know.")
            page.get_by_role("button", name="Accept these returns").click()
    assert stand.value(waiting) == 0


def test_two_analysts_close_compute_and_publish_and_the_ranking_shows_it(stand, signed_in):
    with signed_in("demo-analyst") as page:
        page.goto("/workspace/editions/close-round/?round=2026")
        page.get_by_role("button", name="Propose to close the round").click()
        assert stand.value("SELECT state FROM facts_round WHERE year = 2026") == "open"
    with signed_in("demo-analyst2") as page:
        page.goto("/workspace/editions/close-round/?round=2026")
        page.get_by_role("button", name="Confirm: close the round").click()
        assert stand.value("SELECT state FROM facts_round WHERE year = 2026") == "closed"
    checks = "SELECT count(*) FROM jobs_job WHERE kind LIKE 'facts.check_%' AND state IN ('queued', 'running')"
    until(lambda: stand.value(checks) == 0, 120, "the checks that closing asked for are done")
    with signed_in("demo-analyst") as page:
        page.goto("/workspace/editions/")
        row = page.locator("form", has=page.locator("input[name=round][value='2026']")).first
        row.get_by_role("button").click()
        state = "SELECT state FROM cci_edition WHERE label = '2026'"
        until(lambda: stand.value(state) == "candidate", 60, "the edition is computed")
        pk = stand.value("SELECT id FROM cci_edition WHERE label = '2026'")
        page.goto(f"/workspace/editions/{pk}/")
        page.get_by_role("button", name="Propose for publication").click()
        page.goto(f"/workspace/editions/{pk}/")
        assert not page.get_by_role("button", name="Publish this edition").is_visible()
    with pytest.raises(HTTPError, match="404"):
        stand.get("/cci/2026/")
    with signed_in("demo-analyst2") as page:
        # The calendar announces it for a later month: nobody brings it forward without a word to readers.
        page.goto(f"/workspace/editions/{pk}/")
        page.get_by_role("link", name="Calendar entry").click()
        page.get_by_label("Why it is cancelled").fill("All returns are in: it comes out at once.")
        page.get_by_role("button", name="Cancel the release").click()
        page.goto(f"/workspace/editions/{pk}/")
        page.get_by_role("button", name="Publish this edition").click()
        expect(page.get_by_text("published").first).to_be_visible()
    with signed_in("") as page:
        page.goto("/cci/")
        assert page.url.endswith("/cci/2026/")
        expect(page.get_by_role("link", name="Surgical instruments, Sialkot", exact=True)).to_be_visible()
        page.goto(f"/clusters/{CODE}/")
        expect(page.get_by_text("2026").first).to_be_visible()


PUBLIC = [
    "/",
    "/clusters/",
    f"/clusters/{CODE}/",
    "/cci/2025/",
    "/cci/2025/methodology/",
    "/indicators/",
    "/indicators/O101/",
    "/facts/",
    "/interventions/",
    "/agencies/",
    "/api/",
    "/accounts/sign-in/",
    "/nothing-here/",
]


@pytest.mark.looks
@pytest.mark.parametrize("width", [360, 1280])
def test_public_pages_are_accessible_and_fit_the_screen(browser, stand, width):
    from axe_core_python.sync_playwright import Axe

    context = browser.new_context(base_url=stand.address, viewport={"width": width, "height": 900}, bypass_csp=True)
    page = context.new_page()
    faults = {}
    for path in PUBLIC:
        page.goto(path)
        found = Axe().run(page)["violations"]
        if found:
            faults[path] = [(v["id"], v["nodes"][0]["html"][:120]) for v in found]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            faults[f"{path} is {wide} px wide"] = []
    context.close()

    assert faults == {}


@pytest.mark.looks
def test_pages_are_light_and_work_without_scripts(browser, stand):
    """First view of a public page at most 150 KiB over the wire; the ranking is all there without scripts."""
    context = browser.new_context(base_url=stand.address, java_script_enabled=False)
    heavy = {}
    for path in PUBLIC[:-1]:
        page = context.new_page()
        sizes = []
        page.on("requestfinished", lambda r, sizes=sizes: sizes.append(r.sizes()["responseBodySize"]))
        page.goto(path, wait_until="networkidle")
        if sum(sizes) > 150 * 1024:
            heavy[path] = sum(sizes)
        page.close()
    page = context.new_page()
    page.goto("/cci/2025/")
    rows = page.locator("table a[href^='/clusters/']").count()
    context.close()

    assert heavy == {}
    assert rows >= 20

"""Review in a real browser: by keyboard, without scripts, on a phone, read by a screen reader's rules."""

import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from .conftest import PASSWORD, Stand

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A server with a small world of its own."""
    made = Stand(tmp_path_factory.mktemp("review"))
    try:
        made.serve("tests.live.review_world")
        yield made
    finally:
        made.stop()
        made.drop_database()


@pytest.fixture
def signed_in(browser, place):
    """A person's own browser. Scripts that fail, and what the content policy stops, fail the walk."""

    @contextmanager
    def opened(username: str, width: int = 1280, **options):
        context = browser.new_context(base_url=place.address, viewport={"width": width, "height": 900}, **options)
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
        page.goto("/accounts/sign-in/")
        page.get_by_label("Username").fill(f"demo-{username}")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/workspace/")
        yield page
        assert faults == []
        context.close()

    return opened


def pages_of(world: dict) -> dict[str, list[str]]:
    first, accepted = world["waiting"][0], world["accepted"]
    return {
        "supervisor": [
            "/workspace/",
            "/workspace/review/",
            f"/workspace/review/{first}/",
            "/workspace/queries/",
            f"/workspace/queries/{world['query']}/",
            f"/workspace/review/{accepted[1]}/open-again/",
            f"/workspace/returns/{accepted[1]}/",
        ],
        "analyst": ["/workspace/review/reopenings/", f"/workspace/review/{accepted[0]}/open-again/"],
        "entry": [
            "/workspace/",
            f"/workspace/queries/{world['query']}/",
            f"/workspace/returns/{first}/",
            f"/workspace/returns/{accepted[1]}/benchmark/",
            f"/workspace/benchmark/{world['cluster']}/",
        ],
    }


@pytest.mark.looks
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_of_review_is_accessible_and_fits_the_screen(place, signed_in, width):
    from axe_core_python.sync_playwright import Axe

    faults = {}
    for username, paths in pages_of(place.world).items():
        with signed_in(username, width, bypass_csp=True) as page:
            for path in paths:
                assert page.goto(path).status == 200
                if found := Axe().run(page)["violations"]:
                    faults[path] = [(v["id"], v["nodes"][0]["html"][:120]) for v in found]
                if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
                    faults[path] = f"{wide} px wide"

    assert faults == {}


@pytest.mark.looks
def test_the_keys_move_and_accepting_takes_two_presses(place, signed_in):
    first, second, third = place.world["waiting"]
    with signed_in("supervisor") as page:
        page.goto("/workspace/review/")
        page.locator("table a").first.click()
        page.wait_for_url(f"**/review/{first}/")  # what moves the ranking most stands first
        page.keyboard.press("j")
        page.wait_for_url(f"**/review/{second}/")
        page.keyboard.press("k")
        page.wait_for_url(f"**/review/{first}/")
        page.keyboard.press("s")
        expect(page.locator("#id_reason")).to_be_focused()
        page.keyboard.type("aj")  # letters typed into a field are letters
        expect(page.locator("#id_reason")).to_have_value("aj")

        page.goto(f"/workspace/review/{third}/")
        page.get_by_role("link", name="Previous").focus()
        page.keyboard.press("a")
        expect(page.get_by_role("button", name="Accept", exact=True)).to_be_focused()
        assert place.value(f"SELECT state FROM facts_return WHERE id = {third}") == "submitted"
        page.keyboard.press("a")
        expect(page.get_by_text("Accepted:")).to_be_visible()
    assert place.value(f"SELECT state FROM facts_return WHERE id = {third}") == "accepted"


def test_without_scripts_a_question_is_asked_answered_and_the_return_sent_back(place, signed_in):
    second = place.world["waiting"][1]
    with signed_in("supervisor", java_script_enabled=False) as page:
        page.goto(f"/workspace/review/{second}/")
        page.get_by_role("link", name="Ask about Labour cost").click()
        expect(page.locator("#id_question")).to_have_value("UB09")
        page.locator("#id_text").fill("Does this include piece-rate payments?")
        page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.get_by_text("Does this include piece-rate payments?")).to_be_visible()
    with signed_in("entry", width=360, java_script_enabled=False) as page:
        page.get_by_role("link", name="Labour cost").first.click()
        page.get_by_label("Your answer").fill("Yes, for the forty families.")
        page.get_by_role("button", name="Send the answer").click()
        expect(page.get_by_text("Yes, for the forty families.")).to_be_visible()
    with signed_in("supervisor", java_script_enabled=False) as page:
        page.goto(f"/workspace/review/{second}/")
        expect(page.get_by_text("Yes, for the forty families.")).to_be_visible()
        page.get_by_label("What is to be mended").fill("Please count the families as casual workers.")
        page.get_by_role("button", name="Send back").click()
        expect(page.get_by_text("Sent back with your words")).to_be_visible()
    assert place.value(f"SELECT state FROM facts_return WHERE id = {second}") == "sent_back"


def test_of_sixteen_decisions_at_once_one_counts_and_the_others_are_told(place, signed_in):
    """Two reviewers press on a bad line, again and again; one accepts, the other sends back."""
    first = place.world["waiting"][0]
    address = f"{place.address}/workspace/review/{first}/"
    requests = []
    for username, act in (("supervisor", "accept"), ("second", "send_back")):
        with signed_in(username) as page:
            page.goto(address)
            form = {
                "csrfmiddlewaretoken": page.locator("[name=csrfmiddlewaretoken]").first.input_value(),
                "seen": page.locator("[name=seen]").first.input_value(),
                "override_reason": "Seen the books at the works.",
                "reason": "Sales look too high; please look again.",
                act: "1",
            }
            cookies = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
            headers = {"Cookie": cookies, "Referer": address}
            requests.append(urllib.request.Request(address, urllib.parse.urlencode(form).encode(), headers))

    def send(request) -> int:
        try:
            return urllib.request.build_opener(_NoRedirect).open(request, timeout=60).status
        except urllib.error.HTTPError as answer:
            return answer.code

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, requests * 8))

    decided = (
        "SELECT count(*) FROM audit_event WHERE object_type = 'facts.return' AND object_id = '{}' AND action IN {}"
    )
    count = place.value(decided.format(first, "('return.accepted', 'return.sent_back')"))
    assert sorted(answers) == [302] + [409] * 15
    assert count == 1
    assert place.value(f"SELECT state FROM facts_return WHERE id = {first}") in ("accepted", "sent_back")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A decision answers with a redirect; following it would hide the answer."""

    def redirect_request(self, *args, **kwargs):
        return None

"""Filling a return in, in a real browser against a real server: on a bad line, beside a colleague, over a lunch break,
without a mouse, from a spreadsheet. What was typed is stored in the end, whatever happened in between.
"""

from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from .conftest import PASSWORD, Stand

pytestmark = pytest.mark.browser
PASTE = """(text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
  document.activeElement.dispatchEvent(paste);
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A server with a small world of its own: an association, six firms, last year's returns, this year's drafts."""
    made = Stand(tmp_path_factory.mktemp("entry"))
    try:
        made.serve("tests.live.entry_world")
        yield made
    finally:
        made.stop()
        made.drop_database()


def sign_in(page, username: str) -> None:
    page.goto("/accounts/sign-in/")
    page.get_by_label("Username").fill(f"demo-{username}")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/workspace/")


@pytest.fixture
def signed_in(browser, place):
    """A person's own browser. Scripts that fail, and what the content policy stops, fail the walk."""

    @contextmanager
    def opened(username: str = "entry", width: int = 1280, **options):
        context = browser.new_context(base_url=place.address, viewport={"width": width, "height": 900}, **options)
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
        page.on("dialog", lambda dialog: dialog.accept())
        sign_in(page, username)
        yield page, context
        assert faults == []
        context.close()

    return opened


def block(place, unit: int, code: str) -> str:
    return f"/workspace/returns/{place.world['units'][unit]}/{code}/"


def field(page, code: str):
    return page.locator(f"[data-question={code}]")


def fill(page, code: str, text: str) -> None:
    box = page.locator(f"input[name={code}]")
    box.fill(text)
    box.blur()


@pytest.fixture(scope="module")
def stored(browser, place):
    """What a colleague's device without scripts shows of a field: the server's word, not the page's."""
    context = browser.new_context(base_url=place.address, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, "head")

    def look(path: str, code: str) -> str:
        page.goto(path)
        return page.locator(f"[name='was:{code}']").get_attribute("value")

    yield look
    context.close()


def test_each_field_is_saved_as_it_is_left_and_the_checks_speak_at_once(place, stored, signed_in):
    with signed_in() as (page, _):
        page.goto(block(place, 0, "UB"))
        fill(page, "UB01", "21")
        expect(field(page, "UB01").locator("[data-state]")).to_contain_text("Saved")
        expect(field(page, "UB01").locator("[data-change]")).to_have_text("+5.0 %")
        fill(page, "UB02", "nine or so")
        expect(page.locator("#id_UB02_error")).to_contain_text("“nine or so” is not a number.")
        expect(page.locator("input[name=UB02]")).to_have_value("nine or so")
        page.reload()
        expect(page.locator("input[name=UB02]")).to_have_value("nine or so")  # refused words outlive a reload, too
        expect(page.locator("#id_UB02_error")).to_contain_text("is not a number")
        fill(page, "UB02", "30")
        fill(page, "UB03", "8")
        expect(page.locator(".field__error:visible").first).to_contain_text("UB0")  # 21 persons are not 30 and 8
        fill(page, "UB02", "13")
        expect(page.locator(".field__error:visible")).to_have_count(0)

        field(page, "UB04").get_by_role("button", name="Same as last year").click()
        expect(field(page, "UB04").get_by_text("confirmed unchanged")).to_be_visible()
        fill(page, "UB04", "1")
        expect(field(page, "UB04").get_by_text("confirmed unchanged")).to_be_hidden()
        expect(field(page, "UB04").locator("[data-state]")).to_contain_text("Saved")

    assert stored(block(place, 0, "UB"), "UB04") == "1"


@pytest.mark.looks
def test_questions_come_and_go_with_the_answers_without_a_reload(place, signed_in):
    with signed_in() as (page, _):
        page.goto(block(place, 0, "UA"))
        expect(field(page, "UA06")).to_be_visible()
        page.get_by_label("Closed for good").check()
        expect(page.locator("[data-section=UC] a")).to_be_hidden()
        page.get_by_label("Operated the whole year").check()
        expect(page.locator("[data-section=UC] a")).to_be_visible()

        page.goto(block(place, 0, "UF"))
        fill(page, "UF02", "0")
        # An answer that is stored stays to be seen, with a word on it; cleared, it goes, and the page says so.
        expect(field(page, "UF03").locator("[data-flag]")).to_contain_text("is not used")
        fill(page, "UF03", "")
        expect(page.locator("[data-announce]")).to_have_text("No longer asked: Interest rate.")
        expect(field(page, "UF03")).to_be_hidden()
        fill(page, "UF02", "15,00,000")
        expect(field(page, "UF03")).to_be_visible()
        expect(page.locator("[data-announce]")).to_have_text("1 more question: Interest rate.")


def test_typed_without_a_line_reloaded_and_stored_when_the_line_is_back(place, stored, signed_in):
    path = block(place, 1, "UC")
    with signed_in() as (page, context):
        page.goto(path)
        context.set_offline(True)
        fill(page, "UC01", "91,00,000")
        fill(page, "UC02", "10,00,000")
        fill(page, "UC04", "41")  # asked where there are sales, which the server has not heard of yet
        expect(page.locator("[data-line-text]")).to_have_text(
            "No connection. What you type is kept on this device and sent when the line is back (3 fields waiting)."
        )
        expect(field(page, "UC01").locator("[data-state]")).to_contain_text("Waiting")
        assert stored(path, "UC01") == ""
        context.set_offline(False)
        # The line is back, but the server is not: a reload shows what was typed, and it is sent then.
        context.route("**/answers/", lambda route: route.abort())
        page.reload()
        expect(page.locator("input[name=UC01]")).to_have_value("91,00,000")
        expect(page.locator("[data-line-text]")).to_contain_text("(3 fields waiting)")
        context.unroute("**/answers/")
        page.evaluate("window.dispatchEvent(new Event('online'))")
        expect(field(page, "UC04").locator("[data-state]")).to_contain_text("Saved")
        expect(page.locator("[data-line]")).to_be_hidden()
        assert page.evaluate("Object.keys(sessionStorage).filter((key) => key.startsWith('entry:')).length") == 0

    assert [stored(path, code) for code in ("UC01", "UC02", "UC04")] == ["91,00,000", "10,00,000", "41"]


def test_two_people_see_both_values_and_choose(place, stored, signed_in):
    path = block(place, 2, "UB")
    with signed_in("entry") as (mine, _), signed_in("head") as (theirs, _):
        mine.goto(path)
        theirs.goto(path)
        fill(theirs, "UB08", "31")
        expect(field(theirs, "UB08").locator("[data-state]")).to_contain_text("Saved")
        fill(mine, "UB08", "33")
        fill(mine, "UB01", "20")
        clash = mine.get_by_role("group", name="Two values for")
        expect(clash).to_contain_text("head")
        expect(clash.locator("strong")).to_have_text(["31", "33"])
        expect(field(mine, "UB01").locator("[data-state]")).to_contain_text("Saved")  # the other field is not held up
        assert stored(path, "UB08") == "31"

        clash.get_by_role("button", name="Keep mine").click()
        expect(field(mine, "UB08").locator("[data-state]")).to_contain_text("Saved")

    assert stored(path, "UB08") == "33"


def test_after_the_sign_in_ended_nothing_is_lost(place, stored, signed_in):
    path = block(place, 3, "UC")
    with signed_in() as (page, context):
        page.clock.install()
        page.goto(path)
        page.clock.fast_forward("02:56:00")
        ending = page.get_by_role("dialog", name="Are you still there?")
        expect(ending).to_contain_text("minutes")
        ending.get_by_role("button", name="Stay signed in").click()
        expect(ending).to_be_hidden()

        context.clear_cookies()
        fill(page, "UC01", "92,00,000")
        page.clock.run_for(100)
        ended = page.get_by_role("dialog", name="You are signed out")
        expect(ended).to_be_visible()
        ended.get_by_role("link", name="Sign in again").click()
        page.get_by_label("Username").fill("demo-entry")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"**{path}")
        page.clock.run_for(100)
        expect(page.locator("input[name=UC01]")).to_have_value("92,00,000")
        expect(field(page, "UC01").locator("[data-state]")).to_contain_text("Saved")
        page.goto(f"/workspace/returns/{place.world['units'][3]}/")
        expect(page.get_by_text("You stopped at Sales and markets")).to_be_visible()

    assert stored(path, "UC01") == "92,00,000"


@pytest.mark.looks
def test_signing_out_wipes_what_was_kept_on_the_device(place, signed_in):
    with signed_in() as (page, context):
        page.goto(block(place, 3, "UD"))
        context.route("**/answers/", lambda route: route.abort())
        fill(page, "UD02", "54")
        expect(page.locator("[data-line]")).to_be_visible()
        keys = "Object.keys(sessionStorage).filter((key) => key.startsWith('entry:')).length"
        assert page.evaluate(keys) == 1
        page.get_by_role("button", name="Sign out").first.click()
        page.wait_for_url("**/")
        assert page.evaluate(keys) == 0


@pytest.mark.looks
def test_a_block_is_filled_with_the_keyboard_alone(place, stored, signed_in):
    path = block(place, 4, "UB")
    answers = ["20", "12", "8", "2", "13", "5", "4", "30", "24,00,000"]
    with signed_in() as (page, _):
        page.goto(path)
        page.locator("input[name=UB01]").focus()
        for text in answers:
            page.keyboard.type(text)
            page.keyboard.press("Enter")  # moves on, and hands nothing in
        expect(page.get_by_role("button", name="Save and continue")).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url("**/UC/")
        # Every field can be left again with Tab, in both directions.
        page.locator("input[name=UC01]").focus()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") != "UC01"
        page.keyboard.press("Shift+Tab")
        assert page.evaluate("document.activeElement.name") == "UC01"

    assert stored(path, "UB09") == "24,00,000"
    assert stored(path, "UB01") == "20"


def test_a_block_of_cells_is_pasted_into_the_units_table(place, stored, signed_in):
    units = place.world["units"]
    with signed_in() as (page, _):
        page.goto("/workspace/returns/grid/?block=UB")
        first = page.locator(f"#c{units[4]}_UB01")
        first.focus()
        text = "25\t15\t10\nabout ten\t6\t4\n99\t1\t1"
        page.evaluate(PASTE, text)
        expect(page.locator("[data-grid-note]")).to_have_text(
            "5 cells filled, 1 refused. 3 values had no cell to go to: not asked there, or beyond this page."
        )
        wrong = page.locator(f"#c{units[5]}_UB01")
        expect(wrong).to_have_value("about ten")
        expect(page.locator(f"tr:has(#c{units[5]}_UB01) + tr")).to_contain_text("is not a number")
        expect(page.locator(f"td:has(#c{units[5]}_UB02)")).to_have_attribute("data-state", "saved")
        expect(page.locator(f"td:has(#c{units[4]}_UB03)")).to_have_attribute("data-state", "saved")

        first.focus()
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.dataset.code") == "UB02"
        page.keyboard.type("16")
        page.keyboard.press("Escape")
        expect(page.locator(f"#c{units[4]}_UB02")).to_have_value("15")
        page.keyboard.press("ArrowUp")
        assert page.evaluate("document.activeElement.id") == f"c{units[3]}_UB02"

    assert [stored(block(place, 4, "UB"), code) for code in ("UB01", "UB02", "UB03")] == ["25", "15", "10"]
    assert stored(block(place, 5, "UB"), "UB02") == "6"
    assert stored(block(place, 5, "UB"), "UB01") == ""


@pytest.mark.looks
@pytest.mark.parametrize("width", [360, 1280])
def test_the_pages_of_entry_are_accessible_and_fit_the_screen(place, signed_in, width):
    from axe_core_python.sync_playwright import Axe

    pk = place.world["units"][5]
    pages = ["", "UB/?check=1", "UG/", "check/", "submit/"]
    paths = [f"/workspace/returns/{pk}/{one}" for one in pages]
    paths += ["/workspace/returns/", "/workspace/returns/grid/", f"/workspace/returns/certify/?ret={pk}"]
    faults = {}
    with signed_in("head", width=width, bypass_csp=True) as (page, _):
        for path in paths:
            page.goto(path)
            found = Axe().run(page)["violations"]
            if found:
                faults[path] = [(v["id"], v["nodes"][0]["html"][:160]) for v in found]
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                faults[f"{path} is {wide} px wide"] = []

    assert faults == {}


@pytest.mark.looks
def test_a_slow_press_on_save_is_not_lost_to_a_message_that_comes_meanwhile(place, signed_in):
    with signed_in() as (page, _):
        page.goto(block(place, 5, "UD"))
        page.locator("input[name=UD07]").fill("1")  # far from the sum of its parts: a check speaks under the field
        button = page.get_by_role("button", name="Save", exact=True)
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 3)
        with page.expect_response("**/answers/"):
            page.mouse.down()
        with page.expect_navigation():
            page.mouse.up()
        expect(page.locator("input[name=UD07]")).to_have_value("1")


@pytest.mark.looks
def test_one_click_goes_on_where_nothing_was_changed(place, signed_in):
    with signed_in() as (page, context):
        page.goto(block(place, 5, "UE"))
        with page.expect_navigation():
            page.get_by_role("button", name="Save", exact=True).click()
        assert page.url.endswith("/UE/")
        with page.expect_navigation(url="**/UF/"):
            page.get_by_role("button", name="Save and continue").click()
        page.evaluate("window.isSamePage = true")
        context.set_offline(True)
        for _ in range(2):
            page.get_by_role("button", name="Save and continue").click()
            expect(page.locator("[data-line-text]")).to_contain_text("No connection.")
            expect(page.locator("[data-line]")).to_be_in_viewport()
        # The page still answers to the next press, and goes on once the line is back.
        context.set_offline(False)
        assert page.evaluate("window.isSamePage") and page.url.endswith("/UF/")
        with page.expect_navigation(url="**/UG/"):
            page.get_by_role("button", name="Save and continue").click()


@pytest.mark.looks
@pytest.mark.parametrize("width", [360, 1280])
def test_a_press_straight_after_typing_reaches_what_it_was_meant_for(place, signed_in, width):
    with signed_in(width=width) as (page, _):
        page.goto(block(place, 2, "UA"))

        def press(target):
            target.scroll_into_view_if_needed()
            box = target.bounding_box()
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            page.mouse.down()
            page.evaluate("new Promise((resolve) => { setTimeout(resolve, 90); })")  # a finger, not a script
            page.mouse.up()

        radios = page.locator("input[name=UA01]")
        wanted = next(one for one in radios.all() if not one.is_checked())
        text = page.locator("input[name=UA03]")
        before = text.input_value()
        text.fill(str(int(before) - 1))
        press(wanted)
        expect(wanted).to_be_checked()
        expect(field(page, "UA01").locator("[data-state]")).to_contain_text("Saved")
        expect(wanted).to_be_checked()

        page.goto(block(place, 2, "UE"))
        last = page.locator(".entry .question:not([hidden]) input[inputmode]").last
        last.fill("1")
        with page.expect_navigation():
            press(page.get_by_role("button", name="Save", exact=True))
        expect(last).to_have_value("1")


def test_what_is_left_to_mend_is_said_on_the_next_page(place, signed_in):
    with signed_in() as (page, _):
        page.goto(block(place, 0, "UB"))
        fill(page, "UB01", "21")
        fill(page, "UB02", "30")
        fill(page, "UB03", "8")  # 21 persons are not 30 and 8
        expect(page.locator(".field__error:visible").first).to_contain_text("UB0")
        page.get_by_role("button", name="Save and continue").click()
        page.wait_for_url("**/UC/")
        link = page.locator(".messages a")
        expect(link).to_contain_text("to mend")
        link.click()
        page.wait_for_url("**/UB/#id_UB0*")

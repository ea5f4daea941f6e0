"""Sixty-four at once, on the running stand: one return handed in by as many clicks gets one version, one receipt."""

import http.client
import re
import threading

from .conftest import PASSWORD

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
REVISION = re.compile(r'name="revision" value="(\d+)"')
DIGEST = re.compile(r'<code class="digest">([0-9a-f]{64})</code>')
MANY = 64


def test_sixty_four_equal_submits_make_one_version_and_get_equal_receipts(stand, visitor):
    head = visitor("demo-head")
    pk, page = ready_to_hand_in(stand, head)
    fields = {
        "csrfmiddlewaretoken": TOKEN.search(page)[1],
        "revision": REVISION.search(page)[1],
        "certified_name": "Asma Malik, secretary",
        "statement": "on",
        "password": PASSWORD,
    }

    answers = at_once(stand, head, f"/workspace/returns/{pk}/submit/", fields)

    receipts = [DIGEST.search(body)[1] for _, body in answers]
    assert {status for status, _ in answers} == {200}
    assert len(receipts) == MANY
    assert len(set(receipts)) == 1
    assert stand.query(f"SELECT state, version FROM facts_return WHERE id = {pk}") in (
        [("submitted", 1)],
        [("in_review", 1)],
    )
    sealed = f"SELECT digest FROM vault_sealedanswers WHERE ret_id = {pk} AND number > 0"
    assert stand.query(sealed) == [(receipts[0],)]
    told = f"SELECT count(*) FROM audit_event WHERE action = 'return.submit' AND object_id = '{pk}'"
    assert stand.value(told) == 1


def ready_to_hand_in(stand, head) -> tuple[int, str]:
    """A draft of the association in which nothing is open, and its page of certification."""
    drafts = stand.query(
        "SELECT r.id FROM facts_return r JOIN facts_round o ON o.id = r.round_id "
        "JOIN clusters_cluster c ON c.id = r.cluster_id "
        "WHERE r.state = 'draft' AND r.version = 0 AND r.schedule = 'UNIT' AND o.state = 'open' "
        "AND c.code = 'PK-SUR-SKT' ORDER BY r.id"
    )
    for (pk,) in drafts:
        page = head.get(f"/workspace/returns/{pk}/submit/")
        if 'name="certified_name"' in page:
            return pk, page
    raise AssertionError(f"none of {len(drafts)} drafts is ready to be handed in")


def at_once(stand, head, path: str, fields: dict) -> list[tuple[int, str]]:
    """Send the same form from as many connections as nearly together as threads can; follow to the receipt."""
    from urllib.parse import urlencode

    cookie = "; ".join(f"{one.name}={one.value}" for one in head.jar)
    headers = {"Cookie": cookie, "Referer": stand.address + path, "Content-Type": "application/x-www-form-urlencoded"}
    body, answers, start = urlencode(fields), [], threading.Barrier(MANY)

    def click():
        connection = http.client.HTTPConnection("127.0.0.1", stand.port, timeout=120)
        connection.connect()
        start.wait(60)
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status == 302:
            connection.request("GET", answer.headers["Location"], headers={"Cookie": cookie})
            answer = connection.getresponse()
            content = answer.read()
        answers.append((answer.status, content.decode()))

    threads = [threading.Thread(target=click) for _ in range(MANY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers

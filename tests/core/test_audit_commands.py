"""The commands of the audit chain: the head that is printed daily, and the verdict over all of it."""

import io
import re

import pytest
from django.core.management import CommandError, call_command

from core.audit.models import GENESIS, Event, record
from tests.factories import UserFactory, rules_lifted

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain(db):
    user = UserFactory()
    for number in range(5):
        record("test.act", user, by=user, number=number)
    return user


def said(command: str, **options) -> str:
    out = io.StringIO()
    call_command(command, stdout=out, **options)
    return out.getvalue().strip()


def test_the_head_is_date_number_and_digest(chain):
    last = Event.objects.get(seq=5)

    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d 5:{last.digest}", said("audit_head"))


def test_an_empty_chain_has_the_beginning_as_its_head():
    assert said("audit_head").endswith(f" 0:{GENESIS}")
    assert "whole: 0 events" in said("verify_audit")


def test_a_whole_chain_verifies_with_and_without_a_printed_head(chain):
    printed = said("audit_head").split()[1]
    record("test.later", chain, by=chain)

    assert "whole: 6 events" in said("verify_audit")
    assert "whole: 6 events" in said("verify_audit", head=printed)


def test_a_broken_chain_is_refused_with_its_first_event_and_exit_1(chain):
    with rules_lifted("audit_event"):
        Event.objects.filter(seq=3).update(action="test.other")

    with pytest.raises(CommandError, match=r"event 3: its content") as refusal:
        said("verify_audit")
    assert refusal.value.returncode == 1


def test_a_chain_that_was_cut_off_is_refused_where_a_head_was_printed(chain):
    printed = said("audit_head").split()[1]
    with rules_lifted("audit_event"):
        Event.objects.filter(seq__gt=3).delete()

    assert "whole: 3 events" in said("verify_audit")  # nothing inside tells
    with pytest.raises(CommandError, match="cut off"):
        said("verify_audit", head=printed)


@pytest.mark.parametrize("text", ["5", "x:abc", "5:abc", f":{GENESIS}"])
def test_a_head_that_is_none_is_refused(chain, text):
    with pytest.raises(CommandError, match="--head"):
        said("verify_audit", head=text)

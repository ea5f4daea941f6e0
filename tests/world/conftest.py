"""The whole demonstration world, loaded once through the real services. Run by itself: it fills the test database."""

import pytest


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    from observatory.demo import load_world

    with django_db_blocker.unblock():
        load_world(lambda stage, done, total: None)


@pytest.fixture
def world(db):
    """The loaded world; changes of a test are rolled back."""

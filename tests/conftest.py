"""What every test may use."""

import os
from pathlib import Path

import pytest

DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup"}
SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser):
    parser.addoption(
        "--second-stand",
        action="store_true",
        help="Leave out what another database cannot change: pure functions, and how pages look.",
    )


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--second-stand"):
        return
    kept = [item for item in items if _is_of_the_stand(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def _is_of_the_stand(item) -> bool:
    if item.get_closest_marker("looks"):
        return False
    if "live" in item.path.parts or item.get_closest_marker("stand") or item.get_closest_marker("django_db"):
        return True
    return bool(DATABASE_FIXTURES.intersection(getattr(item, "fixturenames", ())))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference files beside the project; tests that need it are skipped, aloud, where it is missing."""
    if not SHARED.exists():
        pytest.skip("the reference files are not beside this project")
    return SHARED


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The system's Chromium."""
    import shutil

    path = os.environ.get("OBSERVATORY_BROWSER") or shutil.which("chromium") or ""
    if not path:
        pytest.skip("no Chromium on this machine")
    return path


@pytest.fixture(autouse=True)
def _fresh_lookups():
    """Classifications are read once a process; each test has its own."""
    from facts.services import instruments

    instruments.lookups.cache_clear()
    yield
    instruments.lookups.cache_clear()


@pytest.fixture
def town(db):
    """A cluster with association, agency, three firms, people and an open round."""
    from tests.factories import Town

    return Town()

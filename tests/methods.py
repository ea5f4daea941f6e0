"""A second methodology, written beside a copy of the first: other weights of the pillars, one goalpost, one rule."""

import shutil
from contextlib import contextmanager
from pathlib import Path

from django.utils import timezone

from cci import methodology as files
from cci.models import Methodology
from cci.services import register_methodology


@contextmanager
def second_method(folder: Path, version: str = "1.1"):
    """Let a copy of the fixtures with a further version stand in for them."""
    real = files.FIXTURES
    for name in ("methodologies", "indicators"):
        shutil.copytree(real / name, folder / name)
    indicators = (folder / "indicators/facts-1.0.toml").read_text()

    changed = indicators.replace('"Value-added ratio"', '"Value added in output"')
    assert changed != indicators
    (folder / f"indicators/facts-{version}.toml").write_text(changed)
    text = (folder / "methodologies/cci-1.0.toml").read_text()
    for before, after in (
        ('version = "1.0"', f'version = "{version}"'),
        ('indicators = "facts-1.0.toml"', f'indicators = "facts-{version}.toml"'),
        ("floor = [0, 0, 1]", "floor = [0, 0, 5]"),
        ('"geometric_mean"]', '"arithmetic_mean"]'),
    ):
        assert before in text, before
        text = text.replace(before, after)
    (folder / f"methodologies/cci-{version}.toml").write_text(text)
    files.FIXTURES = folder
    files.load_method.cache_clear()
    try:
        yield version
    finally:
        files.FIXTURES = real
        files.load_method.cache_clear()


def adopted(version: str = "1.0") -> Methodology:
    """A methodology as if two people had gone through it."""
    method = register_methodology(version)
    Methodology.objects.filter(pk=method.pk).update(state="adopted", adopted_at=timezone.now())
    method.refresh_from_db()
    return method

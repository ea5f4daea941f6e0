"""What the documents say is there, is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.urls import reverse

BASE = Path(__file__).resolve().parents[1]
PAGES = [
    BASE / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/methodology.md",
        "docs/deploy.md",
        "docs/api.md",
        "docs/field-collection.md",
    )
]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = [t for t in targets if not t.startswith("http") and not (page.parent / t).exists()]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_commands_exist(page):
    text = page.read_text()
    makefile = (BASE / "Makefile").read_text()

    assert [
        t for t in re.findall(r"`?make ([a-z]+)\b", text) if f"\n{t}:" not in makefile and t in text.split("`")
    ] == []
    assert [c for c in re.findall(r"manage\.py ([a-z_]+)", text) if c not in get_commands()] == []


def test_the_map_of_the_house_names_folders_that_exist():
    house = (BASE / "README.md").read_text().split("## The house")[1].split("```")[1]
    named = re.findall(r"^(\w+)/|^(\w+)/ (\w+)/", house, flags=re.M)

    assert {"core", "clusters", "facts", "cci", "interventions", "observatory"} <= {first for first, *_ in named}
    assert all((BASE / first).is_dir() for first, *_ in named if first)


def test_addresses_of_the_readme_are_pages():
    addresses = re.findall(r"http://127\.0\.0\.1:8000(/\S*?)\)", (BASE / "README.md").read_text())

    assert set(addresses) <= {reverse("cci:latest"), reverse("api-docs")}


def test_every_decision_has_context_decision_and_consequences():
    decisions = sorted((BASE / "docs/adr").glob("*.md"))

    assert len(decisions) >= 3
    for path in decisions:
        assert all(f"**{word}.**" in path.read_text() for word in ("Context", "Decision", "Consequences")), path.name


def test_each_dependency_says_why():
    block = (BASE / "pyproject.toml").read_text().split("dependencies = [")[1].split("]\n")[0]
    lines = [line for line in block.splitlines() if line.strip().startswith('"')]

    assert len(lines) > 10
    assert [line for line in lines if "#" not in line] == []


def test_the_sample_index_of_the_readme_computes(tmp_path):
    line = next(x for x in (BASE / "README.md").read_text().splitlines() if "sample-index/iData.csv" in x)
    arguments = re.search(r"cci\.engine (run .*?) --out", line)[1].split()

    answer = subprocess.run(
        [sys.executable, "-m", "cci.engine", *arguments, "--out", str(tmp_path)], cwd=BASE, check=False, timeout=60
    )

    assert answer.returncode == 0
    ranks = (tmp_path / "ranks.csv").read_text().splitlines()
    assert ranks[0].split(",")[0] == "uCode"
    assert len(ranks) == 6

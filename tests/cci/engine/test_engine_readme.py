"""The engine's README is true: its commands run, its settings are read, and every setting is in it."""

import re
import shlex
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from cci.engine.commands import main
from cci.engine.config import read_config
from cci.engine.config.keys import Keys
from cci.engine.uncertainty import read_choices, read_sensitivity

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "cci" / "engine" / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
BLOCKS = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
# What a block about one table needs around it to be a whole configuration.
AROUND = "[impute]\nmethod = 'mean'\n[treat]\n[normalise]\n[aggregate]\n[rank]\n"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with the sample, to run the commands in."""
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures" / "sample-index").symlink_to(ROOT / "fixtures" / "sample-index")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_give_an_index_intervals_an_audit_and_a_comparison(checkout, capsys):
    for command in COMMANDS:
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "cci.engine"]

        assert main(words[3:]) == 0, capsys.readouterr().err

    out = checkout / "var" / "sample"
    named = set(re.findall(r"`(\w+\.csv(?:\.gz)?)`", TEXT.split("## Every setting")[0]))
    written = {path.name for path in out.rglob("*.csv*")}
    assert named - {"iData.csv", "iMeta.csv"} <= written
    stats = pd.read_csv(out / "uncertainty" / "rank_stats.csv").set_index("uCode")
    assert (stats["q5"] <= stats["nominal"]).all() and (stats["nominal"] <= stats["q95"]).all()
    assert stats["nominal"].sort_values().tolist() == [1, 2, 3, 4, 5]
    parts = pd.read_csv(out / "change" / "decomposition.csv").query("status == 'both'")
    total = parts[["leavers", "performance", "framework", "entrants"]].sum(axis=1)
    assert total.tolist() == pytest.approx(parts["rank_change"].tolist())
    assert len(pd.read_csv(out / "audit" / "cronbach_alpha.csv")) > 0


def test_the_python_example_holds(monkeypatch):
    monkeypatch.chdir(ROOT)

    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(block, "README.md", "exec"), {})


def test_every_block_of_settings_is_read_and_every_setting_is_in_one(monkeypatch):
    offered: set[tuple[str, str]] = set()
    used: set[tuple[str, str]] = set()
    take = Keys.take

    def recording_take(self, key, default):
        offered.add((re.sub(r"groups\.\w+", "groups", self.table), key))
        return take(self, key, default)

    monkeypatch.setattr(Keys, "take", recording_take)
    for block in BLOCKS:
        config = tomllib.loads(block)
        whole = tomllib.loads(AROUND) | config
        read_config(whole, file="README.md")
        if "uncertainty" in config:
            read_choices(whole, read_config, file="README.md")
        if "sensitivity" in config:
            read_sensitivity(config, file="README.md")
        used |= set(written(config))

    # An aggregate's own rule knows the keys of [aggregate].
    missing = {(table, key) for table, key in offered - used if (table.removesuffix(".groups"), key) not in used}
    assert missing == set()
    assert len(offered) > 80


def written(config, table=""):
    for key, value in config.items():
        if isinstance(value, dict):
            yield table, key
            yield from written(value, f"{table}.{key}".strip("."))
        else:
            yield re.sub(r"groups\.\w+", "groups", table), key


def test_every_method_is_in_the_readme():
    from cci.engine import aggregation, imputation, treatment
    from cci.engine.config.scoring import NORMALISATIONS, PROFILES, WEIGHTS

    methods = {*imputation.METHODS, *treatment.TRANSFORMS, *NORMALISATIONS, *WEIGHTS, *aggregation.METHODS, *PROFILES}

    assert {method for method in methods - {"unchanged"} if not re.search(rf"\b{method}\b", TEXT)} == set()

"""The command line door: what it writes, the same each time, and nothing else."""

import csv
import gzip
import hashlib
import io
import math
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cci.engine.errors import DataError
from cci.engine.tables import numbers, parse_csv, to_csv

ROOT = Path(__file__).parents[3]
ALL_STEPS = """\
[screen]
method = "by_na"
min_available = 0.5
[impute]
method = "none"
[treat]
[normalise]
[aggregate]
min_available = 0.5
[rank]
"""


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_worked_example(run, small):
    """By hand: a 0, 40, 100; b reversed 0, 100, 50; c 0, -, 100; d 0, 100, 33.3; weights 1:3, 1:1, 1:2."""
    answer = run(**small)

    assert answer.code == 0, answer.err
    assert answer.err == ""
    scores = answer.table("scores")
    assert scores["P"].tolist() == [0, (40 + 3 * 100) / 4, (100 + 3 * 50) / 4]
    assert scores["Q"].tolist() == pytest.approx([0, 100, 200 / 3])
    assert scores["T"].tolist() == pytest.approx([0, (85 + 200) / 3, (62.5 + 400 / 3) / 3])
    assert answer.table("ranks").to_dict("list") == {"P": [3, 1, 2], "Q": [3, 1, 2], "T": [3, 1, 2]}


def test_each_step_writes_its_table_and_absent_steps_write_none(run, small):
    whole = run(small["data"], small["meta"], ALL_STEPS, out="whole")
    part = run(small["data"], small["meta"], '[impute]\nmethod = "none"\n[normalise]\n', out="part")

    assert {p.name for p in whole.out.iterdir()} == {
        *("screened.csv", "imputed.csv", "treated.csv", "treated_cells.csv", "normalised.csv", "bounds.csv"),
        *("scores.csv", "ranks.csv", "coverage.csv", "report.json"),
    }
    assert {p.name for p in part.out.iterdir()} == {"imputed.csv", "normalised.csv", "bounds.csv", "report.json"}
    assert whole.report["steps"] == ["screen", "impute", "treat", "normalise", "aggregate", "rank"]


def test_tables_are_sorted_and_empty_means_missing(run, small):
    answer = run(small["data"], small["meta"], small["config"])

    text = (answer.out / "normalised.csv").read_text()
    assert text == "uCode,a,b,c,d\nX,0.0,0.0,0.0,0.0\nY,40.0,100.0,,100.0\nZ,100.0,50.0,100.0,33.33333333333333\n"
    assert (answer.out / "ranks.csv").read_text() == "uCode,P,Q,T\nX,3,3,3\nY,1,1,1\nZ,2,2,2\n"


def test_units_screened_out_are_in_no_table_and_in_the_report(run, small):
    data = small["data"] + "Wanda,W,,,,1\n"

    answer = run(data, small["meta"], ALL_STEPS)

    for path in answer.out.glob("*.csv"):
        assert path.name == "bounds.csv" or "W" not in pd.read_csv(path)["uCode"].tolist(), path.name
    reason = "fewer than 2 of 4 indicators available"
    assert answer.report["screening"]["screened_out"] == [
        {"unit": "W", "row": 5, "available": 1, "indicators": 4, "nonzero": 1, "reason": reason}
    ]
    assert answer.report["units"]["read"] == 4


def test_report_names_defaults_parameters_and_what_was_not_used(run, small):
    report = run(**small).report

    assert set(report["defaults"]) == {
        *("normalise.lower", "normalise.upper", "normalise.scope", "aggregate.method"),
        *("aggregate.min_components", "aggregate.min_weight_share", "aggregate.floor"),
        *("rank.ties", "rank.tolerance"),
    }
    assert report["parameters"]["normalise"] == {
        "method": "min_max",
        "lower": 0,
        "upper": 100,
        "scope": "all",
    }
    assert [level["min_available"] for level in report["parameters"]["aggregate"]["levels"]] == [0.5, 0.5]
    assert report["unused"] == {"data_columns": ["uName"], "meta_columns": ["iName"], "meta_rows": ["size"]}
    assert set(report["libraries"]) == {"numpy", "pandas", "python"}
    assert report["coverage"]["Q"]["min_share_observed"] == 0.5


def test_digests_are_those_of_the_files(run, small, tmp_path):
    answer = run(**small)

    for role, name in [("data", "iData.csv"), ("meta", "iMeta.csv"), ("config", "config.toml")]:
        digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        assert answer.report["inputs"][role] == {"file": name, "sha256": digest}
    for entry in answer.report["tables"].values():
        content = (answer.out / entry["file"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()


def test_same_input_gives_the_same_bytes_anywhere(run, small):
    first = run(small["data"], small["meta"], ALL_STEPS, out="one")
    second = run(small["data"], small["meta"], ALL_STEPS, out="deep/er/two")

    assert files(first.out) == files(second.out)
    assert str(first.out.parent).encode() not in files(first.out)["report.json"]


def test_row_order_changes_only_the_digest_of_the_input(run, small):
    header, *rows = small["data"].splitlines()
    turned = "\n".join([header, *reversed(rows)]) + "\n"

    first = run(small["data"], small["meta"], ALL_STEPS, out="one")
    second = run(turned, small["meta"], ALL_STEPS, out="two")

    for name, content in files(first.out).items():
        assert name == "report.json" or content == files(second.out)[name]


def test_folder_may_hold_other_files_and_shows_one_run(run, small, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    run(small["data"], small["meta"], ALL_STEPS)

    run(small["data"], small["meta"], "[normalise]\n")

    assert {p.name for p in folder.iterdir()} == {"notes.txt", "normalised.csv", "bounds.csv", "report.json"}
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_an_input_is_never_overwritten(run, small, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "normalised.csv").write_text(small["data"])

    answer = run(folder / "normalised.csv", small["meta"], "[normalise]\n")

    assert answer.code == 2
    assert (folder / "normalised.csv").read_text() == small["data"]


def test_compressed_data_bom_and_line_ends_are_read(run, small, tmp_path):
    packed = tmp_path / "packed.csv.gz"
    text = small["data"].replace("\n", "\r\n")
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))

    answer = run(packed, small["meta"], small["config"], out="packed")

    assert answer.code == 0, answer.err
    plain = run(**small)
    assert answer.table("scores").equals(plain.table("scores"))


def test_codes_that_look_like_numbers_keep_their_zeros(run, small):
    answer = run(small["data"].replace(",X,", ",007,"), small["meta"], small["config"])

    assert (answer.out / "scores.csv").read_text().splitlines()[1].startswith("007,")


def test_module_runs_as_a_command(small, tmp_path):
    for name, key in [("iData.csv", "data"), ("iMeta.csv", "meta"), ("config.toml", "config")]:
        (tmp_path / name).write_text(small[key])
    command = [sys.executable, "-m", "cci.engine", "run", "--meta", str(tmp_path / "iMeta.csv")]
    command += ["--config", str(tmp_path / "config.toml"), "--out", str(tmp_path / "out")]

    good, bad = (
        subprocess.Popen([*command, "--data", str(tmp_path / name)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for name in ("iData.csv", "no.csv")
    )
    good_err, bad_err = good.communicate()[1], bad.communicate()[1]

    assert (good.returncode, good_err) == (0, "")
    assert (tmp_path / "out" / "ranks.csv").exists()
    assert bad.returncode == 2
    assert bad_err == "no.csv: the file cannot be read (No such file or directory); check its path.\n"


# The quick reader and writer give what the strict ones give.

cell = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["", "1", "-0.5", "+3", "1e-7", ".5", "7.", "1_0", "nan", "Inf", "1e999", " 2", "NA", "0x1", "٣"]),
    st.text(st.characters(exclude_characters='\0\r\n,"', exclude_categories=["Cs"]), max_size=5),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(cell, cell), min_size=1, max_size=8))
def test_a_plain_table_is_read_as_the_strict_reader_reads_it(rows):
    body = "".join(f"u,{first},{second}\n" for first, second in rows)

    quick = parse_csv(f"uCode,a,b\n{body}".encode(), name="x.csv")
    strict = parse_csv(f'"uCode",a,b\n{body}'.encode(), name="x.csv")

    assert quick.to_dict("list") == strict.to_dict("list")
    for column in ("a", "b"):
        assert read_or_refused(quick[column]) == read_or_refused(quick[column].astype(object))


def read_or_refused(column):
    try:
        return [
            None if math.isnan(value) else value for value in numbers(column, name="a", file="x.csv", error=DataError)
        ]
    except DataError as exc:
        return str(exc)


double = st.one_of(
    st.floats(allow_nan=True),
    st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("d", struct.pack("Q", bits))[0]),
    st.integers(-10, 10).map(float),
    st.sampled_from([1e-4, 9.999e-5, 1e9, 1e15, 1e16, -0.0, 123456789.5, 5e-324]),
)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(text, double, st.one_of(st.none(), st.integers(-9, 9))), min_size=1, max_size=8))
def test_a_table_is_written_as_python_writes_its_numbers(rows):
    texts, doubles, wholes = zip(*rows, strict=True)
    table = pd.DataFrame({"t,x": list(texts), "f": np.array(doubles), "i": pd.array(wholes, dtype="Int64")})

    content = to_csv(table)

    expected = [[t, "" if math.isnan(f) else repr(f), "" if i is None else str(i)] for t, f, i in rows]
    assert list(csv.reader(io.StringIO(content.decode(), newline=""))) == [["t,x", "f", "i"], *expected]


# Odd data: what is defined is computed, what is not is missing and said to be so.

EVERYTHING = """\
[screen]
min_available = 0
[impute]
method = "median"
[treat]
[normalise]
lower = 1
[aggregate]
method = ["arithmetic_mean", "geometric_mean"]
min_available = 0.5
[rank]
[profiles]
"""


def warned(answer) -> dict[str, list[str]]:
    return {warning["kind"]: warning["names"] for warning in answer.report["warnings"]}


def test_one_unit_has_no_scores_and_that_is_said(run, small):
    answer = run("uCode,a,b,c,d\nX,1,2,3,4\n", small["meta"], EVERYTHING)

    assert answer.code == 0, answer.err
    assert answer.table("scores").isna().all(axis=None)
    assert warned(answer)["constant_indicator"] == ["a", "b", "c", "d"]
    assert warned(answer)["no_scores"] == ["P", "Q", "T"]


def test_data_without_any_value_have_no_scores(run, small):
    answer = run("uCode,a,b,c,d\nX,,,,\nY,,,,\n", small["meta"], EVERYTHING)

    assert answer.code == 0, answer.err
    assert answer.table("ranks").isna().all(axis=None)
    assert warned(answer)["not_imputed"] == ["a", "b", "c", "d"]


def test_a_constant_indicator_is_missing_never_a_midpoint(run, small):
    data = "uCode,a,b,c,d\nX,5,1,3,1\nY,5,2,2,2\nZ,5,3,1,3\n"

    answer = run(data, small["meta"], EVERYTHING)

    assert answer.code == 0, answer.err
    assert answer.table("normalised")["a"].isna().all()
    assert warned(answer)["constant_indicator"] == ["a"]
    assert answer.table("scores")["P"].tolist() == [100, 50.5, 1]


def test_ties_share_their_rank(run, small):
    data = "uCode,a,b,c,d\nW,1,2,1,2\nX,1,2,1,2\nY,9,1,9,9\nZ,0,9,0,0\n"

    answer = run(data, small["meta"], EVERYTHING)

    assert answer.table("ranks")["T"].to_dict() == {"W": 2, "X": 2, "Y": 1, "Z": 4}


def test_one_spike_is_left_and_named(run, small):
    rows = "".join(f"U{n:02d},{int(n == 0)},{n},{n},{n}\n" for n in range(40))

    answer = run("uCode,a,b,c,d\n" + rows, small["meta"], EVERYTHING)

    assert answer.code == 0, answer.err
    assert answer.table("treated")["a"].tolist() == [1] + [0] * 39
    assert warned(answer)["still_failing"] == ["a"]


def test_values_below_zero_under_a_geometric_mean_are_refused_by_name(run, small):
    config = '[normalise]\nmethod = "z_score"\n[aggregate]\nmethod = "geometric_mean"\n'

    answer = run(small["data"], small["meta"], config)

    assert answer.code == 2
    assert "iData.csv, row 2, column a: unit X: component a of P is -" in answer.err


@pytest.mark.parametrize("do", ["run", "audit"])
def test_names_of_ten_thousand_characters(run, small, do):
    name = "n" * 10_000
    data, meta = (text.replace(",a,", f",{name},") for text in (small["data"], small["meta"]))

    answer = run(data.replace(",X,", f",{'X' * 10_000},"), meta, EVERYTHING, do=do)

    assert answer.code == 0, answer.err
    if do == "run":
        assert name in answer.table("normalised").columns
        assert "X" * 10_000 in answer.table("ranks").index

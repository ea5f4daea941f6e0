"""Bad input: exit 2, one line that names file, row and column, and nothing written."""

import gzip
import os
import re

import numpy as np
import pandas as pd
import pytest

from cci.engine import ConfigError, DataError, compute
from cci.engine.aggregation import arithmetic_mean
from cci.engine.commands import main

HEADER = "uName,uCode,a,b,c,d\n"


GENERAL = '[aggregate]\nmethod = "generalised_mean"\n'
ENVELOPE = '[aggregate]\nmethod = "benefit_of_doubt"\n'
ENVELOPE_BELOW = '[aggregate]\nmethod = ["benefit_of_doubt", "arithmetic_mean"]\n'


def refused(answer, *words: str) -> None:
    """Exit 2, one line with all the words, nothing in or beside the folder."""
    assert answer.code == 2
    assert answer.err.endswith("\n")
    assert answer.err.count("\n") == 1, answer.err
    for word in words:
        assert word in answer.err, f"{word!r} is not in: {answer.err}"
    assert not answer.out.exists()
    assert not [path for path in answer.out.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("uName,uCode,a,b,c,d", "uName,uCode,a,b,x,d", ["row 1", "column c", "meta"]),
        ("uName,uCode,a", "uName,unit,a", ["row 1", "column uCode", "missing"]),
        ("Zora,Z,", "Zora,Y,", ["row 4", "column uCode", "unit Y stands twice", "row 3"]),
        ("Zora,Z,", "Zora,,", ["row 4", "column uCode", "no code"]),
        ("Zora,Z,", "Zora,Y ,", ["row 4", "column uCode", "'Y ' and 'Y' (row 3)", "blanks only"]),
        ("Xenia,X,", "Xenia, Z,", ["row 4", "column uCode", "'Z' and ' Z' (row 2)", "blanks only"]),
        ("Zora,Z,", "Zora,=1+1,", ["row 4", "column uCode", "'=1+1'", "formula"]),
        ("Zora,Z,", "Zora,@SUM(A1),", ["row 4", "column uCode", "formula"]),
        ("Zora,Z,", "Zora,+Z,", ["row 4", "column uCode", "formula"]),
        ("Zora,Z,", "Zora,-Z,", ["row 4", "column uCode", "formula"]),
        ("Zora,Z,", "Zora,\tZ,", ["row 4", "column uCode", "formula"]),
        ("Zora,Z,", 'Zora,"\rZ",', ["row 4", "column uCode", "formula"]),
        ("3.5", "1e-400", ["row 4", "column a", "'1e-400' is too small"]),
        ("3.5", "5e-324", ["row 4", "column a", "'5e-324' is too small"]),
        ("3.5", "three", ["row 4", "column a", "'three' is not a number"]),
        ("3.5", "NA", ["row 4", "column a", "'NA'", "empty if missing"]),
        ("3.5", '"3,5"', ["row 4", "column a", "'3,5'"]),
        ("3.5", "1_0", ["row 4", "column a", "'1_0'"]),
        ("3.5", "nan", ["row 4", "column a", "'nan'"]),
        ("3.5", "٣", ["row 4", "column a"]),
        ("3.5", '"3\n5"', ["row 4", "column a"]),
        ("3.5", "Inf", ["row 4", "column a", "infinite"]),
        ("3.5", "-inf", ["row 4", "column a", "infinite"]),
        ("3.5", "1e999", ["row 4", "column a", "infinite"]),
        ("uName,uCode,a,b,c,d", "uName,uCode,a,b,c,a", ["row 1", "column a", "stands twice"]),
        ("uName,uCode,a", ",uCode,a", ["row 1", "column number 1", "no name"]),
        ("Zora,Z,3.5,20,9,2", "Zora,Z,3.5,20,9", ["row 4", "5 cells", "the header 6"]),
        ("Zora,Z,3.5,20,9,2", "Zora,Z,3.5,20,9,2,1", ["row 4", "7 cells"]),
        ("Zora,Z,3.5", '"Zora,Z,3.5', ["row 4", "not CSV"]),
        ("Ypsil,Y,2,10,,4\n", "Ypsil,Y,2,10,,4\n\n", ["row 4", "0 cells"]),
        (",", ";", ["row 1", "column uCode"]),
    ],
)
def test_bad_data(run, small, old, new, words):
    refused(run(small["data"].replace(old, new), small["meta"], small["config"]), "iData.csv", *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty"]),
        (b"\n\n", ["empty"]),
        (HEADER.encode(), ["row 1", "no row below"]),
        (HEADER.encode() + b"Z\xfcrich,Z,1,2,3,4\n", ["row 2", "UTF-8"]),
        (HEADER.encode() + b"Z\x00,Z,1,2,3,4\n", ["row 2", "zero byte"]),
        ((HEADER + "Z,Z,1,2,3,4\n").encode("utf-16"), ["UTF-8"]),
    ],
)
def test_unreadable_data(run, small, content, words):
    refused(run(content, small["meta"], small["config"]), "iData.csv", *words)


def test_files_that_are_no_gzip_or_cut_short(run, small, tmp_path):
    for content in (b"no gzip", gzip.compress(small["data"].encode())[:-9]):
        path = tmp_path / "iData.csv.gz"
        path.write_bytes(content)

        refused(run(path, small["meta"], small["config"]), "iData.csv.gz", "gzip")


@pytest.mark.parametrize("role", ["data", "meta", "config"])
def test_absent_file_and_folder_in_place_of_a_file(run, small, tmp_path, role):
    (tmp_path / "folder").mkdir()

    refused(run(**{**small, role: tmp_path / "none.csv"}), "none.csv", "cannot be read")
    refused(run(**{**small, role: tmp_path / "folder"}), "folder", "cannot be read")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Level,iCode", "Depth,iCode", ["row 1", "column Level", "missing"]),
        ("1,b,Beta,-1,3,P", "1,b,Beta,-1,3,N", ["row 3", "column Parent", "b has the parent N"]),
        ("1,b,Beta,-1,3,P", "1,b,Beta,-1,3,size", ["row 3", "column Parent", "row 9 is no aggregate"]),
        ("1,b,Beta,-1,3,P", "1,b,Beta,-1,3,", ["row 3", "column Parent", "no parent"]),
        ("1,b,Beta,-1,3,P", "1,b,Beta,-1,3,T", ["row 3", "column Parent", "one level above"]),
        ("2,P,First,1,1,T", "2,P,First,1,1,P", ["row 6", "column Parent", "circle", "P → P"]),
        ("3,T,Top,1,1,,", "3,T,Top,1,1,P,", ["column Parent", "circle", "P → T → P"]),
        ("1,b,Beta,-1,3", "1,b,Beta,0,3", ["row 3", "column Direction", "1 (more is better) or -1"]),
        ("1,b,Beta,-1,3", "1,b,Beta,,3", ["row 3", "column Direction"]),
        ("1,b,Beta,-1,3", "1,b,Beta,-2,3", ["row 3", "column Direction"]),
        ("1,b,Beta,-1,3", "1,b,Beta,down,3", ["row 3", "column Direction", "'down' is not a number"]),
        ("1,b,Beta,-1,3", "1,b,Beta,-1,", ["row 3", "column Weight", "b has no weight"]),
        ("2,Q,Second,1,2", "2,Q,Second,1,", ["row 7", "column Weight", "Q has no weight"]),
        ("1,b,Beta,-1,3", "1,b,Beta,-1,-3", ["row 3", "column Weight", "negative"]),
        ("2,Q,Second,1,2", "2,Q,Second,1,-2", ["row 7", "column Weight", "negative"]),
        ("1,b,Beta,-1,3", "1,b,Beta,-1,inf", ["row 3", "column Weight", "infinite"]),
        ("1,b,Beta,-1,3", "1,a,Beta,-1,3", ["row 3", "column iCode", "a stands twice", "row 2"]),
        ("1,b,Beta,-1,3", "1,,Beta,-1,3", ["row 3", "column iCode", "no code"]),
        ("1,b,Beta,-1,3", "1,a ,Beta,-1,3", ["row 3", "column iCode", "'a ' and 'a' (row 2)", "blanks only"]),
        ("1,b,Beta,-1,3", "1,=b,Beta,-1,3", ["row 3", "column iCode", "formula"]),
        ("1,b,Beta,-1,3", "1,Time,Beta,-1,3", ["row 3", "column iCode", "Time"]),
        ("1,b,Beta,-1,3", "1.5,b,Beta,-1,3", ["row 3", "column Level"]),
        ("1,b,Beta,-1,3", ",b,Beta,-1,3", ["row 3", "column Level", "without a level"]),
        ("2,P,First,1,1,T,Aggregate", "2,P,First,1,1,T,Indicator", ["row 6", "column Level", "level 1"]),
        ("2,P,First,1,1,T,Aggregate", "2,P,First,1,1,T,aggregate", ["row 6", "column Type"]),
        ("2,Q,Second", "2,E,Empty,1,1,T,Aggregate\n2,Q,Second", ["row 7", "column iCode", "E as its parent"]),
        ("Weight,Parent", "Weight,Weight", ["row 1", "column Weight", "stands twice"]),
        ("3,T,Top,1,1,,Aggregate", "3,T,Top,1,1,", ["row 8", "6 cells"]),
    ],
)
def test_bad_meta(run, small, old, new, words):
    assert old in small["meta"]

    refused(run(small["data"], small["meta"].replace(old, new), small["config"]), "iMeta.csv", *words)


def test_weights_of_a_group_that_sum_to_zero(run, small):
    meta = small["meta"].replace("Alpha,1,1", "Alpha,1,0").replace("Beta,-1,3", "Beta,-1,0")

    refused(
        run(small["data"], meta, small["config"]),
        "iMeta.csv",
        "row 2",
        "column Weight",
        "group P",
        "sum to 0",
    )


@pytest.mark.parametrize("content", [b"", b"Level,iCode,Parent,Direction,Weight\n", b"\xff\xfe\x00"])
def test_unreadable_meta(run, small, content):
    refused(run(small["data"], content, small["config"]), "iMeta.csv")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("", ["no step"]),
        ("[normalise\n", ["row 1", "not TOML"]),
        ("[rank]\nties = \n", ["row 2", "not TOML"]),
        (b"# \xff\n[rank]\n", ["row 1", "UTF-8"]),
        ("[normalize]\n", ["row 1", "normalize", "unknown"]),
        ("seed = 1\n[normalise]\n", ["seed", "unknown"]),
        ('[normalise]\nmethod = "min_max"\nlow = 1\n', ["row 3", "[normalise] low", "unknown key"]),
        ('[normalise]\nmethod = "zscore"\n', ["row 2", "'zscore'", "min_max, z_score"]),
        ("[normalise]\nlower = 5\nupper = 5\n", ["row 2", "lower", "below upper"]),
        ("[normalise]\nlower = 100\nupper = 0\n", ["row 2", "lower", "below upper"]),
        ('[normalise]\nlower = "0"\n', ["row 2", "not a finite number"]),
        ("[normalise]\nlower = true\n", ["row 2", "not a finite number"]),
        ("[normalise]\nupper = inf\n", ["row 2", "not a finite number"]),
        ('[normalise]\nmethod = "goalposts"\n', ["[normalise] file", "name the CSV file"]),
        ('[normalise]\nfile = "p.csv"\n', ["row 2", "unknown key for method min_max"]),
        ('[impute]\nmethod = "guess"\n', ["row 2", "'guess'", "choose none, mean"]),
        ('[screen]\nmethod = "by_luck"\n', ["row 2", "by_na, by_zeros, by_na_and_zeros"]),
        ("[screen]\nmin_available = 66\n", ["row 2", "out of range", "0 to 1"]),
        ('[screen]\nexclude = ["N"]\n', ["row 2", "no unit N"]),
        ('[screen]\ninclude = ["X"]\nexclude = ["X"]\n', ["row 3", "stay and leave"]),
        (f"[treat]\nskew = 1{'0' * 400}\n", ["row 2", "[treat] skew", "401 digits is too large"]),
        ("[treat]\nskew = 1e-400\n", ["row 2", "[treat] skew", "1e-400 is not a finite number"]),
        ("[treat]\nskew = -1e999\n", ["row 2", "[treat] skew", "-1e999 is not a finite number"]),
        ("[treat]\nskew = 1e-101\n", ["row 2", "[treat] skew", "1e-101 is too small"]),
        ('[treat]\ntransform = "boxcox"\npower = 1e308\n', ["row 3", "[treat] power", "1e+308 is too large"]),
        ('[treat]\ntransform = "boxcox"\npower = 40\n', ["row 3", "[treat] power", "-10 to 10"]),
        ('[treat]\ntransform = "boxcox"\npower = 1e-9\n', ["row 3", "[treat] power", "write 0"]),
        (GENERAL + "power = 1e308\n", ["row 3", "[aggregate] power", "1e+308 is too large"]),
        (GENERAL + "power = -1e99\n", ["row 3", "[aggregate] power", "-100 to 100"]),
        (GENERAL + "power = [1, 1e-13]\n", ["row 3", "[aggregate] power", "geometric mean; write 0"]),
        ("[normalise]\nlower = 1e20\nupper = 1.0000000001e20\n", ["row 3", "[normalise] upper", "lost beside 1e+20"]),
        ('[normalise]\nmethod = "z_score"\nmean = 1e30\n', ["[normalise] sd", "lost beside 1e+30"]),
        (ENVELOPE + "least_share = 0.6\n", ["row 3", "[aggregate] least_share", "2 components of P", "at most 0.5"]),
        (ENVELOPE + "greatest_share = 0.4\n", ["row 3", "[aggregate] greatest_share", "at least 0.5"]),
        (ENVELOPE + "least_share = 0.4\ngreatest_share = 0.2\n", ["row 3", "least_share", "above greatest_share"]),
        (ENVELOPE + "power = 2\n", ["row 3", "[aggregate] power", "unknown key"]),
        ("[aggregate]\nbest = 1\n", ["row 2", "[aggregate] best", "unknown key"]),
        (ENVELOPE + '[weights]\nmethod = "equal"\n', ["[weights] level", "benefit_of_doubt", "its own"]),
        (ENVELOPE_BELOW + '[weights]\nmethod = "optimised"\nlevel = 2\n', ["[weights] method", "optimised", "(P, Q)"]),
        ("[aggregate]\n[peers]\n", ["row 2", "[peers] groups", "name the columns"]),
        ('[normalise]\n[peers]\nby = ["b"]\n', ["row 2", "peers", "add [aggregate]"]),
        ('[aggregate]\n[peers]\nby = ["b"]\nmin_size = 3\n', ["row 4", "[peers] min_size", "goes with groups"]),
        ('[aggregate]\n[peers]\ngroups = ["uName"]\nwidth = 3\n', ["row 4", "[peers] width", "the rest with by"]),
        ('[aggregate]\n[peers]\nby = ["b"]\nlogarithm = ["c"]\n', ["row 4", "[peers] logarithm", "c is not named"]),
        ('[aggregate]\n[peers]\nby = ["b", "b"]\n', ["row 3", "[peers] by", "b stands twice"]),
        ('[aggregate]\n[peers]\nby = ["b"]\nnearest = 2\n', ["[peers] min_peers", "5 is more than the 2"]),
        ("[aggregate]\n[trends]\n", ["row 2", "trends", "the data hold one"]),
        ('[normalise]\n[trends]\nof = "scores"\n', ["row 3", "[trends] of", "add [aggregate]"]),
        ("[normalise]\n[audit]\nopposed = 0.5\n", ["row 3", "[audit] opposed", "above represented"]),
        ("[normalise]\n[audit]\nleast = 0.5\n", ["row 3", "[audit] least", "unknown key"]),
        ("[normalise]\n[variants.x]\n", ["[variants] x", "changes nothing"]),
        ("[normalise]\n[variants.x]\nrank = {}\n", ["row 3", "[variants.x] rank", "is no step that a variant changes"]),
        ("[normalise]\n[variants.x]\nnormalise = {off = true}\n", ["row 3", "[variants.x] normalise", "cannot be off"]),
        ("[normalise]\n[variants.x]\ntreat = {off = true}\n", ["row 3", "[variants.x] treat", "no such step"]),
        ("[normalise]\n[variants.x]\nnormalise = {lower = 0, low = 1}\n", ["row 3", "normalise", "low", "unknown key"]),
        ("[normalise]\nlower = 1\n[variants.x]\nnormalise = {lower = 1}\n", ["[variants] x", "is the run itself"]),
        ("[treat]\nwinsorise_max = 2.5\n", ["row 2", "whole number"]),
        ('[treat]\ntransform = "sqrt"\n', ["row 2", "log_ct"]),
        ("[treat]\npower = 0.5\n", ["row 2", "unknown key for transform log_ct"]),
        ('[aggregate]\nmethod = "mode"\n', ["row 2", "arithmetic_mean"]),
        ('[impute]\nmethod = "group_mean"\n', ["row 1", "[impute] group", "name the column"]),
        ('[impute]\nmethod = "mean"\ngroup = "size"\n', ["row 3", "unknown key for method mean"]),
        ('[impute]\nmethod = "latest"\n', ["row 2", "hold one"]),
        ("[denominate]\n", ["row 1", "[denominate] by", "Denominator"]),
        ('[denominate]\nby = {z = "c"}\n', ["row 2", "no indicator z"]),
        ('[denominate]\nby = {a = "c"}\nscale = {c = 0}\n', ["row 3", "above 0"]),
        ("[screen]\ngroup_min_available = {9 = 0.5}\n", ["row 2", "level 9"]),
        ('[treat]\nforce = ["z"]\n', ["row 2", "no indicator z"]),
        ('[treat]\nbase_file = "b.json"\nskew = 1\nmode = "improved"\n', ["row 4", "unknown key beside base_file"]),
        ('[normalise]\nmethod = "distance_to_reference"\n', ["row 1", "reference", "name the unit"]),
        ('[normalise]\nmethod = "z_score"\nsd = 0\n', ["row 3", "out of range"]),
        ('[normalise]\nmethod = "change"\n', ["row 2", "hold one"]),
        ('[normalise]\nmethod = "percentile_classes"\npercentiles = [50, 20]\n', ["row 3", "rise"]),
        ("[normalise]\nclip = true\n", ["row 2", "unknown key for method min_max"]),
        ("[normalise]\n[weights]\n", ["row 2", "add [aggregate]"]),
        ("[aggregate]\n[profiles]\n", ["row 2", "add [normalise]"]),
        ('[normalise]\n[aggregate]\n[weights]\nmethod = "pca"\nlevel = 3\n', ["row 5", "level 3"]),
        ('[aggregate]\n[aggregate.groups.Z]\nmethod = "median"\n', ["no aggregate Z"]),
        ('[aggregate]\n[aggregate.groups.P]\nmethod = ["median"]\n', ["row 3", "not known"]),
        ("[aggregate]\n[aggregate.groups.P]\nmin = 1\n", ["row 3", "unknown key"]),
        ('[aggregate]\nmethod = "mazziotta_pareto"\nsign = 0\n', ["row 3", "-1"]),
        ('[normalise]\n[profiles]\nrule = "peers"\n', ["row 2", "[profiles] group"]),
        ('[normalise]\n[profiles]\nrule = "peers"\ncount = 3\ngroup = "uName"\n', ["row 4", "unknown key for rule"]),
        ('[aggregate]\nmethod = ["arithmetic_mean"]\n', ["row 2", "1 entries", "2 steps"]),
        ("[aggregate]\nmin_available = [0.5, 2]\n", ["row 2", "out of range"]),
        ("[aggregate]\nfloor = -1\n", ["row 2", "out of range"]),
        ('[aggregate]\n[rank]\nties = "max"\n', ["row 3", "min, dense, average"]),
        ("[rank]\n", ["row 1", "add [aggregate]"]),
        ("rank = 1\n", ["rank", "is a table"]),
        ('compat = "excel"\n[treat]\n', ["row 1", "compat", "coinr"]),
    ],
)
def test_bad_config(run, small, config, words):
    refused(run(small["data"], small["meta"], config), "config.toml", *words)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('[impute]\nmethod = "group_mean"\ngroup = "Sector"\n', ["iData.csv", "row 1", "column Sector"]),
        ('[denominate]\nby = {a = "GDP"}\n', ["iData.csv", "row 1", "column GDP"]),
        ('[normalise]\nmethod = "distance_to_reference"\nreference = "N"\n', ["N"]),
        ('[normalise]\n[aggregate]\n[rank]\ngroups = ["Sector"]\n', ["column Sector"]),
        ('[normalise]\n[aggregate]\n[peers]\ngroups = ["Sector"]\n', ["column Sector"]),
        ('[normalise]\n[aggregate]\n[peers]\nby = ["d", "uName"]\n', ["row 2", "column uName", "not a number"]),
    ],
)
def test_configuration_that_names_what_the_data_lack(run, small, config, words):
    refused(run(small["data"], small["meta"], config), "iData.csv", *words)


POSTS = "iCode,transform,lo,hi,direction\na,lin,0,5,1\nb,lin,0,50,-1\nc,log1p,0,3,1\nd,log,0,2,1\n"
GOALPOSTS = '[normalise]\nmethod = "goalposts"\nfile = "posts.csv"\n'


def test_goalposts_are_found_beside_the_configuration(run, small):
    answer = run(small["data"], small["meta"], GOALPOSTS, posts=POSTS)

    assert answer.code == 0, answer.err
    assert answer.table("normalised").loc["X", ["a", "b"]].tolist() == [20, 40]
    assert answer.report["parameters"]["normalise"]["file"] == "posts.csv"
    assert answer.report["inputs"]["normalise.file"]["file"] == "posts.csv"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("c,log1p,0,3,1\n", "", ["posts.csv", "column iCode", "no row for c"]),
        ("a,lin,0,5,1", "a,lin,5,5,1", ["posts.csv", "row 2", "column lo", "lo < hi"]),
        ("a,lin,0,5,1", "a,lin,,5,1", ["posts.csv", "row 2", "column lo"]),
        ("a,lin", "a,sqrt", ["posts.csv", "row 2", "column transform", "'sqrt'"]),
        ("b,lin,0,50,-1", "b,lin,0,50,1", ["posts.csv", "row 3", "column direction", "agree"]),
        ("b,lin", "a,lin", ["posts.csv", "row 3", "column iCode", "stands twice"]),
        ("lo,hi", "low,hi", ["posts.csv", "row 1", "column lo"]),
        ("a,lin,0,5", "a,lin,0,five", ["posts.csv", "row 2", "column hi", "'five'"]),
        (POSTS, "", ["posts.csv", "empty"]),
    ],
)
def test_bad_goalposts(run, small, old, new, words):
    refused(run(small["data"], small["meta"], GOALPOSTS, posts=POSTS.replace(old, new)), *words)


def test_absent_goalposts(run, small):
    refused(run(small["data"], small["meta"], GOALPOSTS), "posts.csv", "cannot be read")


def test_logarithm_of_nothing_names_unit_row_and_column(run, small):
    data = small["data"].replace("9,2", "9,0")

    refused(run(data, small["meta"], GOALPOSTS, posts=POSTS), "iData.csv", "row 4", "column d", "unit Z", "log")


@pytest.mark.parametrize("method", ["geometric_mean", "harmonic_mean"])
def test_mean_that_needs_values_above_zero_names_unit_and_component(run, small, method):
    config = f'[normalise]\n[aggregate]\nmethod = "{method}"\n'

    refused(
        run(small["data"], small["meta"], config),
        *("iData.csv", "row 2", "column a", "unit X", "component a of P", "above 0", "floor"),
    )


def test_numbers_too_large_to_compute_with(run, small):
    data = small["data"].replace("3.5", "1e308").replace(",X,1", ",X,-1e308")

    refused(run(data, small["meta"], small["config"]), "iData.csv", "infinite", "column a")


def test_sum_that_overflows_shows():
    values = pd.DataFrame([[1.7e308] * 5], columns=list("abcde"))

    with np.errstate(over="ignore"):
        mean = arithmetic_mean(values, pd.Series(1.0, index=values.columns))

    assert np.isinf(mean[0])


def test_weights_may_be_of_any_size(run, small):
    large = run(small["data"], small["meta"].replace("Beta,-1,3", "Beta,-1,3e307"), small["config"])

    assert large.code == 0, large.err
    assert large.err == ""
    assert large.table("scores")["P"].tolist() == [0, 100, 50]


def test_unit_that_stands_twice_in_one_time(run, small):
    data = "uCode,Time,a,b,c,d\nX,2020,1,2,3,4\nX,2021,1,2,3,4\nX,2021,1,2,3,4\n"

    refused(run(data, small["meta"], small["config"]), "row 4", "unit X (2021) stands twice", "row 3")


def test_time_that_is_missing(run, small):
    data = "uCode,Time,a,b,c,d\nX,2020,1,2,3,4\nX,,1,2,3,4\n"

    refused(run(data, small["meta"], small["config"]), "row 3", "column Time")


def test_aggregates_are_needed_to_aggregate(run, small):
    meta = "Level,iCode,Parent,Direction,Weight\n1,a,,1,1\n1,b,,1,1\n"

    refused(run(small["data"], meta, small["config"]), "iMeta.csv", "column Level", "aggregates")


def test_what_is_in_the_folder_stays_when_the_run_is_refused(run, small, tmp_path):
    run(**small)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    answer = run(small["data"].replace("3.5", "x"), small["meta"], small["config"])

    assert answer.code == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_out_that_is_a_file(run, small, tmp_path):
    (tmp_path / "out").write_text("mine")

    answer = run(**small)

    assert answer.code == 2
    assert re.fullmatch(r"out: .*choose another --out\.\n", answer.err)
    assert (tmp_path / "out").read_text() == "mine"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]  # noqa: PTH208


@pytest.mark.parametrize("arguments", [[], ["run"], ["fly"], ["run", "--data", "x", "--unknown"]])
def test_bad_command_is_one_line(capsys, arguments):
    code = main(arguments)

    err = capsys.readouterr().err
    assert code == 2
    assert err.count("\n") == 1
    assert "--help" in err


def test_frames_are_judged_as_files_are(small):
    data = pd.DataFrame({"uCode": ["X", "Y"], "a": [True, False], "b": [1, 2], "c": [1, 2], "d": [1, 2]})
    meta = pd.DataFrame(
        [line.split(",") for line in small["meta"].splitlines()[1:]],
        columns=small["meta"].splitlines()[0].split(","),
    )

    with pytest.raises(DataError, match=r"data, row 2, column a: True is not a number"):
        compute(data, meta, {"normalise": {}})
    with pytest.raises(ConfigError, match="goalposts are not given"):
        compute(data.assign(a=1.0), meta, {"normalise": {"method": "goalposts", "file": "p.csv"}})

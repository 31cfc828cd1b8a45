"""What is made of the figures: medians, ratios, verdicts, tables, README."""

from __future__ import annotations

import pytest

from benchmarks import goals, readme
from benchmarks.plots import plots
from benchmarks.results import Results, Spread, read
from benchmarks.suite import Sample, Skip
from benchmarks.tables import grids, markdown, number, skipped


def found(*rows):
    """Each row: case, variant, figures by round."""
    results = Results({"cpu": "a machine"})
    for case, variant, *rounds in rows:
        for at, figures in enumerate(rounds):
            results.add(Sample(case, f"label of {case}", variant, at, figures))
    return results


def walls(*values):
    return [{"wall": value} for value in values]


def test_a_spread_is_the_median_and_the_ends():
    results = found(("case", "a", *walls(3, 1, 2)))
    assert results.spread("case", "a", "wall") == Spread(2, 1, 3, 3)
    assert results.spread("case", "b", "wall") is None
    assert results.spread("case", "a", "cpu") is None


def test_a_ratio_is_the_median_of_the_rounds_that_both_did():
    results = found(("case", "a", *walls(2, 30, 4)), ("case", "b", *walls(1, 10)))
    assert results.ratio("case", "wall", "a", "b") == 2.5
    assert results.ratio("case", "wall", "b", "c") is None


def test_cpu_per_gb_is_made_of_what_was_measured():
    results = found(("case", "a", {"cpu": 0.5, "bytes": 2e9}, {"cpu": 0.5}))
    assert results.values("case", "a", "cpu_per_gb") == {0: 0.25}


def test_what_is_written_is_read(tmp_path):
    results = found(("case", "a", *walls(1, 2)))
    results.add(Skip("case", "b", "because", failed=True))
    results.write(tmp_path / "new" / "file.json")
    assert read(tmp_path / "new" / "file.json") == results


def test_what_is_measured_anew_takes_the_place_of_what_there_was():
    results = found(("one", "a", *walls(1, 2)), ("two", "a", *walls(3)))
    results.add(Skip("one", "b", "because"))
    newer = found(("one", "a", *walls(5)))
    newer.machine["date"] = "2026-11-24T13:47"
    results.update(newer)
    assert results.samples == found(("two", "a", *walls(3)), ("one", "a", *walls(5))).samples
    assert results.skips == []
    assert results.anew == {"one": "2026-11-24T13:47"}


def verdict(results, beginning):
    (one,) = [one for one in goals.verdicts(results) if one.text.startswith(beginning)]
    return one


@pytest.mark.parametrize(("ours", "met"), [(7.9, True), (8.0, True), (8.1, False)])
def test_a_goal_at_most(ours, met):
    case = "big-pdu128-own"
    results = found((case, "haproxy", {"cpu": 10.0}), (case, "ulproxy", {"cpu": ours}))
    assert verdict(results, "CPU per GB, 128 KB").met is met


@pytest.mark.parametrize(("ours", "met"), [(4.9, False), (5.0, True), (5.1, True)])
def test_a_goal_at_least(ours, met):
    results = found(("setup-1", "haproxy", {"rate": 10.0}), ("setup-1", "ulproxy", {"rate": ours}))
    assert verdict(results, "association set-up rate").met is met


def test_a_goal_about_several_cases_is_judged_by_the_worst():
    results = found(
        ("big-pdu16-own", "haproxy", {"wall": 1.0}),
        ("big-pdu16-own", "ulproxy", {"wall": 0.5}),
        ("ct-pdu64-dcmtk", "haproxy", {"wall": 1.0}),
        ("ct-pdu64-dcmtk", "ulproxy", {"wall": 1.2}),
    )
    assert verdict(results, "wall, any transfer").value == "1.2 (ct-pdu64-dcmtk)"
    assert verdict(results, "wall, any transfer").met is False


def test_added_time_is_what_is_above_a_direct_connection():
    case = "small-pdu16-own"
    rows = [(case, name, *walls(wall)) for name, wall in (("direct", 1), ("haproxy", 2))]
    assert verdict(found(*rows, (case, "ulproxy", *walls(2.4))), "added time").value == "1.4"
    assert verdict(found(*rows), "added time").met is None


def test_what_was_not_measured_is_neither_met_nor_missed():
    judged = goals.verdicts(Results())
    assert {one.met for one in judged} == {None}
    assert {one.value for one in judged} == {"not measured"}
    assert len(judged) == len(goals.GOALS)


def test_a_table_has_a_row_for_each_figure_and_ratios_at_its_end():
    results = found(
        ("nagle-small", "direct", *walls(8, 9, 10)),
        ("nagle-small", "haproxy", *walls(9, 9, 9)),
        ("nagle-small", "ulproxy", *walls(0.09, 0.09, 0.1)),
    )
    (short,) = grids(results, spread=False)
    assert short.rows[0][2:5] == ["9.00", "9.00", "0.090"]
    (grid,) = grids(results, spread=True)
    assert grid.headings == ["", "", "direct", "haproxy", "ulproxy", "÷ direct", "÷ haproxy"]
    assert grid.rows == [
        [
            *("label of nagle-small", "wall, s"),
            *("9.00 (8.00 to 10.0)", "9.00 (9.00 to 9.00)", "0.090 (0.090 to 0.100)"),
            *("0.01", "0.01"),
        ]
    ]
    assert markdown(grid).splitlines()[3] == "| --- | --- | ---: | ---: | ---: | ---: | ---: |"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0421, "0.042"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (1234.5, "1234"),
        (-1.5, "-1.50"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_what_did_not_run_is_told_once_for_a_reason():
    skips = [Skip(case, "nginx", "no module") for case in ("one", "two")]
    assert skipped([*skips, Skip("one", "ulproxy", "broke", failed=True)]) == [
        "not run: nginx, one, two: no module",
        "FAILED: ulproxy, one: broke",
    ]


def test_only_what_is_between_the_marks_is_replaced():
    text = f"before\n{readme.BEGIN}old\n{readme.END}after\n"
    once = readme.replaced(text, "new\n")
    assert once == f"before\n{readme.BEGIN}new\n{readme.END}after\n"
    assert readme.replaced(once, "new\n") == once


def test_plots_are_drawn_of_what_there_is(tmp_path):
    assert plots(Results(), tmp_path / "none") == []
    rows = [
        (case, name, {"cpu": 1.0, "bytes": 1e9, "wall": 2.0, "each": 4096.0, "first": 1e-4})
        for case in ("big-pdu16-own", "many-1", "many-10", "first-byte-store")
        for name in ("haproxy", "ulproxy")
    ]
    made = plots(found(*rows), tmp_path / "some")
    assert [path.stem for path in made] == ["cpu", "first-byte", "many"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made)


def test_the_goals_of_the_readme_are_those_of_the_last_run():
    measured = read(readme.HERE / "measured.json")
    text = (readme.HERE / "README.md").read_text()
    for one in goals.verdicts(measured):
        assert f"| {one.text} | {one.bound} | {one.value} |" in text

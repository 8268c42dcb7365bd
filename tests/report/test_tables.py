"""The paper's tables: the right rows in the right columns, in three formats, each number with its source."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from masksem_graph.errors import InputError
from masksem_graph.files import find_yaml, shipped
from masksem_graph.plain_yaml import read_yaml
from masksem_graph.report import names
from masksem_graph.report.published import load_published
from masksem_graph.report.tables import STYLES, ResultTable, TableRow, build_table, collect, preset, protocol_title

NTU60 = {"format": "ntu", "topology": "ntu25", "classes": 60, "clips": 56578}
PKU2 = {"format": "pku", "topology": "ntu25", "classes": 51, "clips": 6900}
PKU1 = {"format": "pku", "topology": "ntu25", "classes": 51, "clips": 21500}


def result(protocol: str, top1: float, **more: Any) -> dict[str, Any]:
    method = read_yaml(shipped("configs") / "method" / "masksem.yaml")
    model = read_yaml(shipped("configs") / "model" / "small.yaml")
    run = {"method": method, "model": model, "train": {"epochs": 100}}
    about = {"data_set": NTU60, "split": "xsub", "stream": "joint", "std": None, "untrained": False, "config": None}
    return {
        "protocol": protocol,
        "top1": top1,
        "pretrained_on": None,
        "pretraining": run,
        "checkpoint": "run",
        **about,
        **more,
    }


def test_ours_stands_beside_the_published() -> None:
    table = build_table("I", [result("linear", 71.234), result("knn", 50.0)], load_published())
    ours = [row for row in table.rows if row.ours]
    assert [row.label for row in ours] == ["ours: masksem, small, 100 epochs"]
    assert ours[0].cells == {("ntu60_xsub", "linear"): "71.2"}
    mamp = next(row for row in table.rows if row.label == "MAMP")
    assert mamp.cells["ntu60_xsub", "linear"] == "84.9" and mamp.cells["pku1_xsub", "linear"] == "92.2"
    assert len(mamp.notes) == 2 and all(
        "macdiff" in table.notes[n - 1].lower() or "README" in table.notes[n - 1] for n in mamp.notes
    )
    assert [row.ours for row in table.rows] == sorted(row.ours for row in table.rows)


def test_semi_supervised_has_a_column_a_share() -> None:
    results = [result("semi_10", 60.0, std=1.26), result("semi_5", 50.0), result("semi_5_per_class", 40.0)]
    table = build_table("III", results, load_published(), ["ntu60_xsub"])
    assert list(table.columns.values()) == [f"NTU-60 x-sub, {part}" for part in ("1 %", "5 %", "10 %", "5 per class")]
    assert table.rows[-1].cells["ntu60_xsub", "semi_10"] == "60.0 ± 1.3"


def test_transfer_says_from_where_to_where() -> None:
    before = NTU60 | {"split": "xsub"}
    table = build_table("IV", [result("transfer", 70.0, data_set=PKU2, pretrained_on=before)], load_published())
    assert list(table.columns.values()) == ["NTU-60 x-sub to PKU-MMD II x-sub"]


def test_benchmarks_are_told_apart() -> None:
    published = load_published()
    assert published.benchmark(PKU2, "xsub") == "pku2_xsub" and published.benchmark(PKU1, "xsub") == "pku1_xsub"
    assert published.benchmark(NTU60 | {"classes": 120, "clips": 114480}, "xset") == "ntu120_xset"
    assert published.benchmark(NTU60 | {"format": "my.Reader"}, "xsub") == "Reader_xsub"
    assert published.benchmark(NTU60 | {"clips": 56880}, "xsub", 16560) == "ntu60_xsub", "with the bad samples"


@pytest.mark.parametrize(
    ("data_set", "test", "column"),
    [
        (PKU2 | {"clips": 48}, 16, "pku_xsub, 48 clips"),
        (NTU60 | {"clips": 5600}, 1600, "ntu_xsub, 5600 clips"),
        (NTU60, 1648, "ntu_xsub, 56578 clips"),
    ],
)
def test_made_up_clips_do_not_stand_under_a_benchmark(data_set: dict[str, Any], test: int, column: str) -> None:
    table = build_table("I", [result("linear", 70.0, data_set=data_set, test_clips=test)], load_published())
    assert table.rows[-1].cells == {(column, "linear"): "70.0"} and table.columns[column, "linear"] == column


def test_several_evaluations_of_one_kind_are_averaged() -> None:
    table = build_table("all", [result("linear", 70.0), result("linear", 74.0)], load_published())
    assert table.rows[0].cells == {("ntu60_xsub", "linear"): "72.0 ± 2.8"}


def test_other_encoders_are_not_averaged() -> None:
    other = result("linear", 74.0)
    other["pretraining"] = other["pretraining"] | {"init_from": "runs/mamp"}
    table = build_table("all", [result("linear", 70.0), other, result("knn", 60.0)], load_published())
    first, second = table.rows
    assert first.cells == {("ntu60_xsub", "linear"): "70.0", ("ntu60_xsub", "knn"): "60.0"}
    assert second.cells == {("ntu60_xsub", "linear"): "74.0"}
    assert (first.label, second.label) == (f"{result_label()} (1)", f"{result_label()} (2)")


def result_label() -> str:
    return build_table("all", [result("linear", 1.0)], load_published()).rows[0].label


@pytest.mark.parametrize(
    ("changed", "label"),
    [
        ({"stream": "bone"}, "ours: masksem, small, 100 epochs, bone"),
        ({"untrained": True, "pretraining": None}, "ours: untrained"),
        ({"untrained": True, "pretraining": None, "protocol": "finetune"}, "ours: from scratch"),
        ({"pretraining": {"converted": {}}}, "ours: converted"),
    ],
)
def test_labels(changed: dict[str, Any], label: str) -> None:
    assert build_table("all", [result("linear", 1.0) | changed], load_published()).rows[0].label == label


def test_presets_are_recognised() -> None:
    for kind in ("method", "model"):
        for path in (shipped("configs") / kind).glob("*.yaml"):
            assert preset(kind, read_yaml(path)) == path.stem  # type: ignore[arg-type]
    method = read_yaml(shipped("configs") / "method" / "mamp.yaml") | {"weighting": "saliency"}
    assert preset("method", method) == "Motion"


def test_protocol_titles() -> None:
    assert protocol_title("semi_2.5") == "fine-tuned on 2.5 %" and protocol_title("knn_5_per_class") == "k-NN on 5 per class"


@pytest.mark.parametrize("style", [style for style in STYLES if style not in ("IV", "all")])
def test_formats_agree(style: str) -> None:
    table = build_table(style, [result({"I": "linear", "II": "finetune"}.get(style, "semi_1"), 71.2)], load_published())  # type: ignore[arg-type]
    file = io.StringIO()
    Console(file=file, width=300).print(table.terminal())
    drawn = {names.line: file.getvalue(), names.markdown: table.markdown(), names.latex: table.latex()}
    for row in table.rows:
        for text in (row.label, *row.cells.values()):
            for escape, whole in drawn.items():
                assert escape(text) in whole
    lines = table.markdown().splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    latex = table.latex()
    assert latex.count("{") - latex.count("\\{") == latex.count("}") - latex.count("\\}")
    assert [latex.count(rule) for rule in ("\\toprule", "\\midrule", "\\bottomrule")] == [1, 2, 1]


ODD = [
    "$\\frac{$",
    "[/red]",
    "<script>alert(1)</script>",
    "a^b_c%",
    "two\nlines",
    "\x1b[31m",
    "坐下",
    "| pipe",
    "\\end{table}",
]


def test_names_are_text_in_every_format() -> None:
    rows = [TableRow(name, {("b", "p"): "1"}, ours=True) for name in ODD]
    table = ResultTable(ODD[1], {("b", "p"): ODD[0]}, rows, [ODD[2]])
    file = io.StringIO()
    Console(file=file, width=200).print(table.terminal())
    for text in ("[/red]", "<script>", "two lines", "\ufffd[31m", "坐下"):
        assert text in file.getvalue()
    assert "<script>" not in table.markdown() and "\\<script\\>" in table.markdown()
    assert len([line for line in table.markdown().splitlines() if line.startswith("|")]) == 2 + len(ODD)
    assert "\\textasciicircum{}" in table.latex() and table.latex().count("\\end{table}") == 1


def test_another_pooling_has_a_column_of_its_own() -> None:
    table = build_table("I", [result("linear", 70.0), result("linear", 80.0, pool="joints")], load_published(), ["ntu60_xsub"])
    assert list(table.columns.values()) == ["NTU-60 x-sub", "NTU-60 x-sub, joints pooled"]
    assert list(table.rows[-1].cells.values()) == ["70.0", "80.0"]


def test_footnotes_say_how_a_figure_came_about() -> None:
    table = build_table("I", [], load_published())
    (row,) = [row for row in table.rows if row.label == "MAMP (released)"]
    assert "stream: joint, pool: mean, epochs: 100" in table.notes[row.notes[0] - 1]
    semi = build_table("III", [], load_published())
    assert any("1.98 % of the labels" in note for note in semi.notes)


def test_every_published_number_has_a_source_that_is_used() -> None:
    fields = read_yaml(find_yaml("published", "configs"))
    used = {row["source"] for rows in fields.values() if isinstance(rows, list) for row in rows}
    assert used == set(fields["sources"])


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"method": "X", "ntu60_xsub": 3.0}, "X: source: expected one of"),
        ({"method": "X", "source": "list", "ntu61": 3.0}, "X: expected benchmarks of this file, found 'ntu61'"),
        ({"method": "X", "source": "list", "ntu60_xsub": 103.0}, "X: ntu60_xsub: expected a percentage, found 103.0"),
    ],
)
def test_a_bad_row_is_refused(row: dict[str, Any], line: str, tmp_path: Path) -> None:
    fields = read_yaml(find_yaml("published", "configs"))
    fields["linear"] = [row]
    (tmp_path / "published.yaml").write_text(yaml.safe_dump(fields))
    with pytest.raises(InputError, match=line):
        load_published(tmp_path / "published.yaml")


def test_nothing_to_show() -> None:
    with pytest.raises(InputError, match=r"^--style IV: none of the given evaluations belongs into it"):
        build_table("IV", [result("linear", 1.0)], load_published())


def test_folders_without_evaluations(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folder of an evaluation, or of a run with evaluations in it"):
        collect([tmp_path])

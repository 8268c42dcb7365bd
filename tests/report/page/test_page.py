"""The page of a run and of an evaluation: what it says, that it needs nothing beside it, that nothing damaged stops it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from masksem_graph.errors import InputError
from masksem_graph.report.names import MISSING, duration, joined, number, short
from masksem_graph.report.page import write_page, write_pages
from masksem_graph.report.page.writing import NOT_HTML

LEADS_OUT = {"src", "href", "srcset", "data", "action", "poster", "background", "cite", "ping", "formaction"}
Make = Callable[..., Any]


def test_run_page_says_what_its_files_say(run: Path, read: Make) -> None:
    page = read(run)
    assert page.words.count("masksem on embedded x-sub, model tiny") == 2  # title and heading
    for fact in (
        "Epochs 3 of 3",
        "Loss, last epoch 0.871 velocity 0.870, acceleration 0.875",
        "k-NN, 1 nearest 54.7 % 20 nearest: 46.9 %, epoch 3",
        "Training time 3 min 32 s 93 clips/s",
        "Seed 7",
        "Device cpu A Processor",
        "Commit 0123401234, abcdeabcde masksem-graph 0.1.0, torch 2.9.9",
        "90 % of the nodes hidden",
        "mask_ratio: 0.9",
    ):
        assert fact in page.words
    evaluations, epochs, provenance = page.tables
    assert [row[:2] + row[3:] for row in evaluations[1:]] == [
        ["knn", "k-NN", "untrained", "50.0", "45.0 to 85.0", "100.0", "64.6", "20", "1 min 8 s"],
        ["linear", "linear", "this one", "65.0", "45.0 to 85.0", "100.0", "64.6", "20", "1 min 8 s"],
    ]
    assert [row[1] for row in epochs] == ["loss", "1.1644", "0.9051", "0.8712"]
    assert epochs[1][-1] == "" and epochs[3][-1] == "46.9444"
    assert ["Commit", f"{'01234' * 8}, {'abcde' * 8}"] in provenance and ["torch", "2.9.9"] in provenance
    assert "Not finished" not in page.words


def test_curves_are_drawn_where_they_are_missing_or_old(run: Path, read: Make) -> None:
    write_page(run)
    curves = run / "figures" / "curves.svg"
    drawn = curves.read_bytes()
    curves.write_text("kept")
    write_page(run)
    assert curves.read_text() == "kept"
    (run / "metrics.csv").touch()
    write_page(run)
    assert curves.read_bytes() == drawn
    assert read(run).words.count("Loss and the accuracy") == 1


def test_an_unfinished_run_says_so(run: Path, read: Make) -> None:
    lines = (run / "metrics.csv").read_text().splitlines(keepends=True)
    (run / "metrics.csv").write_text("".join(lines[:3]))
    page = read(run)
    assert "Not finished: 2 of 3 epochs so far." in page.words and "Epochs 2 of 3" in page.words


def test_evaluation_page_says_what_its_results_say(tmp_path: Path, read: Make, write_evaluation: Make) -> None:
    page = read(write_evaluation(tmp_path / "linear"))
    assert "Linear on embedded x-sub: encoder" in page.words
    assert (
        "Top-1 65.0 % 95 % interval: 45.0 to 85.0" in page.words
        and "The interval is: 95 %, bootstrap over test clips." in page.words
    )
    found, further, classes, provenance = page.tables
    assert found[1][3:] == ["65.0", "45.0 to 85.0", "100.0", "64.6", "20", "1 min 8 s"]
    assert further == [["loss on training clips in the last epoch", "1.033"]]
    assert classes[1:] == [["sit", "12", "75.0", "stand (25 %)"], ["stand", "8", "50.0", "sit (50 %)"]]
    assert ["Commit", "0123456789abcdef0123456789abcdef01234567"] in provenance
    assert [attributes["style"] for attributes in page.all("td") if "style" in attributes] == [
        "--share: 75.0%",
        "--share: 50.0%",
    ]
    assert "epochs: 100" in page.words and len(page.all("img")) == 1


def test_a_store_made_by_hand_is_called_as_configured(tmp_path: Path, read: Make, write_evaluation: Make) -> None:
    own = {"format": "", "topology": "tiny5", "classes": 2, "clips": 20}
    page = read(write_evaluation(tmp_path / "e", data_set=own, data="folder", split="half"))
    assert page.words.count("Linear on folder half: encoder") == 2 and page.tables[0][1][1] == "folder half"


def test_several_seeds(tmp_path: Path, read: Make, write_evaluation: Make) -> None:
    changed = {"seeds": [3, 4], "top1_by_seed": [60.0, 70.0], "std": 7.071, "seconds_by_seed": [5.0, 65.2]}
    page = read(write_evaluation(tmp_path / "semi", protocol="semi_10", confusion=[[18, 6], [8, 8]], **changed))
    assert "Fine-tuned on 10 %" in page.words
    runs = next(table for table in page.tables if table[0] == ["seed", "top-1 %", "time"])
    assert runs[1:] == [["3", "60.0", "5.0 s"], ["4", "70.0", "1 min 5 s"], ["mean ± deviation", "65.0 ± 7.1 (2 runs)", ""]]
    classes = next(table for table in page.tables if table[0][0] == "class")
    assert classes[1] == ["sit", "12", "75.0", "stand (25 %)"]


def test_streams_added_up(tmp_path: Path, read: Make, results: Make, write_evaluation: Make) -> None:
    changed = {"fused": ["/a/<joint>", "/a/bone"], "streams": ["joint", "bone"], "stream": "joint+bone", "weights": [1.0, 0.5]}
    fields = results(**changed)
    for name in ("checkpoint", "config", "seconds_by_seed", "train_clips", "labelled_clips"):
        del fields[name]
    write_evaluation(tmp_path / "fused")
    (tmp_path / "fused" / "results.json").write_text(json.dumps(fields))
    page = read(tmp_path / "fused")
    assert "2 streams added up" in page.words and ["Added up", "/a/<joint>, /a/bone"] in page.tables[-1]
    assert page.tables[0][1][2] == "joint + bone"


def test_many_classes_are_folded(tmp_path: Path, read: Make, write_evaluation: Make) -> None:
    recall = {f"class {i}": 50.0 for i in range(60)}
    page = read(write_evaluation(tmp_path / "e", per_class_recall=recall, confusion=np.eye(60, dtype=int).tolist()))
    assert len(page.all("details")) == 2 and len(page.tables[-2]) == 61


BAD = '<b>&"</b><script>alert(1)</script>'


def test_everything_is_escaped(run: Path, read: Make, write_evaluation: Make, add_pictures: Make) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["output"] = BAD
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    write_evaluation(
        run / "<i>&'", protocol=BAD, checkpoint=BAD, commit=BAD, device=BAD, per_class_recall={'<b>&"': 1, BAD: 2}
    )
    add_pictures(run)
    for folder in (run, run / "<i>&'"):
        page = read(folder)
        assert not page.all("script") and not page.all("i") and BAD in page.words
        allowed = len(page.all("figcaption"))
        assert len(page.all("b")) == allowed
    assert [row[0] for row in page.tables[2][1:]] == ['<b>&"', BAD]
    assert "my <own> picture.png" in read(run).words


def test_needs_nothing_beside_it(run: Path, read: Make, add_pictures: Make) -> None:
    add_pictures(run)
    (run / "figures" / "masks & more.gif").write_bytes(b"GIF89a" + bytes(2_000_000))
    for folder in (run, run / "linear"):
        page = read(folder)
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(set(ids)) == len(ids)
        outward = []
        for tag, attributes in page.elements:
            assert tag not in ("script", "link", "iframe", "object", "embed", "base")
            for name in LEADS_OUT & attributes.keys():
                value = attributes[name] or ""
                if tag == "a" and value.startswith("#"):
                    assert value[1:] in ids
                elif not (tag == "img" and re.match(r"data:image/(png|gif|jpeg|svg\+xml);base64,", value)):
                    outward.append(value)
        assert outward == (["figures/masks%20%26%20more.gif"] if folder == run else [])
        source = (folder / "report.html").read_text()
        assert not re.search(r"url\(|@import|https?:|file:", re.sub(r"base64,[^\"]*", "", source))


def test_pictures_are_in_order_and_described(run: Path, read: Make, add_pictures: Make) -> None:
    add_pictures(run)
    page = read(run)
    sources = [str(attributes["src"])[:22] for attributes in page.all("img")]
    alts = [str(attributes["alt"]).split(":")[0] for attributes in page.all("img")]
    assert alts == ["Curves", "Saliency", "Saliency, animated", "Smoothing, as matrices", "my <own> picture.png"]
    assert sources[1:] == [
        *("data:image/png;base64,", "data:image/gif;base64,"),
        *("data:image/svg+xml;bas", "data:image/png;base64,"),
    ]


def test_same_folder_same_page(run: Path, add_pictures: Make) -> None:
    add_pictures(run)
    first = write_page(run).read_bytes()
    (run / "report.html").unlink()
    assert write_page(run).read_bytes() == first
    assert sorted(path.name for path in run.iterdir() if path.name.startswith(".")) == []


def test_a_megabyte_of_pictures_stays_small(run: Path) -> None:
    for i in range(4):
        (run / "figures" / f"picture{i}.png").write_bytes(bytes(250_000))
        (run / "figures" / f"picture{i}.svg").write_bytes(bytes(900_000))
    assert write_page(run).stat().st_size < 1_600_000


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("half/results.json", '{"top1": 5', "half/results.json: not the results of an evaluation"),
        ("half/results.json", "[]", "half/results.json: not the results of an evaluation"),
        ("half/scores.npz", "x", "half: an evaluation without results.json, so not finished; left out"),
        ("deep/down/head.yaml", "x", "deep/down: an evaluation without results.json"),
        ("metrics.csv", "epoch,loss\n1,many\n", "metrics.csv: row 1: expected an epoch"),
        ("metrics.csv", "epoch,loss\n1,0.5,0.7\n", "metrics.csv: row 1: expected an epoch"),
        ("metrics.csv", "a,b\n1,2\n", "metrics.csv: row 1: expected an epoch"),
        ("metrics.csv", "epoch,loss\n", ""),
        ("config.yaml", "a: [", "config.yaml: not a readable YAML file"),
        ("config.yaml", "5", ""),
        ("config.yaml", "method: {scores: 3}\nmodel: []\nepochs: many", ""),
        ("data.yaml", "[{format: demo, split: a}, {format: ntu, split: b}]", "demo a + ntu b"),
        ("data.yaml", "format: [x]", ""),
        ("provenance.yaml", "[3, {versions: 4}]", ""),
        ("provenance.yaml", "\x00", "provenance.yaml: not a readable YAML file"),
        ("figures/masks.png", "", "figures/masks.png: an empty file, left out"),
    ],
)
def test_damaged_files_are_noted(run: Path, name: str, content: str, note: str, read: Make) -> None:
    (run / name).parent.mkdir(parents=True, exist_ok=True)
    (run / name).write_text(content)
    page = read(run)
    assert note in page.words
    assert [row[0] for row in page.tables[0][1:]] == ["knn", "linear"]


def test_a_run_without_metrics_or_evaluations(tmp_path: Path, read: Make) -> None:
    (tmp_path / "encoder.yaml").write_text("{}\n")
    page = read(tmp_path)
    assert "metrics.csv: not there" in page.words and tmp_path.name in page.words


@pytest.mark.parametrize("value", [None, "<text>", {"a": [1]}, [["x"]], "missing"])
def test_odd_results_do_not_stop_a_page(run: Path, value: Any, parse: Make, results: Make) -> None:
    for name in results().keys() - {"top1"}:
        fields = {**results(), name: value}
        if value == "missing":
            del fields[name]
        (run / "linear" / "results.json").write_text(json.dumps(fields))
        write_page(run)
        page = parse(run / "report.html")
        if len(page.tables[0]) == 3:
            write_page(run / "linear")
        else:
            assert len(page.tables[0]) == 2 and f"linear/results.json: {name}: " in page.words, name
            with pytest.raises(InputError, match=f"results.json: {name}: (expected|this field is missing)"):
                write_page(run / "linear")


def test_floors_and_other_findings_by_name_have_tables(tmp_path: Path, read: Make, write_evaluation: Make) -> None:
    floors = {"untrained_mean": 48.04, "another": 61.0}
    page = read(write_evaluation(tmp_path / "e", floors=floors, pool="joints", odd=[1, 2]))
    assert ["pool", "joints"] in page.tables[1]
    assert page.tables[2] == [["untrained encoder, mean over nodes", "48.0"], ["another", "61.0"]]
    assert (
        "Floors, by a ridge classifier (%) What the same clips give without pre-training. A ridge classifier reads all"
        in page.words
    )


def test_a_class_without_test_clips(tmp_path: Path, read: Make, write_evaluation: Make) -> None:
    page = read(write_evaluation(tmp_path / "e", per_class_recall={"sit": 75.0, "stand": None}, confusion=[[3, 1], [0, 0]]))
    assert page.tables[2][1:] == [["sit", "4", "75.0", "stand (25 %)"], ["stand", "0", MISSING, ""]]


def test_names_keep_their_underscores(run: Path, read: Make, write_evaluation: Make) -> None:
    (run / "figures" / "saliency_pick_up.png").write_bytes(b"x")
    recall = {"pick_up": 50.0, "put_down": 25.0}
    page = read(write_evaluation(run / "my_probe", per_class_recall=recall))
    assert [row[0] for row in page.tables[2][1:]] == ["pick_up", "put_down"]
    own = {"format": "folder", "topology": "t", "classes": 2, "clips": 3}
    write_evaluation(run / "my_probe", data_set=own, split="by_person")
    page = read(run)
    assert {"my_probe", "folder_by_person"} <= {cell for row in page.tables[0] for cell in row}
    assert "Saliency: pick_up" in page.words and "gradient_norm" in page.tables[1][0]


def test_an_evaluation_rewrites_the_pages_above_it(
    run: Path, capsys: pytest.CaptureFixture[str], parse: Make, write_evaluation: Make
) -> None:
    inner = write_evaluation(run / "linear" / "again", top1=12.3)
    write_pages(inner)
    for folder in (run, run / "linear", inner):
        assert "12.3" in parse(folder / "report.html").words
    assert not (run / "knn" / "report.html").exists() and not (run.parent / "report.html").exists()
    (run / "linear" / "results.json").write_text("{")
    write_pages(inner)
    assert "report.html: not written: " in capsys.readouterr().err


def test_neither_run_nor_evaluation(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folder of a run or of an evaluation"):
        write_page(tmp_path)
    assert not list(tmp_path.iterdir())


@settings(max_examples=40, deadline=None)
@given(cell=st.text(min_size=1), name=st.text(min_size=1))
def test_any_text_survives(
    tmp_path_factory: pytest.TempPathFactory, cell: str, name: str, parse: Make, write_evaluation: Make
) -> None:
    folder = write_evaluation(tmp_path_factory.mktemp("page") / "e", per_class_recall={"sit": 1.0, name: 2.0}, checkpoint=cell)
    page = parse(write_page(folder))

    def shown(text: str) -> str:
        return NOT_HTML.sub("\ufffd", text).replace("\r\n", "\n").replace("\r", "\n")

    assert page.tables[2][-1][0] == shown(name) and page.tables[3][0] == ["Checkpoint", shown(cell)]


def test_commits() -> None:
    assert short("0123456789abcdef") == "0123456789" and short("0123456789abcdef-dirty") == "0123456789-dirty"
    assert short(None) == "unknown (an installed wheel, or no git)"


def test_lists_as_texts() -> None:
    assert joined(["a", "b", "a", None]) == f"a, b, {MISSING}" and joined([]) == joined(None) == joined({"a": 1}) == MISSING
    assert joined("text") == "text" and joined(7) == "7"


def test_numbers() -> None:
    assert [number(value) for value in (1, 2.25, True, None, "3", float("nan"), [1])] == ["1.0", "2.2", *[MISSING] * 5]
    assert [duration(value) for value in (1.24, 58.4, 211, 7500, None)] == [
        "1.2 s",
        "58 s",
        "3 min 31 s",
        "2 h 5 min",
        MISSING,
    ]

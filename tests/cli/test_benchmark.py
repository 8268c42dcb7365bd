from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from masksem_graph.benchmark import variants
from masksem_graph.benchmark.measure import CHOICES
from masksem_graph.benchmark.timing import count_flop, interleaved
from masksem_graph.benchmark.variants import Variant, loss_of, train_step
from masksem_graph.benchmark.workload import Workload, build_workload
from masksem_graph.cli.benchmark import main
from masksem_graph.errors import InputError
from masksem_graph.models import attention
from masksem_graph.models.attention import goes_head_by_head
from masksem_graph.models.linear import uses_onednn

CPU = torch.device("cpu")


@pytest.fixture
def work() -> Workload:
    return build_workload("model/tiny", sequences=3, two_person=1, device=CPU)


def test_figures_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--model model/tiny --device cpu --sequences 3 --two_person 1 --rounds 1 --compile false --probe_clips 300"
    main([*options.split(), "--output", str(tmp_path / "out.json")])
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["batch"] == {"sequences": 3, "bodies": 4, "two_person": 1}
    assert {"model", "device", "threads", "torch", "rounds"} <= set(found)
    for name in ("milliseconds", "sequences_per_second", "peak_memory_bytes", "flop", "flops_per_second", "utilisation"):
        assert found["step"][name] > 0
    assert found["matmul"]["flops_per_second"] > 0
    assert found["linear"]["epoch_seconds"] > found["linear"]["head_epoch_seconds"] > 0
    assert set(found["choices"]) == set(CHOICES)
    assert found["choices"]["compile"]["skipped"] == "left out by --compile false"
    for name, row in found["choices"].items():
        if name != "compile":
            assert row["ratio"] > 0 and row["loss_difference"] < (0.1 if name == "precision" else 1e-4)
    printed = capsys.readouterr().out
    assert "times as fast" in printed and "utilisation" in printed and "left out by" in printed


@pytest.mark.parametrize("name", [name for name, choice in CHOICES.items() if choice.variant and not choice.variant.bf16])
def test_every_variant_computes_the_same_loss_and_gradients(name: str, work: Workload) -> None:
    choice = CHOICES[name].variant
    assert choice is not None
    results = []
    for variant in (Variant(), choice):
        with variant.applied():
            loss = loss_of(work, variant)
            loss.backward()
        gradients = {n: p.grad.clone() for n, p in work.task.named_parameters() if p.grad is not None}
        assert not any(n.startswith("teacher") for n in gradients)
        results.append((loss.detach(), gradients))
        work.optimiser.zero_grad()
    torch.testing.assert_close(results[1][0], results[0][0], rtol=1e-5, atol=0)
    torch.testing.assert_close(results[1][1], results[0][1], rtol=1e-3, atol=1e-6)


@pytest.mark.skipif(not uses_onednn(torch.ones(1)), reason="only on a CPU with AVX-512")
def test_variants_choose_their_attention(work: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []

    def ours(q: torch.Tensor) -> bool:
        taken.append(goes_head_by_head(q))
        return taken[-1]

    monkeypatch.setattr(attention, "LEAST_NODES", 1)
    monkeypatch.setattr(attention, "LEAST_WIDTH", 1)
    monkeypatch.setattr(attention, "goes_head_by_head", ours)
    losses = {}
    torches_own = {"attention", "attention_kernel", "linear", "all_slow"}
    for name, choice in CHOICES.items():
        if choice.variant is not None:
            taken.clear()
            with torch.no_grad(), choice.variant.applied():
                losses[name] = loss_of(work, choice.variant).item()
            assert taken and set(taken) == {name not in torches_own}, name
    assert losses.pop("precision") == pytest.approx(losses["attention"], rel=0.1)
    assert list(losses.values()) == pytest.approx([losses["attention"]] * len(losses), rel=1e-5)


def test_what_must_settle_runs_before_it_is_timed() -> None:
    order: list[str] = []
    runs = {name: partial(order.append, name) for name in "abc"}
    seconds, processor = interleaved(runs, settled=("a", "c"), rounds=2, device=CPU, advance=lambda name: None)
    assert "".join(order) == 2 * "aabcc"
    assert {name: len(values) for name, values in seconds.items()} == dict.fromkeys(
        "abc", 2
    ) and processor.keys() == runs.keys()


def test_memory_is_given_back_during_the_step_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(variants, "keep_freed_memory", lambda keep=True: kept.append(keep))
    with Variant().applied():
        assert kept == []
    with Variant(memory_given_back=True).applied():
        assert kept == [False]
    assert kept == [False, True]
    assert list(CHOICES)[-1] == "freed_memory" and not CHOICES["all_slow"].variant.memory_given_back


def test_the_default_is_what_training_computes(work: Workload) -> None:
    expected = work.task(work.clips, work.uniform[: len(work.clips.sequence)])["loss"]
    torch.testing.assert_close(loss_of(work, Variant()), expected)


def test_operations_are_those_of_products_and_attention(work: Workload) -> None:
    model, width, hidden, values = work.task.student, 64, 256, 12
    bodies, nodes, kept = 4, work.task.nodes, work.task.nodes - work.task.masked

    def block(n: int) -> int:
        return 2 * n * width * (4 * width + 2 * hidden) + 4 * n * n * width

    teacher = (bodies + 1) * (3 * block(nodes) + 2 * nodes * values * width)
    student = bodies * (9 * block(kept) + 2 * 2 * kept * values * width)  # the embedding's input needs no gradient
    decoder = bodies * 3 * (block(nodes) + 2 * kept * width**2 + 2 * (nodes - kept) * width * values)
    products = teacher + student + decoder
    assert model.width == width
    found = count_flop(lambda: train_step(work, Variant()))
    assert found == pytest.approx(products, rel=1e-3)


def test_absent_bodies_cost_operations(work: Workload) -> None:
    assert count_flop(lambda: loss_of(work, Variant(absent_bodies=True))) > 1.3 * count_flop(lambda: loss_of(work, Variant()))


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="--two_person: expected at most 2"):
        main(["--sequences", "2", "--two_person", "3"])
    with pytest.raises(InputError, match="expected a section `model:`"):
        main(["--model", "method/mamp", "--device", "cpu"])
    with pytest.raises(InputError, match="no such file"):
        main(["--model", "model/huge", "--device", "cpu"])

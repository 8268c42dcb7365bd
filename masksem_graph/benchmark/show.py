"""The benchmark's tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

GIGA = 1e9
IDLE_SHARE = 0.85  # of its threads' time, what a step gets on a machine with nothing else to do


def show(console: Console, found: dict[str, Any]) -> None:
    """Print every figure.

    Args:
        console: where to.
        found: what `masksem_graph.benchmark.measure` returned.
    """
    console.print(_figures(found))
    console.print(_choices(found["choices"]))
    for name, row in found["choices"].items():
        if row["skipped"] is not None:
            console.print(f"{_title(name)} was skipped: {row['skipped']}")
    share = found["step"]["processor_share"]
    if share is not None and share < IDLE_SHARE:
        console.print(f"The machine was busy: a step had {share:.2f} of its threads' time. Take the figures on an idle one.")
    speedup, utilisation = found["goals"]["speedup"], found["goals"]["utilisation"]
    console.print(
        f"default over all slow: {speedup['found']:.2f} times as fast; "
        f"the goal is {speedup['goal']:g} (paper scale, 2 CPU cores, fp32): {_met(speedup)}"
    )
    console.print(f"utilisation: {utilisation['found']:.2f}; the goal is {utilisation['goal']:g}: {_met(utilisation)}")


def _met(goal: dict[str, Any]) -> str:
    return "met" if goal["met"] else "not met"


def _title(name: str) -> str:
    return name.replace("_", " ")


def _figures(found: dict[str, Any]) -> Table:
    step, linear, batch = found["step"], found["linear"], found["batch"]
    rows = {
        "one training step": f"{step['milliseconds']:,.0f} ms",
        "sequences a second": f"{step['sequences_per_second']:.2f}",
        "peak memory": f"{step['peak_memory_bytes'] / 2**30:.2f} GiB ({step['peak_memory_is']})",
        "operations a step": f"{step['flop'] / GIGA:,.1f} GFLOP",
        "reached": f"{step['flops_per_second'] / GIGA:,.1f} GFLOP/s",
        "large matrix product, fp32, torch.mm": f"{found['matmul']['flops_per_second'] / GIGA:,.1f} GFLOP/s",
        "the same by the networks' linear layer": f"{found['matmul']['layer_flops_per_second'] / GIGA:,.1f} GFLOP/s",
        "large matrix product, bf16": f"{found['matmul']['bf16_flops_per_second'] / GIGA:,.1f} GFLOP/s",
        "utilisation (reached / fp32 product)": f"{step['utilisation']:.2f}",
        "reached / the faster of the two fp32 products": f"{step['utilisation_of_fastest']:.2f}",
        "linear protocol: encoding": f"{linear['encode_clips_per_second']:.2f} clips/s",
        "linear protocol: head, an epoch": f"{linear['head_epoch_seconds']:.2f} s for {linear['clips']:,} clips",
        "linear protocol: an epoch": f"{linear['epoch_seconds']:,.0f} s, from the two above",
    }
    title = (
        f"{found['model']}, {batch['sequences']} sequences, {batch['two_person']} of two bodies; {found['device']}, "
        f"{found['threads']} threads, torch {found['torch']}, medians of {found['rounds']} rounds"
    )
    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _choices(choices: dict[str, Any]) -> Table:
    table = Table(title="what each choice buys: the whole step with the alternative", title_justify="left")
    for column in ("choice", "alternative", "ms", "times the default's", "loss differs by"):
        table.add_column(column, justify="left" if column in ("choice", "alternative") else "right")
    for name, row in choices.items():
        words = (f"{_title(name)}: {row['default']}", row["alternative"])
        if row["skipped"] is not None:
            table.add_row(*words, "skipped")
        else:
            table.add_row(*words, f"{row['milliseconds']:,.0f}", f"{row['ratio']:.2f}", f"{row['loss_difference']:.0e}")
    return table

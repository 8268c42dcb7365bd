"""All of the benchmark's figures."""

from __future__ import annotations

import copy
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from rich.progress import Progress, TaskID

from masksem_graph.benchmark.memory import CPU_KIND, GPU_KIND, peak_on_cpu, peak_on_gpu
from masksem_graph.benchmark.timing import count_flop, interleaved, matrix_products, seconds_of
from masksem_graph.benchmark.variants import Variant, loss_of, train_step
from masksem_graph.benchmark.workload import Workload, build_workload
from masksem_graph.errors import InputError
from masksem_graph.models.pool import sequence_mean
from masksem_graph.protocols.linear import Linear
from masksem_graph.training.optim import OptimConfig, build_adamw
from masksem_graph.training.pretrain import compile_networks

PROBE_CLASSES = 60
SPEEDUP_GOAL, UTILISATION_GOAL = 4.0, 0.5


@dataclass(frozen=True)
class Choice:
    """A row of the table.

    Args:
        default, alternative: in words.
        variant: the alternative; None for compiled networks.
    """

    default: str
    alternative: str
    variant: Variant | None


CHOICES = {
    "absent_bodies": Choice("skipped", "computed", Variant(absent_bodies=True)),
    "saliency": Choice("closed form", "autograd", Variant(autograd_saliency=True)),
    "attention": Choice("fused, or a head at a time", "explicit", Variant(explicit_attention=True)),
    "attention_kernel": Choice("oneDNN, a head at a time", "torch's fused", Variant(fused_attention=True)),
    "precision": Choice("fp32", "bf16 autocast", Variant(bf16=True)),
    "compile": Choice("eager", "compiled", None),
    "linear": Choice("oneDNN on AVX-512", "torch's linear and attention", Variant(torch_linear=True)),
    "all_slow": Choice(
        "all of the default",
        "absent bodies, autograd, explicit",
        Variant(absent_bodies=True, autograd_saliency=True, explicit_attention=True),
    ),
    "freed_memory": Choice("kept", "given back", Variant(memory_given_back=True)),
}
# What ran before each of these left it a memory of the other kind; it is run once more before it is timed.
SETTLED = ("default", "freed_memory")


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """What to measure.

    Args:
        model: a YAML file or a shipped name.
        sequences: in a batch.
        two_person: how many of them hold two bodies.
        rounds: how often everything is timed; medians are reported.
        compile: also compile the networks, which takes minutes at paper scale.
        probe_clips: training clips of the linear probe; NTU-60 cross-subject has 40,091.
    """

    model: str = "model/paper"
    sequences: int = 12
    two_person: int = 2
    rounds: int = 3
    compile: bool = True
    probe_clips: int = 40_091

    def __post_init__(self) -> None:
        for name, least in (("sequences", 1), ("two_person", 0), ("rounds", 1), ("probe_clips", 2)):
            if getattr(self, name) < least:
                raise InputError(f"--{name}: expected at least {least}, found {getattr(self, name)}")
        if self.two_person > self.sequences:
            raise InputError(f"--two_person: expected at most {self.sequences} sequences, found {self.two_person}")


def measure(config: BenchmarkConfig, device: torch.device, progress: Progress) -> dict[str, Any]:
    """Every figure, by name."""
    bar = progress.add_task("benchmark", total=len(CHOICES) + 4 + config.rounds * (len(CHOICES) + 5), note="building")
    work = build_workload(config.model, sequences=config.sequences, two_person=config.two_person, device=device)
    memory = _peak_memory(config, work, device)
    _tell(progress, bar, "counting")
    flop = count_flop(partial(train_step, work, Variant()))
    steps, skipped, differences = _prepare(config, work, progress, bar)
    products, product_flop = matrix_products(device)
    extra = {f"product_{name}": run for name, run in products.items()} | {"encode": partial(_encode, work)}
    for run in extra.values():
        seconds_of(run, device)
    runs = {"default": steps.pop("default")} | extra | steps  # freed_memory is the last
    advance = partial(_tell, progress, bar)
    seconds, processor = interleaved(runs, settled=SETTLED, rounds=config.rounds, device=device, advance=advance)
    typical = {name: median(values) for name, values in seconds.items()}
    rate = {name: product_flop / typical[f"product_{name}"] for name in products}
    step = typical["default"]
    return {
        "model": config.model,
        "device": _device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "batch": {"sequences": config.sequences, "bodies": len(work.clips.sequence), "two_person": config.two_person},
        "rounds": config.rounds,
        "step": {
            "milliseconds": 1e3 * step,
            "sequences_per_second": config.sequences / step,
            "peak_memory_bytes": memory,
            "peak_memory_is": GPU_KIND if device.type == "cuda" else CPU_KIND,
            "flop": flop,
            "flops_per_second": flop / step,
            "utilisation": flop / step / rate["fp32"],
            "utilisation_of_fastest": flop / step / max(rate["fp32"], rate["layer"]),
            "processor_share": _processor_share(seconds["default"], processor["default"]) if device.type == "cpu" else None,
        },
        "matmul": {
            "flops_per_second": rate["fp32"],
            "layer_flops_per_second": rate["layer"],
            "bf16_flops_per_second": rate["bf16"],
        },
        "linear": _linear(config, work, typical["encode"], device),
        "choices": {name: _row(name, typical, skipped, differences) for name in CHOICES},
        "goals": _goals(typical["all_slow"] / step, flop / step / rate["fp32"]),
        "seconds_by_round": seconds,
        "processor_seconds_by_round": processor,
    }


def _tell(progress: Progress, bar: TaskID, note: str) -> None:
    progress.update(bar, advance=1, note=note)


def _peak_memory(config: BenchmarkConfig, work: Workload, device: torch.device) -> int:
    if device.type == "cuda":
        train_step(work, Variant())
        return peak_on_gpu(work, device)
    return peak_on_cpu(config.model, sequences=config.sequences, two_person=config.two_person)


def _prepare(
    config: BenchmarkConfig, work: Workload, progress: Progress, bar: TaskID
) -> tuple[dict[str, Callable[[], object]], dict[str, str], dict[str, float]]:
    """What to time, by name, warmed up; why some is left out; how far each one's loss is from the default's."""
    runs: dict[str, Callable[[], object]] = {"default": partial(_step, work, Variant())}
    losses = {"default": _first_loss(work, Variant())}
    _tell(progress, bar, "default")
    skipped: dict[str, str] = {}
    for name, choice in CHOICES.items():
        if choice.variant is not None:
            runs[name] = partial(_step, work, choice.variant)
            losses[name] = _first_loss(work, choice.variant)
        elif not config.compile:
            skipped[name] = "left out by --compile false"
        else:
            try:
                compiled = _compiled(work)
                losses[name] = _first_loss(compiled, Variant())
                train_step(compiled, Variant())
                runs[name] = partial(_step, compiled, Variant())
            except Exception as error:  # torch.compile fails in as many ways as there are compilers
                skipped[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:100]}"
        _tell(progress, bar, name)
    runs["default"]()
    return runs, skipped, {name: abs(value / losses["default"] - 1) for name, value in losses.items()}


def _compiled(work: Workload) -> Workload:
    task = copy.deepcopy(work.task)
    compile_networks(task)
    return Workload(task, build_adamw(task, OptimConfig()), work.clips, work.padded, work.uniform)


def _first_loss(work: Workload, variant: Variant) -> float:
    """The loss before any step; also the warm-up of the forward pass."""
    with torch.no_grad(), variant.applied():
        return loss_of(work, variant).item()


def _step(work: Workload, variant: Variant) -> None:
    with variant.applied():
        train_step(work, variant)


@torch.no_grad()
def _encode(work: Workload) -> torch.Tensor:
    features = work.task.student.features(work.clips.coordinates)
    return sequence_mean(features, work.clips.sequence, len(work.clips.label))[0]


def _linear(config: BenchmarkConfig, work: Workload, encode_seconds: float, device: torch.device) -> dict[str, float]:
    """The linear probe: an epoch encodes every training clip once, freshly augmented, and trains the head on its features."""
    probe = Linear(epochs=1)
    head = probe._head(work.task.student.width, PROBE_CLASSES, 0).to(device)
    optimiser = torch.optim.SGD(head.parameters(), lr=probe.lr, momentum=probe.momentum)
    features = torch.randn(config.probe_clips, work.task.student.width, device=device)
    labels = torch.randint(PROBE_CLASSES, (config.probe_clips,), device=device)
    epoch = [
        seconds_of(lambda: probe._epoch(head, optimiser, features, labels, 0, 0), device) for _ in range(config.rounds + 1)
    ]
    clips_per_second = config.sequences / encode_seconds
    return {
        "encode_clips_per_second": clips_per_second,
        "clips": config.probe_clips,
        "head_epoch_seconds": median(epoch[1:]),
        "epoch_seconds": config.probe_clips / clips_per_second + median(epoch[1:]),
    }


def _row(name: str, typical: dict[str, float], skipped: dict[str, str], differences: dict[str, float]) -> dict[str, Any]:
    """One choice; ``ratio`` says how many times as fast as the alternative the default is."""
    choice, step = CHOICES[name], typical["default"]
    row: dict[str, Any] = {"default": choice.default, "alternative": choice.alternative, "default_milliseconds": 1e3 * step}
    if name in skipped:
        return row | {"milliseconds": None, "ratio": None, "loss_difference": None, "skipped": skipped[name]}
    seconds = typical[name]
    return row | {
        "milliseconds": 1e3 * seconds,
        "ratio": seconds / step,
        "loss_difference": differences[name],
        "skipped": None,
    }


def _processor_share(seconds: list[float], processor: list[float]) -> float:
    """How much of its threads' time the process got; well below 1 where other programs kept the machine busy."""
    return sum(processor) / (sum(seconds) * torch.get_num_threads())


def _goals(speedup: float, utilisation: float) -> dict[str, Any]:
    return {
        "speedup": {"found": speedup, "goal": SPEEDUP_GOAL, "met": speedup >= SPEEDUP_GOAL},
        "utilisation": {"found": utilisation, "goal": UTILISATION_GOAL, "met": utilisation >= UTILISATION_GOAL},
    }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({platform.processor() or platform.machine()}, {torch.backends.cpu.get_cpu_capability()})"

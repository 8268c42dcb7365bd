"""The pre-training loop: knows steps, processes, checkpoints and figures, and nothing of the method."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from rich.progress import Progress
from torch import Tensor
from torch.nn.utils import get_total_norm

from masksem_graph.data.loader import BodyPlan, SkeletonLoader
from masksem_graph.data.mixture import Mixture, Portion, TrainingSet
from masksem_graph.data.views import CropConfig, random_view
from masksem_graph.errors import InputError, shown
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.seeding import Purpose, keyed_generator
from masksem_graph.tasks.pretrain import GlobalBatch, Pretrain, RandomNumbers
from masksem_graph.training.checkpoint import check_alike, save_checkpoint
from masksem_graph.training.config import TrainConfig
from masksem_graph.training.metrics import MetricsLog
from masksem_graph.training.optim import build_adamw, set_rate
from masksem_graph.training.signals import StopRequest

TELL_SECONDS = 20.0  # between the lines that a log gets
AGREE_SECONDS, AGREE_STEPS = 2.0, 16  # how often several processes look at each other's signals, and after how many steps


@dataclass
class Progressed:
    """How far a run has come: the epoch under way, the step in it, and its sums so far."""

    epoch: int = 0
    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0
    bodies: int = 0


class NonFiniteLoss(InputError):
    """The loss or a gradient became infinite or not a number."""


class Interrupted(Exception):
    """A signal, SIGTERM or Ctrl-C, asked the run to stop; a checkpoint of this very step is written."""

    def __init__(self, signal: int, progressed: Progressed) -> None:
        super().__init__(f"stopped in epoch {progressed.epoch + 1} after {progressed.step} steps")
        self.signal = signal


@dataclass(kw_only=True, eq=False)
class PretrainLoop:
    """Trains a task; ``progressed`` says how far it is.

    Args:
        fabric: launched.
        task: what to train; on the CPU as built or loaded.
        sets: the data sets, in the task's order, their sources on Fabric's device.
        config, crop, folder: the numbers, and where the run goes.
        save_encoder, evaluate: called with the student at every checkpoint, and every few epochs for figures.
        compile: compile the task's networks.
        zero_levels: what predicting zero costs for each target; errors are logged as a share of it too, ``NAME_share``.
    """

    fabric: Fabric
    task: Pretrain
    sets: Sequence[TrainingSet]
    config: TrainConfig
    crop: CropConfig
    folder: Path
    save_encoder: Callable[[SkeletonEncoder], None]
    evaluate: Callable[[SkeletonEncoder], dict[str, float]] | None = None
    compile: bool = False
    zero_levels: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        task, self.checkpoint = self.task, self.folder / "last.pt"
        self.mixture = Mixture(self.sets, batch_size=self.config.batch_size, seed=self.config.seed)
        self.steps_per_epoch = self.mixture.steps
        for network in (task.student, task.teacher, task.decoder) if self.compile else ():
            if network is not None:
                network.backbone.compile_layers()
        self.wrapped, self.optimiser = self.fabric.setup(task, build_adamw(task, self.config))
        self.progressed = Progressed()
        self.saved_at = self.told_at = self.agreed_at = time.monotonic()
        self.agree_in = self.steps_since = 1

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.progressed.epoch >= self.config.epochs

    def run(self, progress: Progress) -> None:
        """Train to the end. Before `NonFiniteLoss` the last good checkpoint stays, before `Interrupted` one is written."""
        log = MetricsLog(self.folder, self.progressed.epoch) if self.fabric.is_global_zero else None
        done = self.progressed.epoch * self.steps_per_epoch + self.progressed.step
        total = self.config.epochs * self.steps_per_epoch
        bar = progress.add_task("pre-training", total=total, completed=done, note="")
        try:
            with StopRequest() as stop:
                while not self.finished:
                    self._epoch(progress, bar, stop)
                    row = self._end_epoch()
                    if log is not None:
                        log.write(row)
                        self._tell(progress, bar, row)
                    self.save()
        finally:
            if log is not None:
                log.close()

    def _tell(self, progress: Progress, bar: Any, row: dict[str, float]) -> None:
        """Note an epoch; as a line every so often where there is no terminal to draw a bar on, such as a batch job's log."""
        note = f"epoch {int(row['epoch'])}  loss {row['loss']:.4f}"
        progress.update(bar, note=note)
        if not progress.console.is_terminal and time.monotonic() - self.told_at > TELL_SECONDS:
            self.told_at = time.monotonic()
            line = f"{note}  of {self.config.epochs} epochs, {row['seconds']:.0f} s each"
            progress.console.print(line, markup=False)

    def _epoch(self, progress: Progress, bar: Any, stop: StopRequest) -> None:
        state, began = self.progressed, time.monotonic()
        before = state.seconds
        for step, portion in enumerate(self.mixture.epoch(state.epoch)):
            if step < state.step:
                continue
            state.bodies += self._step(state.epoch, step, portion)
            state.step = step + 1
            state.seconds = before + time.monotonic() - began
            progress.advance(bar)
            due = time.monotonic() - self.saved_at > 60 * self.config.checkpoint_minutes
            stopping, due = self._agree(stop.signal is not None, due)
            if stopping or due:
                self.save()
            if stopping:
                raise Interrupted(stop.signal or 0, state)

    def _step(self, epoch: int, step: int, portion: Portion) -> int:
        """One optimiser step on a global batch; returns its bodies."""
        one, several = self.sets[portion.data_set], len(self.sets) > 1
        plan, numbers = self.draw(epoch, step, portion)
        parts, bodies = self._my_parts(plan, numbers), len(plan.body)
        # Every process reads the whole batch for its mean: cheap beside the networks, and equal to one process's.
        of_batch = self.task.needs_reference and self.task.config.reference == "batch"
        reference = one.source.load(plan).frames.mean(0) if of_batch else None
        whole = GlobalBatch(bodies=bodies, reference=reference, data_set=portion.data_set)
        config, steps = self.config, self.config.epochs * self.steps_per_epoch
        warmup = round(config.warmup * config.epochs * self.steps_per_epoch)
        now = epoch * self.steps_per_epoch + step
        set_rate(self.optimiser, now, steps=steps, warmup=warmup, peak=config.lr, final=config.final_lr)
        self.task.update_teacher()
        dropout = (self.config.seed, Purpose.PRETRAIN_DROPOUT, epoch, step, self.fabric.global_rank)
        torch.manual_seed(keyed_generator(*dropout).initial_seed())
        whole = whole._replace(latents=self._batch_latents(one.source, parts, whole))
        for i, (first, part, drawn) in enumerate(parts):
            with self.fabric.no_backward_sync(self.wrapped, enabled=i + 1 < len(parts)):
                out = self.wrapped(one.source.load(part), drawn, whole._replace(first=first))
                # Fabric averages gradients over processes; the loss is a sum over the global batch.
                self.fabric.backward(out["loss"] * self.fabric.world_size)
            for name, value in (out | ({f"loss_{one.name}": out["loss"]} if several else {})).items():
                self._add(name, value.detach() * bodies)
        trained = (p for group in self.optimiser.param_groups for p in group["params"])
        norm = get_total_norm([p.grad for p in trained if p.grad is not None])
        self._add("gradient_norm", norm * bodies / self.fabric.world_size)
        if several:
            self._add(f"share_{one.name}", torch.full_like(norm, bodies / self.fabric.world_size))
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return bodies

    def draw(self, epoch: int, step: int, portion: Portion) -> tuple[BodyPlan, RandomNumbers]:
        """Everything random of a step, for the global batch, keyed by seed, epoch and step alone."""
        clips, source = portion.clips, self.sets[portion.data_set].source
        generator = keyed_generator(self.config.seed, Purpose.PRETRAIN_VIEW, epoch, step)
        plan = source.plan(random_view(clips, source.length[clips], self.crop, source.transforms, generator))
        counts = self.task.draws(self.task.student.segments, len(source.topology))
        drawn = {name: torch.rand(len(clips), source.max_bodies, n, generator=generator) for name, n in counts.items()}
        return plan, RandomNumbers(**{name: values[plan.sequence, plan.slot] for name, values in drawn.items()})

    def _my_parts(self, plan: BodyPlan, numbers: RandomNumbers) -> list[tuple[int, BodyPlan, RandomNumbers]]:
        """This process's share of a global batch in ``accumulate`` parts, each after its first body's place in the batch."""
        parts, rank = self.config.accumulate, self.fabric.global_rank
        edges = torch.linspace(0, len(plan.view.clips), self.fabric.world_size * parts + 1).round().long().tolist()
        mine = []
        for start, end in list(pairwise(edges))[rank * parts : (rank + 1) * parts]:
            inside = (plan.sequence >= start) & (plan.sequence < end)
            first = int((plan.sequence < start).sum())
            mine.append((first, plan.part(start, end), numbers.of_bodies(inside, self.fabric.device)))
        return mine

    @torch.no_grad()
    def _batch_latents(
        self, source: SkeletonLoader, parts: list[tuple[int, BodyPlan, RandomNumbers]], whole: GlobalBatch
    ) -> Float[Tensor, "B views D"] | None:
        """Every body's latents where the task compares bodies that do not come through in one piece: one more forward pass."""
        if self.task.contrast is None or len(parts) * self.fabric.world_size == 1:
            return None
        with self.fabric.autocast():
            own = [self.task.latents(source.load(part), numbers, whole) for _, part, numbers in parts]
        latents = own[0].new_zeros(whole.bodies, *own[0].shape[1:])
        for (first, _, _), values in zip(parts, own, strict=True):
            latents[first : first + len(values)] = values
        return self._sum(latents)

    def _add(self, name: str, value: Float[Tensor, ""]) -> None:
        sums = self.progressed.sums
        sums[name] = sums[name] + value.float() if name in sums else value.float()

    def _end_epoch(self) -> dict[str, float]:
        state, figures = self.progressed, self._figures()
        figures |= {f"{name}_share": figures[name] / level for name, level in self.zero_levels.items() if level > 0}
        rate = {"lr": self.optimiser.param_groups[0]["lr"], "seconds": state.seconds}
        rate["sequences_per_second"] = self.mixture.sequences(state.epoch) / max(state.seconds, 1e-9)
        self.progressed = Progressed(epoch=state.epoch + 1)
        row, every = {"epoch": state.epoch + 1, **figures, **rate}, self.config.evaluate_every
        if self.evaluate and every and (self.progressed.epoch % every == 0 or self.finished):
            row |= self.evaluate(self.task.student)
        return row

    def _figures(self) -> dict[str, float]:
        """Means per body over the epoch so far, over all processes; `NonFiniteLoss` where one is not finite.

        Of several data sets also ``share_NAME`` of the bodies, and ``loss_NAME``, the mean over this share alone.
        """
        state = self.progressed
        totals = torch.stack(list(state.sums.values())) if state.sums else torch.zeros(0)
        figures = dict(zip(state.sums, (self._sum(totals) / max(state.bodies, 1)).tolist(), strict=True))
        for one in self.sets:
            if share := figures.pop(f"share_{one.name}", None):
                figures |= {f"loss_{one.name}": figures.pop(f"loss_{one.name}") / share, f"share_{one.name}": share}
        if bad := [name for name, value in figures.items() if not math.isfinite(value)]:
            kept = f". The last good checkpoint is kept in {self.checkpoint}" if self.checkpoint.is_file() else ""
            raise NonFiniteLoss(
                f"{bad[0]}: found {figures[bad[0]]} in epoch {state.epoch + 1}, expected a finite number; "
                f"try a smaller --train.lr, or look at parts of your own{kept}"
            )
        return figures

    def _sum(self, value: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        return cast(Tensor, self.fabric.all_reduce(value, reduce_op="sum")) if self.fabric.world_size > 1 else value

    def _agree(self, *flags: bool) -> list[bool]:
        """Which of some flags any process raises: several save and stop together, and talk about it every few steps only."""
        world = self.fabric.world_size
        if world == 1:
            return list(flags)
        if self.steps_since < self.agree_in:
            self.steps_since += 1
            return [False] * len(flags)
        now = time.monotonic()
        told = torch.tensor([now - self.agreed_at, *map(float, flags)], device=self.fabric.device)
        seconds, *raised = self._sum(told).tolist()
        # From what all have told, so that all come to the same number.
        steps = AGREE_SECONDS * world * self.steps_since / max(seconds, 1e-9)
        self.agree_in, self.steps_since, self.agreed_at = max(1, min(AGREE_STEPS, int(steps))), 1, now
        return [value > 0 for value in raised]

    def save(self) -> None:
        """Write the checkpoint and the encoder, unless something in them went bad."""
        self._figures()
        self.saved_at = time.monotonic()
        if self.fabric.is_global_zero:
            # First: a run whose checkpoint says that it is finished is never taken up again, so its encoder must be there.
            self.save_encoder(self.task.student)
            state = {
                "task": self.task.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                **vars(self.progressed),
                "sums": {name: value.cpu() for name, value in self.progressed.sums.items()},
                "finished": self.finished,
            }
            save_checkpoint(self.checkpoint, state)
        self.fabric.barrier()

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint; `InputError` where it is not one of this run."""
        try:
            self._check(state)
            self.task.load_state_dict(state["task"])
            # Rates and decays are the configuration's own; only the moments go on.
            self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state["optimiser"]["state"]})
        except InputError as error:
            raise InputError(f"{self.checkpoint}: {error}") from None
        sums = {name: value.to(self.fabric.device) for name, value in state["sums"].items()}
        if not self.fabric.is_global_zero:
            sums = {name: torch.zeros_like(value) for name, value in sums.items()}
        self.progressed = Progressed(state["epoch"], state["step"], sums, state["seconds"], state["bodies"])

    def _check(self, state: dict[str, Any]) -> None:
        """Refuse a checkpoint that does not fit: an optimiser that takes moments of another shape crashes later."""
        check_alike(state.get("task"), self.task.state_dict(), "task")
        optimiser = state.get("optimiser")
        found = optimiser.get("state") if isinstance(optimiser, dict) else None
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        expected = {i: {"step": torch.zeros(()), "exp_avg": p, "exp_avg_sq": p} for i, p in enumerate(parameters)}
        if not isinstance(found, dict) or not found.keys() <= expected.keys():
            raise InputError(f"optimiser.state: expected the moments of {len(parameters)} parameters")
        check_alike(found, {i: expected[i] for i in found}, "optimiser.state")
        limits = {"epoch": self.config.epochs, "step": self.steps_per_epoch, "bodies": 2**48, "seconds": 1e12}
        for name, most in limits.items():
            kinds = (int, float) if name == "seconds" else (int,)
            if type(value := state.get(name)) not in kinds or not 0 <= value <= most:  # type: ignore[operator]
                raise InputError(f"{name}: expected a number from 0 to {most:g}, found {shown(value)}")
        sums = state.get("sums")
        check_alike(sums, dict.fromkeys(map(str, sums), torch.zeros(())) if isinstance(sums, dict) else {}, "sums")


def average_clip(source: SkeletonLoader, plans: Iterator[BodyPlan]) -> Float[Tensor, "T J C"]:
    """Mean over all present bodies of some views, the reference of METHOD's ``reference: dataset``."""
    total, bodies = torch.zeros((), dtype=torch.float64), 0
    for plan in plans:
        frames = source.load(plan).frames.double()
        total, bodies = total + frames.sum(0), bodies + len(frames)
    if bodies == 0:
        raise InputError("data.split: expected training clips, found none")
    return (total / bodies).float()

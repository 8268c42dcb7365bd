"""Any model on graphs as a backbone: torch_geometric's own, or a module of the user's."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch_geometric.nn.models import PNA
from torch_geometric.nn.models.basic_gnn import BasicGNN
from torch_geometric.utils import degree

from masksem_graph.backbones.base import Masked, evaluating
from masksem_graph.backbones.message_passing import MessagePassingBackbone, edge_weights, edge_width, one_hot_edges
from masksem_graph.edges import reach_graph
from masksem_graph.errors import InputError, meant
from masksem_graph.graph import SkeletonBatch, SkeletonData
from masksem_graph.topology import Topology

WIDTHS = ("in_channels", "out_channels", "channels", "width", "hidden_channels")
CHAIN = Topology(
    name="chain",
    joints=("a", "b", "c"),
    bones=(("b", "a"), ("c", "b")),
    parts={"all": ("a", "b", "c")},
    mirror={joint: joint for joint in "abc"},
    centre="a",
)  # to try a model out on
INPUTS = ("x", "edge_index", "edge_attr", "edge_weight", "batch", "batch_size")
PNA_PAPER = {  # Corso et al., NeurIPS 2020, Eq. 8
    "aggregators": ["mean", "min", "max", "std"],
    "scalers": ["identity", "amplification", "attenuation"],
}


class GraphModel(MessagePassingBackbone):
    """A model whose ``forward`` takes ``x`` and ``edge_index``, as it is, and a final norm.

    Where its signature has them, ``forward`` is also given ``edge_attr`` (one-hot: bones, steps in time, direction),
    ``batch`` (the body of each node: a body is a graph of its own) and ``batch_size`` (how many bodies). A model that takes
    ``edge_weight`` and no ``edge_attr`` is given 1 / (bones + steps in time).

    Where its constructor has them, ``in_channels``, ``out_channels``, ``channels``, ``width`` and ``hidden_channels`` are D,
    ``edge_dim`` is the number of features of an edge, and ``deg`` is how many nodes of the graph have 0, 1, ... neighbours.
    `torch_geometric.nn.models.PNA` gets its paper's aggregators and scalers.

    Args:
        width: D.
        model: the class.
        options: the other arguments of its constructor. They may set ``hidden_channels``, ``deg`` and PNA's parts too.
        hops, kept_hops, masked: see `MessagePassingBackbone`.
        topologies: the skeletons that ``deg`` is counted on.

    Raises:
        InputError: the class takes no graph, an argument is missing, or an option is unknown; the model's output is not
            [nodes, width], or what it says of a body depends on the other bodies of the batch. It is tried out on a chain of
            three joints.
    """

    def __init__(
        self,
        *,
        width: int,
        model: type[nn.Module],
        options: Mapping[str, Any],
        hops: int = 1,
        kept_hops: int = 4,
        masked: Masked = "drop",
        topologies: Sequence[Topology] = (),
    ) -> None:
        super().__init__(hops=hops, kept_hops=kept_hops, masked=masked)
        self.inputs = _inputs(model)
        derived: dict[str, Any] = dict.fromkeys(WIDTHS, width)
        if "edge_attr" in self.inputs:
            derived["edge_dim"] = edge_width(self.reach)
        if "deg" not in options and ("deg" in _named(model) or issubclass(model, PNA)):
            derived["deg"] = degree_histogram(topologies, hops, model)
        self.model = _build(model, derived, options)
        self.norm = nn.LayerNorm(width)
        self._try_out(width)

    @torch.no_grad()
    def _try_out(self, width: int) -> None:
        """Refuse a model in which features depend on what else is in the batch: no evaluation would mean anything."""
        device = self.norm.weight.device
        h = torch.randn(2, 3, width, generator=torch.Generator().manual_seed(0)).to(device)
        frames = torch.zeros(2, 1, 3, 1, device=device)
        one, two = (SkeletonBatch.from_frames(frames[:bodies], topology=CHAIN, segment=1) for bodies in (1, 2))
        with evaluating(self):
            alone, together = self(h[:1], one), self(h, two)[:1]
        if not torch.allclose(alone, together, rtol=1e-3, atol=1e-3):
            raise InputError(
                f"{self.name}: expected bodies that do not see each other in evaluation, found features that change with the "
                "rest of the batch; torch_geometric's layer_norm wants norm_kwargs {mode: node}"
            )

    @property
    def name(self) -> str:
        """The model's dotted path."""
        return _path(type(self.model))

    def propagate(self, h: Float[Tensor, "B n D"], graph: SkeletonData) -> Float[Tensor, "B n D"]:
        given: dict[str, Any] = {"x": h.flatten(0, 1), "edge_index": graph.edge_index}
        given |= {"batch": graph.body, "batch_size": h.shape[0]}
        if "edge_attr" in self.inputs:
            given["edge_attr"] = one_hot_edges(graph.edge_attr, self.reach)
        elif "edge_weight" in self.inputs:
            given["edge_weight"] = edge_weights(graph.edge_attr)
        out = self.model(**{name: given[name] for name in self.inputs})
        if not isinstance(out, Tensor) or out.shape != given["x"].shape:
            found = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise InputError(f"{self.name}: expected features [nodes, width] = {list(given['x'].shape)}, found {found}")
        return self.norm(out.view_as(h))


def graph_model(model: type[nn.Module], **arguments: Any) -> Callable[..., GraphModel]:
    """A factory of `GraphModel`: ``hops``, ``kept_hops`` and ``masked`` are its own arguments, all others are the model's."""
    own = {name: arguments.pop(name) for name in ("hops", "kept_hops", "masked") if name in arguments}
    return functools.partial(GraphModel, model=model, options=arguments, **own)


def degree_histogram(topologies: Sequence[Topology], hops: int, model: type[nn.Module]) -> Int64[Tensor, " degrees"]:
    """How many joints of all topologies have 0, 1, ... neighbours, in a segment that is far from a clip's ends."""
    if not topologies:
        raise InputError(f"{_path(model)}: deg is counted on a topology, found none; give topologies, or deg as an option")
    counts = []
    for topology in topologies:
        graph = reach_graph(topology, 2 * hops + 1, hops)
        neighbours = degree(graph.edge_index[1], graph.num_nodes, dtype=torch.int64)
        counts.append(neighbours[graph.segment == hops])
    return torch.bincount(torch.cat(counts))


def _path(model: type) -> str:
    return f"{model.__module__}.{model.__qualname__}"


def _inputs(model: type[nn.Module]) -> set[str]:
    """Which of our inputs the model's ``forward`` takes."""
    parameters = list(inspect.signature(model.forward).parameters.values())[1:]
    taken = {parameter.name for parameter in parameters if parameter.name in INPUTS}
    if missing := {"x", "edge_index"} - taken:
        raise InputError(f"{_path(model)}: expected forward(x, edge_index, ...), found no argument {min(missing)}")
    required = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    for parameter in parameters:
        if parameter.name not in INPUTS and parameter.default is parameter.empty and parameter.kind in required:
            raise InputError(f"{_path(model)}: forward asks for {parameter.name}; a backbone has {', '.join(INPUTS)}")
    # torch_geometric's own have both in every signature, and say here which they use.
    taken -= {name for name in ("edge_attr", "edge_weight") if getattr(model, f"supports_{name}", True) is False}
    return taken - {"edge_weight"} if "edge_attr" in taken else taken


def _named(model: type) -> dict[str, inspect.Parameter]:
    """The constructor's arguments that have a name."""
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {name: p for name, p in inspect.signature(model).parameters.items() if p.kind not in variable}


def _build(model: type[nn.Module], derived: dict[str, Any], options: Mapping[str, Any]) -> nn.Module:
    named = _named(model)
    layers = issubclass(model, BasicGNN)  # what it has no name for goes to its layers
    given = {name: value for name, value in derived.items() if name in named or (layers and name in ("edge_dim", "deg"))}
    if issubclass(model, PNA):
        given |= PNA_PAPER
    if fixed := [name for name in options if name in given and name not in ("hidden_channels", "deg", *PNA_PAPER)]:
        raise InputError(f"{_path(model)}: {fixed[0]} follows from the width and the edges, found it as an option")
    given |= options
    if missing := [name for name, p in named.items() if p.default is p.empty and name not in given]:
        raise InputError(f"{_path(model)}: {missing[0]} is required; found the options {', '.join(options) or 'none'}")
    try:
        return model(**given)
    except (TypeError, AttributeError) as error:
        refused = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if refused is None or refused[1] not in options:
            if options and model.__module__.startswith("torch_geometric."):  # of one's own, the whole trace is wanted
                told = ", ".join(f"{name}={value!r}" for name, value in options.items())
                raise InputError(f"{_path(model)}: cannot be made with {told}: {error}") from None
            raise
        accepted = set(named)
        if layers:  # they are given what the model has no name for
            plain: Any = model(**{name: value for name, value in given.items() if name not in options or name in named})
            accepted |= set(_named(type(plain.convs[0])))
        told = meant(refused[1], sorted(accepted - {*WIDTHS, "edge_dim"}))
        raise InputError(f"{_path(model)}: no option {refused[1]!r}; {told}") from None
    except ValueError as error:
        raise InputError(f"{_path(model)}: {error}") from error

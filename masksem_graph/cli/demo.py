"""The whole path on the embedded data set, in minutes."""

from pathlib import Path

from masksem_graph.parser import Parser

PROTOCOLS = {"linear": "linear probe", "knn": "1 nearest neighbour"}
ENCODERS = {"pretrained": "pre-trained (masksem)", "untrained": "the same encoder, untrained"}


def main(argv: list[str]) -> None:
    """The command: write the data set, pre-train, evaluate beside the untrained encoder, compare."""
    parser = Parser(prog="masksem-graph demo", description=__doc__)
    parser.add_argument("--output", type=str, default="runs/demo", help="folder for the run and its evaluations")
    parser.add_argument("--epochs", type=int, default=120, help="epochs of pre-training")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    options = parser.parse_args(argv)

    from tabulate import tabulate

    from masksem_graph import evaluate, pretrain
    from masksem_graph.console import console

    console.rule("1. pre-training on the embedded data set, cross-subject")
    again = {"seed": options.seed, "overwrite": True}
    run = pretrain("demo_xsub", "tiny", "masksem", epochs=options.epochs, output=options.output, **again)
    console.rule("2. evaluation of the frozen encoder: top-1 accuracy (%), cross-subject")
    top1: dict[str, list[float]] = {name: [] for name in ENCODERS}
    floors: dict[str, float] = {}
    for encoder in ENCODERS:
        for protocol in PROTOCOLS:
            folder, trained = Path(options.output) / f"{protocol}_{encoder}", encoder == "pretrained"
            with_floors = trained and protocol == "linear"
            found = evaluate(run, protocol, untrained=not trained, floors=with_floors, output=folder, **again)
            top1[encoder].append(found.top1)
            floors |= found.floors if with_floors else {}
    rows = [[name, *top1[encoder]] for encoder, name in ENCODERS.items()]
    gains = [after - before for after, before in zip(top1["pretrained"], top1["untrained"], strict=True)]
    rows.append(["gain by pre-training, points", *gains])
    console.print(tabulate(rows, ["encoder", *PROTOCOLS.values()], floatfmt=".1f"), markup=False, highlight=False)
    told = ", ".join(f"{name.replace('_', ' ')} {value:.1f}" for name, value in floors.items())
    console.print(
        f"Floors, by a ridge classifier on the same clips: {told}. docs/protocols.md says what they are.", markup=False
    )
    console.print(f"written: {run}", markup=False)

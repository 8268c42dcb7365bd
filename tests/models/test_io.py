"""An encoder on disk: rebuilt from its folder alone, refused where it would be wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from masksem_graph.data.input_spec import InputSpec
from masksem_graph.data.views import CropConfig
from masksem_graph.errors import InputError
from masksem_graph.models.encoder import SkeletonEncoder
from masksem_graph.models.io import EncoderDescription, create_encoder, describe_encoder, load_encoder, new_encoder
from masksem_graph.topology import Topology, load_topology, parse_topology

TINY = load_topology("tiny5")
NTU, KINECT = load_topology("ntu25"), load_topology("kinect20")
ROOT = Path(__file__).resolve().parents[2]


def part(name: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": f"masksem_graph.{name}", "init_args": init_args}


BLOCKS = part("backbones.Transformer", depth=2, heads=2)
LEARNED = [part("encodings.Learned", over="segments"), part("encodings.Learned", over="joints")]
GRAPH = [part("encodings.Sinusoidal"), part("encodings.Laplacian", vectors=4), part("encodings.RandomWalk", steps=4)]


def make(
    encodings: list[dict[str, Any]],
    topologies: list[Topology] | None = None,
    input_spec: InputSpec | None = None,
    recorded: list[Topology] | None = None,
    **model: Any,
) -> SkeletonEncoder:
    """As training builds one."""
    numbers = {"frames": 6, "segment": 2, "width": 8}
    described = EncoderDescription(
        model={**numbers, "encodings": encodings, "backbone": BLOCKS, "decoder": BLOCKS, **model},
        topologies=[topology.to_dict() for topology in topologies or [TINY]],
        channels=3,
        input_spec=input_spec or InputSpec(),
        recorded=None if recorded is None else [topology.to_dict() for topology in recorded],
    )
    return create_encoder(described).eval()


def save(run: Path, encodings: list[dict[str, Any]], **options: Any) -> SkeletonEncoder:
    encoder = make(encodings, **options)
    encoder.save(run)
    return encoder


def test_the_same_features_in_a_new_process(tmp_path: Path, one_thread: None) -> None:
    runs = {name: tmp_path / name for name in ("learned", "graph", "both")}
    encoders = [save(runs["learned"], LEARNED), save(runs["graph"], GRAPH), save(runs["both"], LEARNED + GRAPH)]
    clips = torch.randn(3, 6, 5, 3)
    torch.save(clips, tmp_path / "clips.pt")
    script = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from masksem_graph.models.io import load_encoder\n"
        "clips = torch.load(sys.argv[1])\n"
        "for run in sys.argv[2:]:\n"
        "    encoder = load_encoder(run)\n"
        "    assert not encoder.training\n"
        "    torch.save(encoder.features(clips).detach(), run + '/features.pt')"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "clips.pt"), *map(str, runs.values())]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    for run, encoder in zip(runs.values(), encoders, strict=True):
        assert torch.equal(torch.load(run / "features.pt"), encoder.features(clips)), run.name


def test_all_that_an_encoder_is_comes_back(tmp_path: Path) -> None:
    prepared = InputSpec(origin="none", view="yaw", view_of="mean", stream="bone", absent_frames="zero")
    limbs = load_topology("tiny5_limbs")
    crop = {"share": [0.25, 0.75], "min_frames": 3, "test_share": 0.5}
    options = {"topologies": [limbs, KINECT], "recorded": [TINY, KINECT], "input_spec": prepared}
    before = save(tmp_path / "run", LEARNED, **options, pool="all_slots", crop=crop)
    after = load_encoder(tmp_path / "run")
    assert after.topologies == (limbs, KINECT) and after.recorded == (TINY, KINECT) and after.topology == limbs
    assert after.input_spec == prepared and after.pool == "all_slots" and not after.training
    assert after.crop == CropConfig(share=(0.25, 0.75), min_frames=3, test_share=0.5)
    for name, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], value), name
    after.save(tmp_path / "again")
    for name in ("encoder.yaml", "encoder.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    assert describe_encoder(tmp_path / "run").input_spec == prepared


def test_an_encoder_built_by_hand_does_not_know_what_to_write(tmp_path: Path) -> None:
    encoder = make(LEARNED)
    encoder.described = None
    with pytest.raises(ValueError, match="does not know its configuration; build it with create_encoder"):
        encoder.save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_graph_encodings_travel_to_another_skeleton(tmp_path: Path) -> None:
    encoder = save(tmp_path, GRAPH)
    there = load_encoder(tmp_path, topology=NTU)
    assert there.topology == NTU and there.segments == 3
    assert there.features(torch.randn(2, 6, 25, 3)).isfinite().all()
    for name, value in encoder.state_dict().items():
        assert torch.equal(there.state_dict()[name], value), name


def test_learned_encodings_go_by_joint_name(tmp_path: Path) -> None:
    """Joints in another order, or fewer of them, find their own vectors; a joint without one is refused by name."""
    encoder, clips = save(tmp_path, LEARNED, topologies=[NTU]), torch.randn(2, 6, 25, 3)
    order = torch.randperm(25)
    reordered = parse_topology(NTU.to_dict() | {"joints": [NTU.joints[i] for i in order]}, source_file="x")
    there = load_encoder(tmp_path, topology=reordered)
    expected = encoder.features(clips).unflatten(1, (3, 25))[:, :, order].flatten(1, 2)
    torch.testing.assert_close(there.features(clips[:, :, order]), expected, atol=1e-5, rtol=1e-5)
    table, found = encoder.positions.encodings[1].table, load_encoder(tmp_path, topology=load_topology("ntu25_limbs"))
    batch = found.batch(torch.randn(1, 6, 25, 3))
    expected = table[:, [NTU.index[joint] for joint in batch.topology.joints]]
    assert torch.equal(found.positions.encodings[1](batch), expected) and expected.shape == (1, 18, 8)


@pytest.mark.parametrize("encodings", [LEARNED, [part("encodings.Concatenate", parts=[*GRAPH[:1], LEARNED[1]])]])
def test_a_joint_without_a_vector_is_refused_with_the_list(tmp_path: Path, encodings: list[dict[str, Any]]) -> None:
    save(tmp_path, encodings, topologies=[KINECT])
    with pytest.raises(InputError) as error:
        load_encoder(tmp_path, topology=NTU)
    lacking = [joint for joint in NTU.joints if joint not in KINECT.index]
    assert 0 < len(lacking) < 25 and str(error.value).startswith(
        f"{tmp_path}: model.encodings: Learned has no vector for {', '.join(lacking)} of ntu25; expected joints that"
    )
    assert "\n" not in str(error.value)


def test_a_skeleton_that_it_was_loaded_for_does_not_change_what_is_saved(tmp_path: Path) -> None:
    """A table's rows are the joints of the skeletons in the file, in their order: another order would mix them up."""
    encoder, clips = save(tmp_path / "run", LEARNED), torch.randn(2, 6, 5, 3)
    reordered = parse_topology(TINY.to_dict() | {"joints": list(TINY.joints[::-1])}, source_file="x")
    load_encoder(tmp_path / "run", topology=reordered).save(tmp_path / "again")
    again = load_encoder(tmp_path / "again")
    assert again.topologies == (TINY,) and torch.equal(again.features(clips), encoder.features(clips))


def test_one_of_its_skeletons_may_be_asked_for(tmp_path: Path) -> None:
    limbs = load_topology("ntu25_limbs")
    save(tmp_path, LEARNED, topologies=[KINECT, limbs], recorded=[KINECT, NTU])
    there = load_encoder(tmp_path, topology=limbs)
    assert there.home == (limbs, NTU) and load_encoder(tmp_path).home == (KINECT, KINECT)
    assert there.encode(torch.randn(9, 25, 3)).shape == (8,)


def test_its_own_skeleton_may_be_given(tmp_path: Path) -> None:
    encoder, clips = save(tmp_path, LEARNED), torch.randn(1, 6, 5, 3)
    assert torch.equal(load_encoder(tmp_path, topology=load_topology("tiny5")).features(clips), encoder.features(clips))


def test_a_new_encoder_has_other_weights(tmp_path: Path) -> None:
    encoder, clips = save(tmp_path, LEARNED), torch.randn(1, 6, 5, 3)
    fresh = new_encoder(tmp_path).eval()
    assert [n for n, _ in fresh.named_parameters()] == [n for n, _ in encoder.named_parameters()]
    assert not torch.equal(fresh.features(clips), encoder.features(clips))


def edit(**changes: Any) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        path = run / "encoder.yaml"
        fields = yaml.safe_load(path.read_text())
        for name, value in changes.items():
            if value is None:
                del fields[name]
            elif isinstance(value, dict):
                fields[name] |= value
            else:
                fields[name] = value
        path.write_text(yaml.safe_dump(fields))

    return change


def unsealed(damage: Callable[[Path], None]) -> Callable[[Path], None]:
    """In a run of before 0.2.0, whose weights have no checksum."""

    def change(run: Path) -> None:
        damage(run)
        save_file(load_file(run / "encoder.safetensors"), run / "encoder.safetensors")

    return change


def of_topology(**changes: Any) -> Callable[[Path], None]:
    """Another topology, in the file's list of them."""
    return edit(topologies=[TINY.to_dict() | changes])


def cut(run: Path) -> None:
    path = run / "encoder.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "encoder.yaml").unlink(), "expected a run with encoder.yaml and encoder.safetensors, found no"),
        (lambda run: (run / "encoder.safetensors").unlink(), "encoder.safetensors: not the weights of encoder.yaml: "),
        (cut, "encoder.safetensors: not the weights of encoder.yaml: "),
        (lambda run: (run / "encoder.safetensors").write_bytes(b""), "encoder.safetensors: not the weights of encoder.yaml: "),
        (lambda run: (run / "encoder.yaml").write_text("a: [b\nc"), "encoder.yaml: not a readable YAML file: "),
        (lambda run: (run / "encoder.yaml").write_text("- 1\n"), "encoder.yaml: format: expected 2, found list"),
        (edit(format=1), "encoder.yaml: format: expected 2, found 1"),
        (edit(chanels=3), "encoder.yaml: chanels: unknown field, expected channels, topologies, model"),
        (edit(channels=None), "encoder.yaml: channels: this field is missing"),
        (edit(channels="three"), "encoder.yaml: channels: expected a whole number from 1 to 65536, found 'three'"),
        (edit(channels=0), "encoder.yaml: channels: expected a whole number from 1 to 65536, found 0"),
        (edit(channels=2**63), "encoder.yaml: channels: expected a whole number from 1 to 65536, found 9223372036854775808"),
        (edit(channels=-3), "encoder.yaml: channels: expected a whole number from 1 to 65536, found -3"),
        (edit(channels=True), "encoder.yaml: channels: expected a whole number from 1 to 65536, found True"),
        (edit(model=[1]), r"encoder.yaml: model: expected a mapping, found \[1\]"),
        (edit(topologies=[]), r"encoder.yaml: topologies: expected a list of topologies, found \[\]"),
        (edit(topologies="tiny5"), "encoder.yaml: topologies: expected a list of topologies, found 'tiny5'"),
        (edit(topologies=[1]), r"encoder.yaml: topologies: expected a list of topologies, found \[1\]"),
        (edit(topologies=[{}]), "encoder.yaml: bones: this field is missing"),
        (edit(recorded=[1]), r"encoder.yaml: recorded: expected a list of topologies, found \[1\]"),
        (edit(recorded=None), "encoder.yaml: recorded: this field is missing"),
        (
            edit(recorded=[TINY.to_dict()] * 2),
            "encoder.yaml: recorded: expected 1 skeletons, one for each of topologies, found 2",
        ),
        (
            unsealed(edit(recorded=[KINECT.to_dict()])),
            "encoder.yaml: tiny5: its joint '.*' is not one of the 20 joints of kinect20",
        ),
        (of_topology(centre="tail"), "encoder.yaml: centre: no joint is called 'tail'"),
        (edit(input_spec=None), "encoder.yaml: input_spec: this field is missing"),
        (edit(input_spec=["centre"]), r"encoder.yaml: input_spec: expected a mapping, found \['centre'\]"),
        (edit(input_spec={"origin": "hip"}), "encoder.yaml: .*origin"),
        (edit(input_spec={"orgin": "centre"}), "encoder.yaml: .*orgin"),
        (edit(model={"width": 16}), "encoder.safetensors: it or encoder.yaml was changed or damaged"),
        (unsealed(edit(model={"width": 16})), "encoder.safetensors: not the weights of encoder.yaml: .* size mismatch"),
        (edit(model={"width": "wide"}), "encoder.yaml: .*width"),
        (edit(model={"widht": 8}), "encoder.yaml: .*widht"),
        (edit(model={"frames": 7}), "encoder.yaml: .*model.frames: expected a multiple of model.segment = 2, found 7"),
        (edit(model={"crop": {"test_share": 2}}), r"encoder.yaml: .*crop.test_share: expected a share in \(0, 1\], found 2"),
        (edit(model={"backbone": part("backbones.Transfomer")}), "encoder.yaml: .*Transfomer"),
        (
            unsealed(edit(model={"backbone": part("backbones.Transformer", heads=3)})),
            "encoder.yaml: heads: expected a divisor of the width 8",
        ),
    ],
)
def test_missing_or_damaged_files_give_one_line(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    save(tmp_path, LEARNED)
    damage(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        load_encoder(tmp_path)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    encoder = save(tmp_path, LEARNED)
    weights, about = tmp_path / "encoder.safetensors", tmp_path / "encoder.yaml"
    whole, text = weights.read_bytes(), about.read_bytes()
    for place in (0, 9, 40, len(whole) // 2, len(whole) - 1):
        weights.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(InputError, match=r"encoder\.safetensors: "):
            load_encoder(tmp_path)
    weights.write_bytes(whole)
    about.write_bytes(text.replace(b"origin: centre", b"origin: none"))  # a description that is as good as any
    with pytest.raises(InputError, match=r"it or encoder\.yaml was changed or damaged after it was written"):
        load_encoder(tmp_path)
    about.write_bytes(text)
    assert load_encoder(tmp_path).input_spec == encoder.input_spec
    save_file(load_file(weights), weights)  # as they were written before there was a checksum
    assert load_encoder(tmp_path).input_spec == encoder.input_spec


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    encoder = save(tmp_path, LEARNED)
    with torch.no_grad():
        encoder.embedding.bias[0] = float("nan")
    encoder.save(tmp_path)
    with pytest.raises(InputError, match=r"encoder\.safetensors: embedding\.bias: found numbers that are not finite"):
        load_encoder(tmp_path)


def test_no_run_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^.*nowhere: expected a run with encoder.yaml"):
        load_encoder(tmp_path / "nowhere")

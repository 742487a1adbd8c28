"""A keyframe without AppearNet: its strength, shared attention, what a file says of its training, and their scores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from microcinema_core import cli
from microcinema_core.checkpoint import trained
from microcinema_core.checkpoint.embedded import embedded
from microcinema_core.checkpoint.format import APPEARNET, UNET, read_checkpoint, save_checkpoint_file
from microcinema_core.checkpoint.identify import identify
from microcinema_core.checkpoint.trained import Trained, trained_in, trained_of
from microcinema_core.config import TOYBOX, Injection, Kind, Positions, TemporalLayers, UNetConfig
from microcinema_core.errors import InputError
from microcinema_core.media import read_settings
from microcinema_core.models.appearnet import AppearNet
from microcinema_core.models.injection import Appearance
from microcinema_core.models.unet import VideoUNet
from microcinema_core.models.zero_start import Adds, zero_start_, zero_tensors
from microcinema_core.shot.plan import ShotConfig
from microcinema_core.shot.settings import SamplingConfig
from microcinema_core.standalone.pipeline import MicroCinemaPipeline
from microcinema_core.worlds.toybox.triples import KEYFRAME, read_triples
from studies.cases import Seen
from studies.toybox import run
from studies.toybox.anchor import AS_TRAINED, BINDINGS, Binding, anchor_part, summarise_anchor
from studies.toybox.bench import Bench

STARTING = ("gates.", "frame_time_embedding.")  # zero at the start too, and in a converted model for good
FAST, TWO = SamplingConfig(steps=1, cfg=1.0), SamplingConfig(steps=2)


@pytest.fixture(scope="module")
def pipeline(weights: Path) -> MicroCinemaPipeline:
    return MicroCinemaPipeline.from_pretrained(weights / "toybox-video.safetensors")


def picture() -> Image.Image:
    made = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    made.paste((250, 20, 20), (16, 16, 32, 32))
    return made


@contextmanager
def told(pipeline: MicroCinemaPipeline) -> Iterator[list[dict[str, Any]]]:
    """What the network is given beside latents, time and text, call by call."""
    calls: list[dict[str, Any]] = []
    handle = pipeline.bundle.networks.unet.register_forward_pre_hook(
        lambda _, args, given: calls.append(given), with_kwargs=True
    )
    yield calls
    handle.remove()


def test_strength_scales_what_is_injected(pipeline: MicroCinemaPipeline) -> None:
    with told(pipeline) as calls:
        for strength in (1.0, 0.5):
            pipeline(picture(), "a red star", ShotConfig(strength=strength), sampling=FAST)
    whole, half = (call["appearance"] for call in calls)
    for name, term in whole.add.items():
        assert torch.equal(half.add[name], term / 2)
    for name, pair in whole.spade.items():
        assert torch.equal(half.spade[name], pair / 2)


def test_strength_0_equals_terms_of_0_and_appearnet_is_not_run(
    pipeline: MicroCinemaPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal to the last bit: h + g 0 and (1 + g 0) GN(h) + g 0 are exact."""
    runs: list[int] = []
    handle = pipeline.appearnet.register_forward_hook(lambda *_: runs.append(1))
    off = pipeline(picture(), "a red star", ShotConfig(strength=0.0), sampling=TWO).frames
    handle.remove()
    assert not runs
    as_trained = pipeline(picture(), "a red star", sampling=TWO).frames
    terms_of_0 = lambda _, read: read().scaled(0.0)  # noqa: E731
    monkeypatch.setattr("microcinema_core.standalone.pipeline.appearance_at", terms_of_0)
    assert np.array_equal(pipeline(picture(), "a red star", sampling=TWO).frames, off)
    assert not np.array_equal(as_trained, off)


def test_concat_is_scaled_too() -> None:
    appearance = Appearance(concat=torch.ones(1))
    assert appearance.scaled(0.25).concat == 0.25
    assert appearance.scaled(1.0) is appearance


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan")])
def test_strengths_out_of_range_are_refused(strength: float) -> None:
    with pytest.raises(InputError, match="strength must be between 0 and 2"):
        ShotConfig(strength=strength)


@pytest.mark.parametrize(("at", "index"), [("centre", 4), ("first", 0), ("last", 8), ("2", 2)])
def test_the_shared_frame_is_the_keyframes(pipeline: MicroCinemaPipeline, at: str, index: int) -> None:
    """For both branches of guidance, which are one call."""
    with told(pipeline) as calls:
        pipeline(picture(), "a red star", ShotConfig(keyframe_at=at, share_attention=True), sampling=FAST)
    assert [call["shared_frame"] for call in calls] == [index]


def test_nothing_is_shared_unless_asked_for(pipeline: MicroCinemaPipeline) -> None:
    with told(pipeline) as calls:
        pipeline(picture(), "a red star", sampling=FAST)
    assert calls[0]["shared_frame"] is None


def test_each_chained_clip_shares_its_own_keyframe(pipeline: MicroCinemaPipeline) -> None:
    """The clips after it begin, and those before it end, with the frame that they go on from."""
    shot = ShotConfig(passes=0, before=1, after=2, share_attention=True)
    with told(pipeline) as calls:
        list(pipeline.shoot(picture(), "a red star", shot, sampling=FAST))
    assert sorted(call["shared_frame"] for call in calls) == [0, 0, 4, 8]


def test_sharing_draws_the_frames_towards_the_keyframe(pipeline: MicroCinemaPipeline) -> None:
    plain, shared = (
        pipeline(picture(), "a red star", shot, sampling=TWO, seed=3).frames.astype(int)
        for shot in (ShotConfig(strength=0.0), ShotConfig(strength=0.0, share_attention=True))
    )
    assert np.abs(plain - shared).max() > 1


def test_what_binds_a_clip_is_recorded_where_it_is_not_the_default(pipeline: MicroCinemaPipeline) -> None:
    shot = ShotConfig(passes=0, strength=0.0, share_attention=True)
    settings = pipeline.shoot(picture(), "a red star", shot).settings
    assert (settings["strength"], settings["share_attention"]) == (0.0, True)
    plain = pipeline.shoot(picture(), "a red star", ShotConfig(passes=0)).settings
    assert not {"strength", "share_attention", "exact_keyframe"} & set(plain)


def untrained(weights: Path, folder: Path, *parts: str) -> Path:
    """The small video file with these sections as they start."""
    path = weights / "toybox-video.safetensors"
    checkpoint = read_checkpoint(path)
    config = checkpoint.header.config
    unet, appearnet = VideoUNet(config.unet), AppearNet(config.unet, text_length=config.text.max_length)
    for name, network in ((UNET, unet), (APPEARNET, appearnet)):
        if name in parts:
            network.load_state_dict(checkpoint.sections[name])
            zero_start_(network)
            checkpoint.sections[name] = network.state_dict()
    for companion in checkpoint.header.companions.values():
        (folder / companion.file).write_bytes((path.parent / companion.file).read_bytes())
    made = folder / "mine.safetensors"
    save_checkpoint_file(made, checkpoint)
    return made


THEIRS = replace(TOYBOX.unet, temporal_layers=TemporalLayers.MODELSCOPE, temporal_positions=Positions.NONE)


@pytest.mark.parametrize("mode", list(Injection))
@pytest.mark.parametrize("unet", [TOYBOX.unet, THEIRS], ids=list(TemporalLayers))
def test_the_layers_that_tell_are_those_that_start_at_zero(unet: UNetConfig, mode: Injection) -> None:
    config = replace(unet, injection=mode)
    for adds, network in ((Adds.MOTION, VideoUNet(config)), (Adds.APPEARANCE, AppearNet(config, text_length=4))):
        for parameter in network.parameters():
            torch.nn.init.ones_(parameter)
        zero_start_(network)
        zeroed = {name for name, value in network.named_parameters() if not value.any()}
        telling = zero_tensors(network, adds)
        assert zeroed == zero_tensors(network)
        assert telling == {name for name in zeroed if not name.startswith(STARTING)}
        assert telling


def test_one_tensor_of_each_part_tells_where_both_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, whether = [], trained._any
    monkeypatch.setattr(trained, "_any", lambda value: seen.append(value) or whether(value))
    assert trained_in(embedded(Kind.VIDEO)) == Trained(True, True)
    assert len(seen) == 2


def test_a_file_says_what_of_it_is_trained(weights: Path, tmp_path: Path) -> None:
    assert trained_in(embedded(Kind.VIDEO)) == trained_in(embedded(Kind.TSR)) == Trained(True, True)
    assert trained_in(weights / "toybox-image.safetensors") == Trained(None, None)
    converted = untrained(weights, tmp_path, APPEARNET)
    assert trained_in(converted) == trained_of(read_checkpoint(converted)) == Trained(True, False)
    assert identify(converted).details["motion"] == "trained"
    assert "exact keyframe" in identify(converted).details["appearance"]
    inflated = untrained(weights, tmp_path, UNET, APPEARNET)
    assert trained_in(inflated) == Trained(False, False)
    assert identify(inflated).details["motion"].startswith("not trained")
    checkpoint = read_checkpoint(inflated)  # one step of training, wherever it acts
    checkpoint.sections[APPEARNET]["spade.up_0_1.conv_out.bias"][3] = 1e-3
    save_checkpoint_file(inflated, checkpoint)
    assert trained_in(inflated) == Trained(False, True)


@pytest.fixture
def folder(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(weights))
    monkeypatch.chdir(tmp_path)
    picture().save("key.png")
    return tmp_path


def animate(out: str, *more: str) -> list[str]:
    quick = ["--steps=1", "--cfg=1", "--frames=3", "--passes=0"]
    quick += [] if any("--model" in word for word in more) else ["--model=toybox"]
    return ["animate", "--image=key.png", "--prompt=a red star", f"--out={out}", *quick, *more]


def test_animate_holds_the_keyframe_where_appearnet_is_untrained(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = f"--model={untrained(weights, folder, APPEARNET)}"
    assert cli.run(animate("held/", model)) == 0
    (note,) = capsys.readouterr().err.splitlines()
    assert "AppearNet is not trained" in note
    assert "--no-exact-keyframe" in note
    assert read_settings(folder / "held")["exact_keyframe"] is True
    assert cli.run(animate("free/", model, "--no-exact-keyframe")) == 0
    assert cli.run(animate("asked/", model, "--exact-keyframe", "--json")) == 0
    captured = capsys.readouterr()
    assert not captured.err
    assert json.loads(captured.out.splitlines()[-1])["exact_keyframe"] is True
    assert "exact_keyframe" not in read_settings(folder / "free")


def test_animate_says_that_an_inflated_file_does_not_move(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = f"--model={untrained(weights, folder, UNET, APPEARNET)}"
    assert cli.run(animate("clip/", model)) == 0
    assert "motion is not trained" in capsys.readouterr().err.splitlines()[0]


def test_animate_leaves_a_trained_file_as_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(animate("clip/", "--strength=0.5", "--share-attention")) == 0
    assert not capsys.readouterr().err
    settings = read_settings(folder / "clip")
    assert (settings["strength"], settings["share_attention"]) == (0.5, True)
    assert "exact_keyframe" not in settings


def test_the_scores_of_truth_of_a_splice_and_of_another_scene() -> None:
    part = anchor_part(read_triples("select")[:1], lambda frames: frames)
    case = part.cases[0]
    truth = case.truth(64)
    spliced = truth.copy()
    spliced[np.arange(9) != KEYFRAME] //= 2
    other = truth // 2
    perfect, jumps, far = (part.measure(case, frames) for frames in (truth, spliced, other))
    assert perfect["keyframe"] == perfect["beside"] == jumps["keyframe"] == 99
    assert perfect["jump"] < 2 < jumps["jump"]
    assert jumps["beside"] == pytest.approx(far["beside"], abs=1e-6)
    assert far["keyframe"] < 20
    assert far["jump"] < 2
    assert perfect["off"] < 0.01
    moved = np.roll(truth, 16, axis=2)
    moved[KEYFRAME] = truth[KEYFRAME]
    assert part.measure(case, moved)["off"] == pytest.approx(0.25, abs=0.02)


def test_each_binding_has_its_row() -> None:
    part = anchor_part(read_triples("select")[:4], lambda frames: frames)
    scene = [case.scene for case in part.cases]
    right = [
        asdict(Seen(s.motion.value, s.speed.value, 0.1, s.shape.value, s.colour.value))
        | {"keyframe": 30.0 + 2 * i, "beside": None if i else 20.0, "off": [0.0, 0.1, 0.2, None][i], "jump": 1.0 + i}
        for i, s in enumerate(scene)
    ]
    still = [{**record, "motion": "still"} for record in right]
    outcome = summarise_anchor(part.cases, {AS_TRAINED: right, BINDINGS[-1]: still})
    first, second = json.loads(json.dumps(outcome.figures, allow_nan=False))["rows"]
    assert (first["keyframe_psnr"]["mean"], first["beside_psnr"]["mean"], first["beside_psnr"]["n"]) == (33, 20, 1)
    assert (first["smooth"]["hits"], first["jump_median"], first["right"]["hits"]) == (2, 2.5, 4)
    assert (first["place"]["hits"], first["place"]["n"]) == (2, 4)
    assert (first["motion"]["hits"], second["motion"]["hits"], second["right"]["hits"]) == (4, 0, 0)
    assert (second["strength"], second["exact_keyframe"], second["prior_lambda"]) == (0, True, 0)
    shown = [[cell.strip() for cell in line.split("|")[1:5]] for line in outcome.markdown.splitlines()[4:]]
    assert shown == [["as trained", "on", "", ""], ["gamma 0.5 alone", "off", "yes", "yes"]]


def test_a_bench_asks_for_its_binding_and_keeps_its_clips_apart(weights: Path, tmp_path: Path) -> None:
    plain = Bench(weights / "toybox-video.safetensors", FAST, tmp_path)
    bound = replace(plain, binding=Binding(0.0, True, True, 0.0, 0.5))
    assert "strength" not in plain.settings
    assert bound.settings["prior_gamma"] == 0.5
    shots = [case.shot(64) for case in anchor_part(read_triples("select")[:1], lambda frames: frames).cases]
    with told(bound.pipeline) as calls:
        (frames,) = bound.animate(shots)
    assert calls[0]["appearance"] is None
    assert calls[0]["shared_frame"] == KEYFRAME
    assert bound.pipeline.bundle.config.diffusion.prior_lambda == 0
    assert not np.array_equal(plain.animate(shots)[0], frames)


def test_the_part_runs_and_goes_on(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(weights))
    monkeypatch.setattr(run, "BINDINGS", (AS_TRAINED, BINDINGS[-1]))
    monkeypatch.setattr("studies.toybox.anchor.BINDINGS", (AS_TRAINED, BINDINGS[-1]))
    kept = tmp_path / "kept"
    arguments = ["--limit", "1", "--steps", "1", "--batch", "2", "--partial", str(kept), "--out", str(tmp_path / "r")]
    run.main([*arguments, "--parts", "anchor"])
    result = json.loads((tmp_path / "r.json").read_text())
    assert len(result["anchor"]["rows"]) == 2
    with Image.open(tmp_path / "r-sheet.png") as sheet:
        assert sheet.height == 3 * (32 + 2)  # truth and two bindings, at half size
    times = {path: path.stat().st_mtime_ns for path in kept.rglob("*") if path.is_file()}
    run.main([*arguments, "--parts", "anchor"])
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*") if path.is_file()} == times

"""Pocket's video stage: clips in files, latents on the device, batches cut there, and a run to its figures."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pretend_device
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from small_models import SMALL, write_stages

from microcinema_core.checkpoint.format import read_checkpoint, read_header
from microcinema_core.config import ClipConfig, Injection, Kind, with_injection
from microcinema_core.errors import CheckpointError, ConfigError, InputError
from microcinema_core.motion.plan import Camera, Plan
from microcinema_core.training import coders as coders_of
from microcinema_core.training import loop
from microcinema_core.training import pocket as stage_of
from microcinema_core.training.caption_reader import PocketLessons
from microcinema_core.training.coders import load_coders
from microcinema_core.training.config import DataConfig, TrainConfig
from microcinema_core.training.data.pocket import ALIKE, WORDINGS, PocketBatches, StoredPocket
from microcinema_core.training.data.pocket_files import FRAMES, NOTE, clip_files, read_clips, write_clips
from microcinema_core.training.loop import train
from microcinema_core.training.reports.pocket import WAYS, Made, middle
from microcinema_core.training.stage import Draw
from microcinema_core.training.stages import build_stage
from microcinema_core.worlds.pocket.effects import Asked, Effect, Strength
from microcinema_core.worlds.pocket.world import Clip
from studies.pocket import evaluate

POCKET = replace(
    with_injection(SMALL, Injection.CONCAT),
    name="pocket",
    unet=replace(SMALL.unet, injection=Injection.CONCAT, guide_mask=True),
    clip=ClipConfig(3, 2.0, 64, 64),
)
FOUR = (Effect.NONE, Effect.SNOW, Effect.NONE, Effect.FOG)


def clip(number: int, effect: Effect) -> Clip:
    """Noise, its right half unknown."""
    truth, guide = np.random.default_rng(number).integers(0, 255, (2, 3, 3, 64, 64), dtype=np.uint8)
    known = torch.full((3, 1, 64, 64), 255, dtype=torch.uint8)
    known[[0, 2], :, :, 32:] = 0
    asked, plan = Asked(effect, Strength.STRONG), Plan(Camera(pan=float(number)))
    return Clip(torch.from_numpy(truth), torch.from_numpy(guide), known, known, f"caption {number}", asked, plan)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    for split in ("train", "select"):
        (folder / split).mkdir()
        clips = [clip(number, effect) for number, effect in enumerate(FOUR)]
        for number in (0, 2):
            write_clips(folder / split / f"clips-{number:05d}.safetensors", clips[number : number + 2])
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    return write_stages(tmp_path_factory.mktemp("earlier"), POCKET)


@pytest.fixture
def config(files: dict[Kind, Path], rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    monkeypatch.setattr(coders_of, "preset", lambda _: POCKET)
    return TrainConfig(
        Kind.VIDEO, str(tmp_path / "run"), "pocket", steps=2, batch=2, precision="fp32", reported=3,
        autoencoder=str(files[Kind.AUTOENCODER]), text_encoder=str(files[Kind.TEXT_ENCODER]), rendered=str(rendered),
        sample_every=1000, data=DataConfig(clips=4, crop=32, singles=0.5),
    )  # fmt: skip


@pytest.fixture
def stored(config: TrainConfig, rendered: Path) -> StoredPocket:
    return StoredPocket.of(rendered / "train", load_coders(config), POCKET.clip)


def test_clips_come_back_from_their_file(rendered: Path) -> None:
    first, second = map(read_clips, clip_files(rendered / "train"))
    wanted = clip(2, Effect.NONE)
    for name in ("truth", "guide", "known", "mask"):
        assert torch.equal(getattr(second, name)[0], getattr(wanted, name))
    told = second.told[1]
    assert (told.caption, told.asked, told.camera) == ("caption 3", Asked(Effect.FOG, Strength.STRONG), Camera(pan=3))
    assert [len(part) for part in first.parts(1)] == [1, 1]
    assert torch.equal(first.parts(1)[1].truth[0], first.truth[1])


def test_other_files_and_empty_folders_are_refused(files: dict[Kind, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no clips of Pocket's world"):
        read_clips(files[Kind.VIDEO])
    with pytest.raises(InputError, match="holds no clips; write some"):
        clip_files(tmp_path)


@pytest.mark.parametrize(
    ("note", "clips", "said"),
    [("[3]", 1, "says nothing that can be read"), ('[{"caption": "a"}]', 1, "says nothing"), ("[]", 1, "holds others")],
)
def test_a_file_that_tells_nothing_of_its_clips_is_refused(note: str, clips: int, said: str, tmp_path: Path) -> None:
    path = tmp_path / "clips-0.safetensors"
    save_file({name: torch.zeros(clips, 1) for name in FRAMES}, path, metadata={NOTE: note})
    with pytest.raises(CheckpointError, match=said):
        read_clips(path)


def test_what_is_stored_is_what_the_autoencoder_makes(stored: StoredPocket, config: TrainConfig) -> None:
    coders, two = load_coders(config), clip(2, Effect.NONE)
    for held, frames in ((stored.truth, two.truth), (stored.guide, two.guide)):
        wanted = coders.codec.encode(frames.float() / 255)
        assert torch.allclose(held[2].float(), wanted, atol=2e-3 * float(wanted.abs().max()))
    assert torch.equal(stored.known[2].float(), F.avg_pool2d(two.known.float() / 255, 8))
    assert stored.context.shape[:2] == (4, WORDINGS)
    assert torch.allclose(stored.context[2, 0].float(), coders.text.encode(["caption 2"])[0], atol=4e-3)
    assert stored.plain.tolist() == [0, 2]
    assert stored.seconds.tolist() == [-0.5, 0, 0.5]


def test_fewer_clips_than_there_are(config: TrainConfig, rendered: Path) -> None:
    few = StoredPocket.of(rendered / "train", load_coders(config), POCKET.clip, most=3)
    assert len(few) == len(few.truth) == len(few.context) == 3


def test_clips_of_another_size_are_refused(config: TrainConfig, rendered: Path) -> None:
    with pytest.raises(InputError, match=r"the model's are \[9, 3, 64, 64\]"):
        StoredPocket.of(rendered / "train", load_coders(config), replace(POCKET.clip, frames=9))


def test_a_batch_is_the_same_crop_of_all_that_belongs_to_a_clip(stored: StoredPocket) -> None:
    batch = PocketBatches(stored, 8, crop=4, singles=0.0, no_text=0.0)(Draw.of(0, 1))
    assert batch.guide is not None
    assert batch.guide.known is not None
    assert batch.context is not None
    assert batch.latents.shape == batch.guide.latents.shape == (8, 4, 3, 4, 4)
    for number in range(8):
        windows = stored.truth.float().transpose(1, 2).unfold(3, 4, 1).unfold(4, 4, 1)  # [N, C, T, y, x, 4, 4]
        same = (windows == batch.latents[number][None, :, :, None, None]).all(-1).all(-1).all(1).all(1)
        ((which, y, x),) = same.nonzero().tolist()
        part = (..., slice(y, y + 4), slice(x, x + 4))
        assert torch.equal(batch.guide.latents[number], stored.guide[which].float().transpose(0, 1)[part])
        assert torch.equal(batch.guide.known[number], stored.known[which].float().transpose(0, 1)[part])
        assert any(torch.equal(batch.context[number], said.float()) for said in stored.context[which])
    again = PocketBatches(stored, 8, crop=4, singles=0.0, no_text=0.0)(Draw.of(0, 1))
    assert torch.equal(batch.latents, again.latents)


def test_single_frames_are_of_clips_that_ask_for_nothing(stored: StoredPocket) -> None:
    batch = PocketBatches(stored, 4, crop=8, singles=1.0, no_text=1.0)(Draw.of(0, 1))
    assert batch.latents.shape == (4 * ALIKE, 4, 1, 8, 8)
    frames = stored.truth[stored.plain].flatten(0, 1).float()
    assert all(any(torch.equal(one[:, 0], frame) for frame in frames) for one in batch.latents)
    assert batch.frame_time is not None
    assert not batch.frame_time.any()
    assert batch.context is not None
    assert torch.equal(batch.context, stored.null.float().expand_as(batch.context))


def test_decibels_are_told_apart_by_what_the_keyframe_shows() -> None:
    truth, known = torch.full((2, 1, 3, 20, 20), 0.5), torch.ones(2, 1, 1, 20, 20)
    known[0, ..., 8:] = 0
    made = truth.clone()
    made[0, ..., 8:] += 0.1  # 20 dB
    made[:, ..., :8] += 0.01  # 40 dB
    first, second = Made(dict.fromkeys(WAYS, made), truth, known).measured()
    assert first.known["made"] == pytest.approx(40, abs=1e-3)
    assert first.hole is not None
    assert first.hole["made"] == pytest.approx(20, abs=1e-3)
    assert second.hole is None
    assert middle([first, first])["guide_hole"] == pytest.approx(20, abs=1e-3)
    assert "made_hole" not in middle([second])


def test_a_run_ends_in_a_file_that_is_evaluated(config: TrainConfig, rendered: Path, tmp_path: Path) -> None:
    file = train(config, build_stage, progress=False)
    header = read_header(file)
    assert header.config.unet.guide_mask
    assert read_checkpoint(file).sections["appearnet"]["concat.weight"].shape == (32, 5, 3, 3)
    evaluate.main([str(file), str(rendered / "select"), "--out", str(tmp_path / "figures"), "--steps", "1"])
    figures = json.loads((tmp_path / "figures" / "figures.json").read_text())
    assert figures["none"]["clips"] == 2
    assert set(figures) == {"none", "snow", "fog", "all"}
    assert all(np.isfinite(value) for found in figures.values() for value in found.values())
    assert (tmp_path / "figures" / "sheet.png").exists()


def test_the_guide_reaches_the_loss(config: TrainConfig) -> None:
    """Of a network whose AppearNet is not at zero any more."""
    stage = build_stage(config)
    torch.manual_seed(0)
    torch.nn.init.normal_(stage.model.appearnet.concat.weight, std=0.1)
    batch, draw = stage.source(Draw.of(0, 0)), Draw.of(0, 0)
    unknown = replace(batch, guide=replace(batch.guide, known=torch.zeros_like(batch.guide.known)))
    losses = [stage.loss(stage.model, one, draw)["denoising"].item() for one in (batch, batch, unknown)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(("stage", "videos"), [(Kind.VIDEO, "films"), (Kind.IMAGE, "")])
def test_rendered_clips_are_for_stages_of_clips_alone(config: TrainConfig, stage: Kind, videos: str) -> None:
    with pytest.raises(ConfigError, match="`rendered` clips are for stages video, tsr and composer"):
        build_stage(replace(config, stage=stage, videos=videos))


def test_a_model_is_evaluated_beside_the_files_that_it_names(weights: Path) -> None:
    model = stage_of.whole_model(weights / "toybox-video.safetensors", torch.device("cpu"))
    assert model.config.unet == SMALL.unet
    assert not model.networks.training


def test_the_text_model_learns_what_captions_ask_for() -> None:
    lessons, rng = PocketLessons(), np.random.default_rng(0)
    said = [lessons.drawn(rng) for _ in range(300)]
    assert all(label < count for one in said for label, count in zip(one.labels, lessons.classes.values(), strict=True))
    nothing = [one for one in said if one.labels[0] == list(Effect).index(Effect.NONE)]
    assert {tuple(one.labels[1:]) for one in nothing} == {(3, 2)}
    assert not any(one.text == "" for one in said if one not in nothing)


def test_all_of_it_happens_on_the_device(
    config: TrainConfig, pretend: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps and their report, on a device on which nothing of the CPU's may be met; its noise comes from there."""
    monkeypatch.setattr(stage_of, "DenoisingThere", lambda loss: loss)
    pretend_device.train_on(pretend)
    monkeypatch.setattr(loop, "default_device", lambda: pretend)
    file = loop.train(replace(config, reported=1), build_stage, progress=False)
    assert read_header(file).provenance["steps"] == 2

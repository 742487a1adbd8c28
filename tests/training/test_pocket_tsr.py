"""Pocket's temporal super-resolution: segments with guides in files, what is learnt of them, a run to its cascade."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import SMALL, write_stages

from microcinema_core.checkpoint.format import read_checkpoint
from microcinema_core.checkpoint.load import networks_of
from microcinema_core.config import ClipConfig, Injection, Kind, with_injection
from microcinema_core.errors import ConfigError, InputError
from microcinema_core.models.guide import Guide
from microcinema_core.motion.plan import Camera, Plan
from microcinema_core.shot.segments import Segments, ends_of
from microcinema_core.standalone.sampling import SamplingConfig, Text
from microcinema_core.standalone.tsr import TemporalSuperResolution
from microcinema_core.training import coders as coders_of
from microcinema_core.training.coders import load_coders
from microcinema_core.training.config import DataConfig, TrainConfig
from microcinema_core.training.data.pocket_files import read_clips, write_clips
from microcinema_core.training.data.pocket_segments import PocketSegments, cropped
from microcinema_core.training.loop import train
from microcinema_core.training.stage import Draw
from microcinema_core.training.stages import build_stage
from microcinema_core.worlds.pocket.effects import Asked, Effect
from microcinema_core.worlds.pocket.world import Clip
from studies.pocket import tsr as study

CONCAT = with_injection(SMALL, Injection.CONCAT)
MODEL = replace(
    CONCAT,
    name="pocket_tsr",
    unet=replace(CONCAT.unet, block_out_channels=(16, 16), attention_heads=(1, 1), guide_mask=True, along_guide=True),
    clip=ClipConfig(5, 8.0, 64, 64),
)
RATES = (8.0, 32.0)


def segment(number: int) -> Clip:
    """Noise that the camera draws alike but for its left half."""
    truth, guide = np.random.default_rng(number).integers(0, 255, (2, 5, 3, 64, 64), dtype=np.uint8)
    guide[..., 32:] = truth[..., 32:]
    known = torch.full((5, 1, 64, 64), 255, dtype=torch.uint8)
    known[2, :, :, :16] = 0
    asked = Asked((Effect.FOG, Effect.NONE)[number % 2])
    where = torch.zeros_like(known)
    where[..., :32] = 255
    return Clip(torch.from_numpy(truth), torch.from_numpy(guide), known, where, "said", asked, Plan(Camera(pan=1.0)))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segments")
    for rate in RATES:
        for split in ("train", "select"):
            (folder / f"{rate:g}" / split).mkdir(parents=True)
            for first, count in ((0, 2), (2, 1)):
                path = folder / f"{rate:g}" / split / f"clips-{first:05d}.safetensors"
                write_clips(path, [segment(first + i) for i in range(count)])
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    return write_stages(tmp_path_factory.mktemp("earlier"), CONCAT)


@pytest.fixture
def config(files: dict[Kind, Path], rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    monkeypatch.setattr(coders_of, "preset", lambda _: MODEL)
    return TrainConfig(
        Kind.TSR, str(tmp_path / "run"), "pocket_tsr", steps=2, batch=4, precision="fp32", reported=2, residual=True,
        autoencoder=str(files[Kind.AUTOENCODER]), text_encoder=str(files[Kind.TEXT_ENCODER]), rendered=str(rendered),
        sample_every=1000, data=DataConfig(clips=3, crop=48),
    )  # fmt: skip


def test_what_is_kept_is_a_crop_of_each_as_the_autoencoder_makes_it(
    config: TrainConfig, rendered: Path, tmp_path: Path
) -> None:
    coders, folder = load_coders(config), rendered / "8" / "train"
    kept = PocketSegments.of(folder, coders, MODEL.clip, 3, 48, tmp_path)
    assert kept.first(9).shape == (3, 5, 4, 6, 6)
    one = cropped(read_clips(folder / "clips-00002.safetensors"), 2, 48)
    guide = kept.guide(9)
    assert guide.known is not None
    for held, frames in ((kept.first(9)[2], one.truth[0]), (guide.latents[2].transpose(0, 1), one.guide[0])):
        wanted = coders.codec.encode(frames.float() / 255)
        assert torch.allclose(held.float(), wanted, atol=2e-3 * float(wanted.abs().max()))
    assert guide.known[2].mean().item() == pytest.approx(float(one.known[0].float().mean()) / 255, abs=1e-3)
    assert len(PocketSegments.of(folder, coders, MODEL.clip, 1, 48, tmp_path)) == 2  # a whole file
    again = PocketSegments.of(folder, coders, MODEL.clip, 3, 48, tmp_path)
    assert torch.equal(again.latents, kept.latents)
    with pytest.raises(InputError, match="holds clips of"):
        PocketSegments.of(folder, coders, replace(MODEL.clip, frames=9), 3, 48, tmp_path)


def test_crops_are_whole_latents_and_of_all_that_belongs_to_a_clip(rendered: Path) -> None:
    whole = read_clips(rendered / "8" / "train" / "clips-00000.safetensors")
    part = cropped(whole, 0, 48)
    for number in range(2):
        windows = whole.truth[number, 0, 0].unfold(0, 48, 8).unfold(1, 48, 8)
        ((y, x),) = (windows == part.truth[number, 0, 0]).all(-1).all(-1).nonzero().tolist()
        area = (..., slice(8 * y, 8 * y + 48), slice(8 * x, 8 * x + 48))
        for name in ("truth", "guide", "known", "mask"):
            assert torch.equal(getattr(part, name)[number], getattr(whole, name)[number][area])


def test_a_batch_holds_what_the_line_along_the_camera_leaves(config: TrainConfig) -> None:
    stage = build_stage(config)
    batch = stage.source(Draw.of(0, 0))
    line = batch.guide
    assert line.along is not None
    assert line.known is not None
    ends = ends_of(line.latents)
    assert torch.equal(Segments.of(MODEL).line(ends, Guide(line.along, line.known)).latents, line.latents)
    assert not ends_of(batch.latents).any()
    assert batch.latents[:, :, 1:-1].std().item() == pytest.approx(1, abs=0.3)
    assert {tuple(row) for row in batch.frame_time.tolist()} <= {tuple(i / r for i in range(5)) for r in RATES}


def test_its_line_needs_rendered_segments(config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match="name `rendered` segments"):
        build_stage(replace(config, rendered=""))


def test_a_run_ends_in_a_file_that_carries_a_clip_along_its_guides(
    config: TrainConfig, rendered: Path, tmp_path: Path
) -> None:
    path = train(config, build_stage, progress=False)
    checkpoint = read_checkpoint(path)
    assert checkpoint.header.config.unet.along_guide
    assert len(checkpoint.header.config.diffusion.residual_std) == 2
    assert checkpoint.sections["appearnet"]["concat.weight"].shape == (16, 9, 3, 3)
    made = TemporalSuperResolution(networks_of(checkpoint, path, kind=Kind.TSR), path)
    null = load_coders(config).null
    guides = [Guide(torch.randn(1, 4, 1, 8, 8), torch.ones(1, 1, 1, 8, 8)) for _ in range(33)]
    given = [guide.latents[0, :, 0].clone() for guide in guides[::16]]
    given[1][:, :, :2] += 1
    frames = made.along(given, guides, Text(null, null), 0, 2.0, sampling=SamplingConfig(steps=1, cfg=1.0))
    found, own = zip(*frames, strict=True)
    assert own == tuple(guides)
    assert all(torch.equal(found[16 * i], one) for i, one in enumerate(given))
    for frame, guide in zip(found, guides, strict=True):
        assert torch.equal(frame[:, :, 2:], guide.latents[0, :, 0, :, 2:])  # where nothing differs
    assert not torch.allclose(found[8][:, :, :2], guides[8].latents[0, :, 0, :, :2])
    study.main([str(path), str(rendered), "--split", "select", "--out", str(tmp_path / "figures"), "--steps", "1"])
    told = (tmp_path / "figures" / "figures.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told.splitlines() if "|" in line]
    assert [row[:3] for row in rows[2:5]] == [["8", "none", "0"], ["8", "fog", "2"], ["8", "all", "2"]]
    assert {row[-1] for row in rows[2:]} == {"0"}  # flicker
    assert (tmp_path / "figures" / "sheet-8.png").exists()

"""Pocket's fill stage: pictures and cut-outs in folders, latents made once, a run to its figures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import SMALL, filling, write_stages

from microcinema_core.checkpoint.format import read_header
from microcinema_core.config import Kind
from microcinema_core.errors import ConfigError, InputError
from microcinema_core.standalone.filling import greyed_guide_of, guide_of
from microcinema_core.training import coders as coders_of
from microcinema_core.training.coders import load_coders
from microcinema_core.training.config import DataConfig, TrainConfig
from microcinema_core.training.data import holes
from microcinema_core.training.data.holes import HoleBatches, StoredHoles, drawn, told
from microcinema_core.training.loop import train
from microcinema_core.training.stage import Draw
from microcinema_core.training.stages import build_stage
from microcinema_core.worlds.pocket.holes import drawn_hole, silhouette
from microcinema_core.worlds.pocket.pool import Pool, Split

FILL, SIDE = filling(), 32


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, draw = tmp_path_factory.mktemp("pool"), np.random.default_rng(0)
    for kind, channels in (("pictures", 3), ("cut-outs", 4)):
        for split in ("train", "select"):
            (folder / kind / split).mkdir(parents=True)
            for number in range(2):
                levels = draw.integers(0, 256, (90, 100, channels), np.uint8)
                Image.fromarray(levels).save(folder / kind / split / f"{number}.png")
    return folder


@pytest.fixture
def config(
    tmp_path_factory: pytest.TempPathFactory, pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TrainConfig:
    monkeypatch.setattr(coders_of, "preset", lambda _: FILL)
    files = write_stages(tmp_path / "earlier")
    return TrainConfig(
        Kind.IMAGE, str(tmp_path / "run"), "pocket_fill", steps=2, batch=2, precision="fp32", reported=2,
        autoencoder=str(files[Kind.AUTOENCODER]), text_encoder=str(files[Kind.TEXT_ENCODER]), sample_every=1000,
        data=DataConfig(clips=6, crop=SIDE, pictures=str(pool / "pictures")),
    )  # fmt: skip


def test_a_run_learns_and_leaves_a_fill_model(config: TrainConfig) -> None:
    header = read_header(train(config, build_stage, progress=False))
    assert header.kind is Kind.IMAGE
    assert header.config.unet.fills
    assert set(header.companions) == {"vae", "text_encoder"}
    assert list(Path(config.out).glob("samples/*.png"))


def test_what_is_stored_is_what_is_told_in_use(
    config: TrainConfig, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coders, some = load_coders(config), Pool.of(pool, Split.TRAIN)
    crop, known = drawn(some, 1, SIDE, 0)
    for share, way in ((0.0, guide_of), (1.0, greyed_guide_of)):
        monkeypatch.setattr(holes, "GREYED", share)
        both = told(coders, crop, known, 0, 1)[1]
        guide = way(coders.codec, crop[None], known[1][None])
        assert torch.equal(both[0, :-1], coders.codec.encode(crop[None])[0])
        assert torch.equal(both[1, :-1], guide.latents[0, :, 0])
        assert torch.equal(both[1, -1:], guide.known[0, :, 0])


def test_batches_are_crops_and_their_guides_some_mirrored(config: TrainConfig, pool: Path, tmp_path: Path) -> None:
    some = Pool.of(pool, Split.TRAIN)
    stored = StoredHoles.of(some, load_coders(config), tmp_path, 5, SIDE, 0, bf16=False)
    assert stored.latents.shape == (5, 2, 5, 4, 4)
    batch = HoleBatches(stored, 40, 32)(Draw.of(0, 0))
    assert batch.latents.shape == (40, 4, 1, 4, 4)
    truth = stored.latents[:, 0, :-1].float()
    plain, turned = ((batch.latents[:, None, :, 0] == way).flatten(2).all(2) for way in (truth, truth.flip(-1)))
    assert 5 < int(plain.any(1).sum()) < 35
    assert bool((plain | turned).any(1).all())
    assert batch.guide.known.shape == (40, 1, 1, 4, 4)


def test_holes_are_strips_and_silhouettes(pool: Path) -> None:
    rng, cut_outs = np.random.default_rng(0), Pool.of(pool, Split.TRAIN).cut_outs
    strips = [drawn_hole((), 64, rng) for _ in range(40)]
    assert all(0.1 < float(known.mean()) < 1 for known in strips)
    rows = [known.amax(2).mean() * known.amax(1).mean() for known in strips]
    assert all(float(part) == pytest.approx(float(known.mean())) for part, known in zip(rows, strips, strict=True))
    every = [drawn_hole(cut_outs, 64, rng) for _ in range(40)]
    inner = [float(known[:, :2].min()) == float(known[..., -2:].min()) == 1 for known in every]
    assert 0 < sum(inner) < 40


def test_a_thin_silhouette_may_leave_the_crop(tmp_path: Path) -> None:
    path = tmp_path / "reed.png"
    Image.new("RGBA", (4, 200), (0, 255, 0, 255)).save(path)
    found = [float(silhouette(path, 64, np.random.default_rng(seed)).sum()) for seed in range(300)]
    assert min(found) >= 0
    assert sum(area > 0 for area in found) > 200


def test_what_cannot_be_learnt_from_is_refused(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"data\.crop must be a multiple of 8, got 30"):
        build_stage(replace(config, data=replace(config.data, crop=30)))
    with pytest.raises(ConfigError, match="must be a folder 'pictures' beside one of cut-outs"):
        build_stage(replace(config, data=replace(config.data, pictures=str(tmp_path / "photos"))))
    with pytest.raises(InputError, match="holds no pictures; put"):
        build_stage(replace(config, data=replace(config.data, pictures=str(tmp_path / "pictures"))))
    with pytest.raises(ConfigError, match="learns from pictures; name them in"):
        build_stage(replace(config, data=replace(config.data, pictures="")))
    monkeypatch.setattr(coders_of, "preset", lambda _: SMALL)
    with pytest.raises(ConfigError, match="fills nothing, so that it learns from no pictures"):
        build_stage(config)

"""The composer's stage: windows made once, batches of one square, a loss in decibels, and a run to its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pretend_device
import pytest
import torch
from small_models import SMALL, write_stages
from torch import Tensor

from microcinema_core import config as defaults
from microcinema_core.checkpoint.identify import identify
from microcinema_core.checkpoint.load import load_composer
from microcinema_core.config import ComposerConfig, Kind, preset
from microcinema_core.errors import ConfigError, InputError
from microcinema_core.models.composer import Composer
from microcinema_core.motion.plan import Camera, Plan
from microcinema_core.shot.composing import plain
from microcinema_core.standalone.components import load_codec
from microcinema_core.training import loop
from microcinema_core.training.composer import Decibels, decibels
from microcinema_core.training.config import DataConfig, TrainConfig
from microcinema_core.training.data import composer as windows_of
from microcinema_core.training.data.composer import ComposerCrops, WindowMaker, Windows
from microcinema_core.training.data.pocket_files import write_clips
from microcinema_core.training.stage import Draw
from microcinema_core.training.stages import build_stage
from microcinema_core.worlds.pocket.effects import Asked, Effect, Strength
from microcinema_core.worlds.pocket.world import Clip

TINY = replace(SMALL, name="tiny", composer=ComposerConfig(channels=8, deep=8))
SIDE = 64


def clip(number: int, effect: Effect) -> Clip:
    """A picture of a few colours, brighter in the truth."""
    generator = torch.Generator().manual_seed(number)
    guide = torch.rand(3, 3, 9, 9, generator=generator).repeat_interleave(8, 2).repeat_interleave(8, 3)
    known = torch.full((3, 1, 72, 72), 255, dtype=torch.uint8)
    frames = [(share * guide * 255).to(torch.uint8) for share in (0.9, 0.6)]
    asked = Asked(effect, Strength.PLAIN)
    return Clip(frames[0], frames[1], known, known, "brighter", asked, Plan(Camera()))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_of, "SIDE", SIDE)
    monkeypatch.setattr(windows_of, "FACTORS", (1, 2))
    monkeypatch.setattr(windows_of, "SHARES", (0.5, 0.5))
    monkeypatch.setattr(defaults, "PRESETS", {**defaults.PRESETS, "tiny": TINY})


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    for number, split in enumerate(("train", "select")):
        (folder / split / "72").mkdir(parents=True)
        clips = [clip(number, effect) for effect in (Effect.BRIGHTER, Effect.NONE)]
        write_clips(folder / split / "72" / "clips-00000.safetensors", clips)
    return folder


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stages(tmp_path_factory.mktemp("earlier"), TINY)[Kind.AUTOENCODER]


@pytest.fixture
def config(autoencoder: Path, rendered: Path, tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        Kind.COMPOSER, str(tmp_path / "run"), "tiny", steps=2, batch=3, precision="fp32", sample_every=1000,
        autoencoder=str(autoencoder), rendered=str(rendered), data=DataConfig(crop=32),
    )  # fmt: skip


@pytest.fixture
def maker(autoencoder: Path, tmp_path: Path) -> WindowMaker:
    return WindowMaker.of(load_codec(autoencoder), torch.device("cpu"), tmp_path, noisy=0.0, half=False)


def test_windows_are_parts_of_frames_and_of_what_the_autoencoder_makes_of_them(
    maker: WindowMaker, rendered: Path
) -> None:
    windows = maker.folder(rendered / "train")
    assert len(windows) == windows_of.FRAMES + windows_of.PLAIN_FRAMES
    assert windows.effects.tolist() == [list(Effect).index(Effect.BRIGHTER)] * 2 + [list(Effect).index(Effect.NONE)]
    frames = clip(0, Effect.BRIGHTER)
    places = frames.truth.unfold(2, SIDE, 8).unfold(3, SIDE, 8).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    assert all(any(torch.equal(one, place) for place in places) for one in windows.truth)
    for number in range(len(windows)):
        factor = int(windows.factors[number])
        small = windows_of.resized(windows.drawn[number : number + 1].float() / 255, (SIDE // factor,) * 2)
        wanted = windows_of.resized(maker.codec.decode(maker.codec.encode(small)), (SIDE, SIDE))
        assert torch.allclose(windows.guide[number].float() / 255, wanted[0], atol=0.6 / 255)


def test_windows_are_made_once(maker: WindowMaker, rendered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = maker.folder(rendered / "train")
    monkeypatch.setattr(WindowMaker, "_made", lambda *_: pytest.fail("made again"))
    assert torch.equal(maker.folder(rendered / "train").made, made.made)


def test_damaged_windows_are_made_anew(maker: WindowMaker, rendered: Path) -> None:
    made = maker.folder(rendered / "train")
    (held,) = maker.kept.iterdir()
    held.write_bytes(held.read_bytes()[:-9])
    assert torch.equal(maker.folder(rendered / "train").made, made.made)


def test_noise_is_of_what_was_made_and_never_of_the_guide(autoencoder: Path, rendered: Path, tmp_path: Path) -> None:
    clean, noisy = (
        WindowMaker.of(load_codec(autoencoder), torch.device("cpu"), tmp_path, noisy=share, half=False).folder(
            rendered / "train"
        )
        for share in (0.0, 1.0)
    )
    first = slice(0, windows_of.FRAMES)  # of one clip; what is drawn for it moves what is drawn for the next
    assert torch.equal(clean.guide[first], noisy.guide[first])
    assert not torch.equal(clean.made[first], noisy.made[first])


def test_clips_smaller_than_a_window_are_refused(
    maker: WindowMaker, rendered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows_of, "SIDE", 80)
    with pytest.raises(InputError, match="smaller than 80 pixels; make some with --side"):
        maker.folder(rendered / "train")


def test_a_batch_is_the_same_square_of_all_that_belongs_to_a_window(maker: WindowMaker, rendered: Path) -> None:
    windows = maker.folder(rendered / "train")
    batch = ComposerCrops(windows, 4, crop=32)(Draw.of(0, 1))
    assert batch.truth.shape == batch.made.shape == (4, 3, 32, 32)
    assert batch.known.shape == (4, 1, 32, 32)
    both = torch.cat([windows.truth, windows.drawn], 1).float() / 255
    places = torch.cat([both, both.flip(-1)]).unfold(2, 32, 8).unfold(3, 32, 8).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    found = torch.cat([batch.truth, batch.drawn], 1)
    assert all(any(torch.equal(one, place) for place in places) for one in found)


def windows(error: float, *, bright: float = 0.5) -> Windows:
    """One window whose model misses by `error`."""
    truth = torch.full((1, 3, 16, 16), bright)
    one = torch.ones(1, 1, 16, 16)
    return Windows(truth, truth, truth + error, truth, one, torch.zeros(1), torch.ones(1))


def made_of(made: Tensor, *_: Tensor) -> Tensor:
    return made


def test_the_loss_falls_by_as_much_for_each_decibel() -> None:
    losses = [Decibels()(made_of, windows(error), Draw.of(0, 0))["squared"].item() for error in (0.1, 0.05, 0.025)]
    assert losses[0] - losses[1] == pytest.approx(0.602, abs=0.01)
    assert losses[1] - losses[2] == pytest.approx(0.602, abs=0.02)  # near the floor of 50 dB a little less
    assert decibels(windows(0.1).made, windows(0.1).truth).item() == pytest.approx(20, abs=1e-3)


def test_a_run_ends_in_a_file_that_says_what_it_is(config: TrainConfig) -> None:
    file = loop.train(config, build_stage, progress=False)
    network = load_composer(file)
    assert isinstance(network, Composer)
    assert not network.training
    found = identify(file)
    assert found.title.startswith("MicroCinema composer")
    assert found.details["network"] == "8 and 8 channels on blocks of 4 pixels"
    assert "autoencoder" in found.details["provenance autoencoder"] or found.details["provenance autoencoder"] == "{}"
    again = build_stage(replace(config, start_from=str(file)))
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.model.parameters(), strict=True))


def test_it_reports_itself_beside_the_plain_form(config: TrainConfig) -> None:
    stage = build_stage(config)
    figures = stage.report().figures
    windows = stage.report.windows.as_pixels()
    given = (windows.made, windows.guide, windows.drawn, windows.known)
    for name, made in (("db", stage.model(*given)), ("db_plain", plain(*given)), ("db_guide", windows.drawn)):
        assert figures[name] == pytest.approx(decibels(made.detach(), windows.truth).mean().item(), abs=1e-3)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"preset": "toybox"}, "preset toybox has no composer"),
        ({"data": DataConfig(crop=36)}, "data.crop must be a multiple of 8"),
        ({"autoencoder": ""}, "this stage needs `autoencoder`"),
    ],
)
def test_what_cannot_be_learnt_is_said(values: dict[str, object], said: str, config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match=said):
        build_stage(replace(config, **values))


def test_a_composer_of_other_sizes_is_not_gone_on_from(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    file = loop.train(replace(config, steps=1), build_stage, progress=False)
    other = replace(TINY, composer=ComposerConfig(channels=16, deep=8))
    monkeypatch.setattr(defaults, "PRESETS", {"tiny": other})
    with pytest.raises(ConfigError, match="composer of other sizes"):
        build_stage(replace(config, start_from=str(file)))


def test_all_of_it_happens_on_the_device(
    config: TrainConfig, pretend: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_device.train_on(pretend)
    monkeypatch.setattr(loop, "default_device", lambda: pretend)
    assert load_composer(loop.train(config, build_stage, progress=False)) is not None


def test_pockets_own_composer_is_what_the_preset_says() -> None:
    assert preset("pocket").composer == ComposerConfig()

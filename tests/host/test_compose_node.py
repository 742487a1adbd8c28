"""MicroCinema Compose in the real ComfyUI, in this process: against the library alone, masks, files, cancelling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from nodes_kit import Kit, pictures
from torch import Tensor

COUNT, WIDE, HIGH = 3, 72, 56  # of the frames; the model's are 32x24


@pytest.fixture
def composer(small: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small composer of random weights, where the embedded one is looked for."""
    form, config = small.core("checkpoint.format"), small.core("config")
    sizes = config.ComposerConfig(channels=8, deep=8)
    torch.manual_seed(0)
    network = small.core("models.composer").Composer(sizes)
    header = form.Header(config.Kind.COMPOSER, replace(config.POCKET, composer=sizes))
    path = tmp_path / "pocket-composer.safetensors"
    form.save_checkpoint_file(path, form.Checkpoint(header, {"composer": network.state_dict()}))
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(tmp_path))
    return path


@pytest.fixture
def latent(small: Kit) -> dict[str, Tensor]:
    with torch.inference_mode():
        return {"samples": small.vae.encode(pictures(COUNT, 24, 32))}


def frames() -> Tensor:
    """IMAGE [COUNT, HIGH, WIDE, 3]."""
    return pictures(COUNT, HIGH, WIDE)


def left(count: int = 1) -> Tensor:
    """MASK [count, HIGH, WIDE], 1 in its left half."""
    mask = torch.zeros(count, HIGH, WIDE)
    mask[:, :, : WIDE // 2] = 1
    return mask


def composed(kit: Kit, latent: dict[str, Tensor], **given: Any) -> Tensor:
    wanted = {"latent": latent, "frames": frames(), "vae": kit.vae, "detail": "plain"} | given
    return kit.run("Compose", **wanted)[0]


def by_the_library(kit: Kit, latent: dict[str, Tensor], known: Tensor, network: Any, asked: Tensor | None) -> Tensor:
    """[COUNT, HIGH, WIDE, 3]; known, asked: [COUNT, 1, HIGH, WIDE]."""
    composing, drawn = kit.core("shot.composing"), frames().movedim(-1, 1)
    with torch.inference_mode():
        made = kit.vae.decode(latent["samples"]).movedim(-1, 1)
        small = composing.resized(drawn, tuple(made.shape[2:])).movedim(1, -1)
        guide = kit.vae.decode(kit.vae.encode(small)).movedim(-1, 1)
        return composing.compose(made, guide, drawn, known, network, asked).movedim(1, -1)


def test_the_plain_form_is_the_librarys(small: Kit, latent: dict[str, Tensor]) -> None:
    found = composed(small, latent, unknown=left(COUNT))
    wanted = by_the_library(small, latent, 1 - left(COUNT)[:, None], None, None)
    assert found.shape == (COUNT, HIGH, WIDE, 3)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)  # frames go through the VAE one by one


def test_the_composer_is_the_librarys(small: Kit, latent: dict[str, Tensor], composer: Path) -> None:
    network = small.core("checkpoint.load").load_composer(composer).float()
    found = composed(small, latent, detail="composer")
    wanted = by_the_library(small, latent, torch.ones(COUNT, 1, HIGH, WIDE), network, None)
    # Frame by frame the VAE sums in another order, and detail is read from between pixels of noise.
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-3)
    assert (found - composed(small, latent)).abs().max() > 1e-2


def test_where_nothing_is_asked_frames_are_renders_own_and_nothing_is_run(
    small: Kit, latent: dict[str, Tensor], composer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = composed(small, latent, detail="composer", asked=left())
    assert torch.equal(half[:, :, WIDE // 2 :], frames()[:, :, WIDE // 2 :])
    assert not torch.equal(half[:, :, : WIDE // 2], frames()[:, :, : WIDE // 2])
    monkeypatch.setattr(small.vae, "decode", lambda *_: pytest.fail("decoded"))
    assert torch.equal(composed(small, latent, asked=0 * left(COUNT)), frames())


def test_masks_of_another_size_are_scaled(small: Kit, latent: dict[str, Tensor]) -> None:
    quarter = left()[:, ::2, ::2]
    assert torch.equal(composed(small, latent, asked=quarter)[:, :, -8:], frames()[:, :, -8:])


def test_without_its_file_the_detail_is_added_as_it_is_and_that_is_said(
    small: Kit, latent: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setenv("MICROCINEMA_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(small.core("checkpoint.embedded"), "START", tmp_path)
    with caplog.at_level("INFO"):
        found = composed(small, latent, detail="composer")
    assert torch.equal(found, composed(small, latent))
    assert "MicroCinema Compose: detail is added as it is" in caplog.text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda: {"frames": frames()[:2]}, "latent holds 3 frames, and 2 were rendered"),
        (lambda: {"asked": left(2)}, "asked has shape .*; connect one mask, or one for each of 3 frames"),
        (lambda: {"unknown": left() * torch.nan}, "unknown holds NaN"),
        (lambda: {"latent": {"samples": torch.zeros(3, 4, 2, 3, 4)}}, "latent has shape"),
    ],
)
def test_what_does_not_fit_is_refused(
    small: Kit, latent: dict[str, Tensor], changed: Callable[[], dict[str, Any]], said: str
) -> None:
    with pytest.raises(small.core("errors").InputError, match=f"MicroCinema Compose: {said}"):
        composed(small, **({"latent": latent} | changed()))


def test_a_file_that_is_no_composer_is_refused(small: Kit, composer: Path) -> None:
    other = composer.with_name("other.safetensors")
    other.write_bytes(composer.read_bytes()[:-10])
    module, error = small.ours("composer"), small.core("errors").CheckpointError
    with pytest.raises(error, match="truncated or damaged"):
        module.load_composer_patcher(other)
    with pytest.raises(error, match="a file of kind composer is needed here"):
        module.load_composer_patcher(small.path)


def test_composing_can_be_cancelled(small: Kit, latent: dict[str, Tensor]) -> None:
    import comfy.model_management as management

    management.interrupt_current_processing(True)
    with pytest.raises(management.InterruptProcessingException):
        composed(small, latent)
    assert not management.processing_interrupted()

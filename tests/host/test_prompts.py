"""Batches of texts: one for all clips, or one for each, which that clip's frames get; nothing else is taken."""

from typing import Any

import pytest
import torch
from nodes_kit import FRAMES, Kit, pictures

TEXTS = ("A red star moves left slowly over the night sky", "A green circle grows over sand")
CLIPS = len(TEXTS)
LATENTS = torch.randn(CLIPS * FRAMES, 4, 4, 5, generator=torch.Generator().manual_seed(3))


def batch(kit: Kit, texts: tuple[str, ...]) -> list:
    """One conditioning whose tensor holds all texts."""
    return [[torch.cat([kit.text(text)[0][0] for text in texts]), {}]]


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize("negatives", [1, CLIPS])
def test_as_many_texts_as_keyframes_are_honoured_clip_by_clip(small: Kit, negatives: int) -> None:
    keyframes = pictures(CLIPS)
    negative = batch(small, ("",) * negatives)
    prompts = small.encode(keyframes, positive=batch(small, TEXTS), negative=negative)
    together = small.sampler(keyframes, prompts).unflatten(0, (CLIPS, FRAMES))
    for clip, text in enumerate(TEXTS):
        key = keyframes[clip : clip + 1]
        assert apart(together[clip], small.sampler(key, small.encode(key, text))) < 1e-4  # float32, another batch
        other = small.sampler(key, small.encode(key, TEXTS[1 - clip]))
        assert apart(together[clip], other) > 1e-3
    assert torch.equal(small.ksampler(prompts, small.prior(keyframes)), together.flatten(0, 1))


@pytest.mark.parametrize("texts", [2, FRAMES, 2 * FRAMES, 5])
def test_a_text_for_each_frame_is_refused(small: Kit, texts: int) -> None:
    """Also numbers that divide the frames, and those of the frames themselves."""
    many = (batch(small, TEXTS * texts)[0][0][:texts], {})
    for name in ("positive", "negative"):
        prompts = small.encode(pictures(1), **{name: [list(many)]})
        said = f"the {name} conditioning holds {texts} texts for 1 clips; a frame has no text of its own"
        with pytest.raises(Exception, match=said):
            small.sampler(pictures(1), prompts)
        with pytest.raises(Exception, match=said):
            small.ksampler(prompts, small.prior(pictures(1)))


def test_fewer_texts_than_keyframes_are_refused(small: Kit) -> None:
    keyframes = pictures(4)
    with pytest.raises(Exception, match="holds 2 texts for 4 clips"):
        small.sampler(keyframes, small.encode(keyframes, positive=batch(small, TEXTS)))


def test_later_nodes_cannot_bring_them_in(small: Kit) -> None:
    """The host's node that joins or replaces texts comes after AppearNet Encode here."""
    positive, negative = small.encode(pictures(1))
    text, known = positive[0]
    with pytest.raises(Exception, match=f"holds {FRAMES} texts for 1 clips"):
        small.ksampler(([[text.repeat(FRAMES, 1, 1), known]], negative), small.prior(pictures(1)))


def interpolate(kit: Kit, conditioning: list, latents: torch.Tensor = LATENTS, **changed: Any) -> torch.Tensor:
    given = {
        "model": kit.model, "appearnet": kit.appearnet, "latent": {"samples": latents}, "frames_per_clip": FRAMES,
        "fps": 2.0, "passes": 1, "steps": 2, "seed": 5, "batch": 8, "conditioning": conditioning,
    }  # fmt: skip
    return kit.run("TSRInterpolate", **(given | changed))[0]["samples"]


def test_tsr_honours_a_text_for_each_clip(tsr: Kit) -> None:
    together = interpolate(tsr, batch(tsr, TEXTS)).unflatten(0, (CLIPS, -1))
    for clip, text in enumerate(TEXTS):
        latents = LATENTS.unflatten(0, (CLIPS, FRAMES))[clip]
        assert torch.equal(together[clip], interpolate(tsr, tsr.text(text), latents))
        assert not torch.equal(together[clip], interpolate(tsr, tsr.text(TEXTS[1 - clip]), latents))


@pytest.mark.parametrize("texts", [2, FRAMES, 8])
def test_tsr_refuses_texts_for_frames_and_segments(tsr: Kit, texts: int) -> None:
    """Two segments of one clip are no two clips, whatever the batch of segments is."""
    many = [[batch(tsr, TEXTS)[0][0].repeat(4, 1, 1)[:texts], {}]]
    said = f"TSR Interpolate: the conditioning holds {texts} texts for 1 clips"
    with pytest.raises(Exception, match=said):
        interpolate(tsr, many, LATENTS[:FRAMES], batch=FRAMES - 1)

"""A keyframe without AppearNet in the real ComfyUI: strength 0, and attention that all frames share."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from nodes_kit import FRAMES, WEIGHTS, Kit, load, pictures, standalone

CENTRE = FRAMES // 2


@contextmanager
def told(model: Any) -> Iterator[list[Any]]:
    """The `Clips` that the network is given, call by call."""
    calls: list[Any] = []
    handle = model.model.diffusion_model.register_forward_pre_hook(
        lambda _, args, given: calls.append(given["clips"]), with_kwargs=True
    )
    yield calls
    handle.remove()


@pytest.mark.parametrize("strength", [0.0, 1.0])
@pytest.mark.parametrize("count", [1, 2])
def test_shared_attention_equals_the_standalone_program(small: Kit, count: int, strength: float) -> None:
    """For one clip and for several in a batch, each of which shares its own keyframe; with guidance."""
    keyframes = pictures(count)
    latent = small.prior(keyframes)
    prompts = small.encode(keyframes, share_attention=True, strength=strength)
    ours, theirs = small.ksampler(prompts, latent), standalone(small, keyframes, prompts, latent, 3, 2.0)()
    assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()
    alone = small.ksampler(small.encode(keyframes, strength=strength), latent)
    assert (ours - alone).abs().max() > 1e-3 * theirs.abs().max()


@pytest.mark.parametrize(
    ("at", "index"),
    [({"keyframe_at": "first"}, 0), ({"keyframe_at": "last"}, 2), ({"keyframe_at": "index", "index": 1}, 1)],
)
def test_the_shared_frame_is_the_keyframes(small: Kit, at: dict[str, Any], index: int) -> None:
    keyframes = pictures(2)
    prompts = small.encode(keyframes, keyframe_at=at, share_attention=True)
    with told(small.model) as calls:
        small.ksampler(prompts, small.prior(keyframes), steps=1)
    assert [(call.frames, call.shared_frame) for call in calls] == [(FRAMES, index)]  # both branches at once


def test_each_branch_may_have_its_own_keyframe(small: Kit) -> None:
    """Two AppearNet Encodes: their branches are not one call, and each shares the frame of its own keyframe."""
    first, last = (
        small.encode(pictures(1), keyframe_at={"keyframe_at": at}, share_attention=on)
        for at, on in (("first", True), ("last", False))
    )
    with told(small.model) as calls:
        small.ksampler((first[0], last[1]), small.prior(pictures(1)), steps=1)
    assert sorted(str(call.shared_frame) for call in calls) == ["0", "None"]


def test_attention_is_shared_where_appearance_acts(small: Kit) -> None:
    keyframes = pictures(1)
    with told(small.model) as calls:
        small.ksampler(small.encode(keyframes), small.prior(keyframes), steps=1)
        small.ksampler(small.encode(keyframes, share_attention=True, end_percent=0.5), small.prior(keyframes), steps=4)
    assert [call.shared_frame for call in calls] == [None, CENTRE, CENTRE, None, None]
    assert [call.appearance is None for call in calls] == [False, False, False, True, True]


def test_a_context_window_shares_the_keyframe_or_the_frame_nearest_to_it(small: Kit) -> None:
    """7 frames, keyframe 1, in windows of 4 that overlap by 2; an anchor frame stands in front of all but the first."""
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode as Windows

    given = {socket.id: socket.default for socket in Windows.define_schema().inputs if hasattr(socket, "default")}
    given |= {"cond_retain_index_list": [], "latent_retain_index_list": [], "context_length": 4, "context_overlap": 2}
    model = Windows.execute(small.model, **given).result[0]
    keyframes, key = pictures(1), {"keyframe_at": "index", "index": 1}
    prompts = small.encode(keyframes, frames=7, keyframe_at=key, share_attention=True)
    with told(model) as calls:
        made = small.ksampler(prompts, small.prior(keyframes, 7), model=model, steps=1)
    assert made.isfinite().all()
    assert len(calls) > 1
    for call in calls:
        seconds = call.seconds[: call.frames].tolist()  # half a second a frame, from the keyframe
        assert call.shared_frame == min(range(call.frames), key=lambda i: abs(seconds[i]))
    assert {call.frames for call in calls} == {4, 5}


def test_at_strength_0_appearnet_is_not_run(small: Kit) -> None:
    runs: list[int] = []
    handle = small.appearnet.patcher.model.register_forward_hook(lambda *_: runs.append(1))
    keyframes = pictures(1)
    off, quiet = small.encode(keyframes, strength=0.0), small.encode(keyframes, strength=1e-30)
    handle.remove()
    assert len(runs) == 1
    assert off[0][0][1]["microcinema"].appearance is None
    latent = small.prior(keyframes)
    assert torch.equal(small.ksampler(off, latent), small.ksampler(quiet, latent))


def test_the_hosts_log_says_what_of_a_file_is_trained(
    small: Kit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    form = small.core("checkpoint.format")
    checkpoint = form.read_checkpoint(small.path)
    for name, value in checkpoint.sections["appearnet"].items():
        if name.startswith("add.") or ".conv_out." in name:
            value.zero_()
    path = tmp_path / "converted.safetensors"
    form.save_checkpoint_file(path, checkpoint)
    with caplog.at_level(logging.INFO):
        load(small.pack, small.nodes, path)
        load(small.pack, small.nodes, WEIGHTS / "toybox-video.safetensors")
        load(small.pack, small.nodes, WEIGHTS / "toybox-image.safetensors")
    ours = [record for record in caplog.records if "trained" in record.getMessage()]
    assert [record.levelname for record in ours] == ["WARNING", "INFO"]
    assert "converted.safetensors: motion: trained; appearance: AppearNet is not trained" in ours[0].getMessage()
    assert "exact keyframe" in ours[0].getMessage()
    assert "toybox-video.safetensors: motion: trained; appearance: trained" in ours[1].getMessage()

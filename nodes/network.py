"""VideoUNet as the host runs it: frames in the batch, the host's layers, attention, wrappers and ControlNets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import comfy.patcher_extension
import torch
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor, nn

from ..microcinema_core.backend import Backend
from ..microcinema_core.config import UNetConfig
from ..microcinema_core.models.injection import Appearance
from ..microcinema_core.models.unet import VideoUNet
from .replaced import replaced

Control = Mapping[str, list[Tensor | None]]


class HostAttention:
    """The host's attention. `transformer_options` are those of the forward in progress, through which others override
    it; by this name its TorchCompileModel knows them, which takes nothing in them for a reason to compile anew.
    """

    def __init__(self) -> None:
        self.transformer_options: dict[str, Any] = {}

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        # Some of Stable Diffusion 2.1's scores are beyond float16, in which some of the host's kernels hold them.
        out: Tensor = optimized_attention(
            q, k, v, heads, attn_precision=torch.float32, transformer_options=self.transformer_options
        )
        return out


@dataclass(frozen=True, slots=True)
class Clips:
    """How rows of a batch are clips: every `frames` rows are one. seconds: [rows] from the keyframe.

    shared_frame: of each clip, the frame that all of its frames attend to beside themselves.
    """

    frames: int
    appearance: Appearance | None = None
    seconds: Tensor | None = None
    shared_frame: int | None = None


class HostUNet(VideoUNet):
    """[B*T, C, h, w] in and out. Its keys are VideoUNet's.

    torch.compile leaves out what the host wraps around the network: VideoUNet's forward is one graph then.
    """

    def __init__(
        self,
        config: UNetConfig,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        operations: Any = nn,
    ) -> None:
        attention = HostAttention()
        super().__init__(config, Backend(operations, attention, dtype, device))
        self.dtype, self.attention = dtype, attention
        self.in_channels = config.in_channels  # read by nodes that look for it, as in the host's own networks

    @torch.compiler.disable(recursive=False)
    def forward(  # type: ignore[override]  # as the host calls it
        self,
        x: Tensor,
        t: Tensor,
        context: Tensor | None = None,
        control: Control | None = None,
        transformer_options: dict[str, Any] | None = None,
        clips: Clips | None = None,
    ) -> Tensor:
        """x [B*T, C, h, w] -> same. context: [B*T, L, D], the same for all frames of a clip."""
        options = transformer_options or {}
        given = (x, t, context, control, options, clips or Clips(1))
        wrappers = comfy.patcher_extension.get_all_wrappers(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, options)
        if not wrappers:
            return self._run(*given)
        run = comfy.patcher_extension.WrapperExecutor.new_class_executor(self._run, self, wrappers)
        out: Tensor = run.execute(*given)
        return out

    @torch.compiler.disable(recursive=False)
    def _run(
        self,
        x: Tensor,
        t: Tensor,
        context: Tensor,
        control: Control | None,
        transformer_options: dict[str, Any],
        clips: Clips,
    ) -> Tensor:
        step = clips.frames
        video = x.unflatten(0, (-1, step)).transpose(1, 2)
        seconds = None if clips.seconds is None else clips.seconds.unflatten(0, (-1, step))
        self.attention.transformer_options = transformer_options
        try:
            with controlled(self, control), replaced(self, transformer_options, x.shape):
                out = super().forward(
                    video, t[::step], context[::step], clips.appearance, seconds, shared_frame=clips.shared_frame
                )
        finally:
            self.attention.transformer_options = {}
        return out.transpose(1, 2).flatten(0, 1)


@contextmanager
def controlled(unet: VideoUNet, control: Control | None) -> Iterator[None]:
    """For one forward: a ControlNet's residuals [B*T, C, H, W] are added to the middle's output and to the skips."""
    if not control:
        yield
        return
    middle, skips_given = control.get("middle") or [], control.get("output") or []

    def add(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        h, skips, *rest = given
        for residual in middle:
            h = h if residual is None else h + residual.to(h)
        for i, residual in enumerate(skips_given):
            if residual is not None:
                skips[i] = skips[i] + residual.to(skips[i])
        return (h, skips, *rest)

    handle = unet.up_blocks[0].register_forward_pre_hook(add)
    try:
        yield
    finally:
        handle.remove()

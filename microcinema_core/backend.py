"""What differs between standalone PyTorch and a host: leaf layers and the attention kernel, both injected."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .errors import InputError


class AttentionFn(Protocol):
    """Multi-head attention. q [B, N, H*D], k and v [B, M, H*D] -> [B, N, H*D]; the layout ComfyUI's attention takes."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor: ...


class Operations(Protocol):
    """Constructors of leaf layers: `torch.nn` itself, or a host's namespace with the same signatures."""

    Linear: Callable[..., nn.Module]
    Conv2d: Callable[..., nn.Module]
    GroupNorm: Callable[..., nn.Module]
    LayerNorm: Callable[..., nn.Module]


SHORT = 128  # up to this many keys plain matrix products are faster on a CPU than its fused kernel


def sdpa(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """PyTorch's scaled dot-product attention, the default. q [B, N, H*D], k and v [B, M, H*D] -> [B, N, H*D]."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    if q.device.type == "cpu" and k.shape[2] <= SHORT:
        weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)
        return (weights @ v).transpose(1, 2).flatten(2)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def xformers_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """xformers' memory-efficient attention, where it is there. q [B, N, H*D], k and v [B, M, H*D] -> [B, N, H*D]."""
    from xformers.ops import memory_efficient_attention

    q, k, v = (x.unflatten(-1, (heads, -1)) for x in (q, k, v))
    out: Tensor = memory_efficient_attention(q, k, v)
    return out.flatten(2)


def attention_named(name: str) -> AttentionFn:
    """`sdpa` or `xformers`. Raises InputError for another name, or where xformers is not installed."""
    if name == "sdpa":
        return sdpa
    if name != "xformers":
        raise InputError(f"attention {name!r} is unknown; choose sdpa or xformers")
    if importlib.util.find_spec("xformers") is None:
        raise InputError(
            "attention 'xformers' was chosen but xformers is not installed; pip install xformers, or use sdpa"
        )
    return xformers_attention


@dataclass(frozen=True, slots=True)
class Backend:
    """How leaf layers are made and attention is computed; passed down every constructor."""

    operations: Operations = nn  # type: ignore[assignment]
    attention: AttentionFn = sdpa
    dtype: torch.dtype | None = None
    device: torch.device | str | None = None
    factory: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "factory", {"dtype": self.dtype, "device": self.device})

    def linear(self, inputs: int, outputs: int, *, bias: bool = True) -> nn.Module:
        return self.operations.Linear(inputs, outputs, bias=bias, **self.factory)

    def conv(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, bias: bool = True) -> nn.Module:
        """A padded 2-D convolution that keeps the size at stride 1."""
        return self.operations.Conv2d(
            inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=bias, **self.factory
        )

    def conv_rows(self, inputs: int, outputs: int, kernel: int) -> nn.Module:
        """A padded convolution along the rows of [B, C, rows, columns] alone."""
        return self.operations.Conv2d(inputs, outputs, (kernel, 1), padding=(kernel // 2, 0), **self.factory)

    def group_norm(self, groups: int, channels: int, *, eps: float = 1e-5) -> nn.Module:
        return self.operations.GroupNorm(groups, channels, eps=eps, **self.factory)

    def layer_norm(self, channels: int) -> nn.Module:
        return self.operations.LayerNorm(channels, **self.factory)

"""What one full-size step asks a GPU for, counted without one: `python -m studies.speed.kernels [--at CHECKOUT]`.

On the meta device, where nothing is computed: kernels launched, those among them that only copy, bytes read and
written, and convolutions whose activations are not channels-last, which half-precision kernels of a GPU lay out anew
on both sides. Then what torch.compile makes of four steps: graphs, breaks and recompilations. Attention counts as one
kernel, as it is on a GPU. CHECKOUT: another folder with a `microcinema_core`, for figures before a change.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (320, 512)  # pixels of a side
FRAMES, BRANCHES, STEPS = 9, 2, 4
# What launches nothing: other names for the same numbers, and room for new ones.
VIEWS = frozenset(
    {
        "_unsafe_view",
        "alias",
        "as_strided",
        "chunk",
        "detach",
        "expand",
        "narrow",
        "permute",
        "select",
        "slice",
        "split",
    }
    | {"split_with_sizes", "squeeze", "t", "transpose", "unbind", "unsqueeze", "view"}
    | {"empty", "empty_like", "new_empty"}
)
COPIES = frozenset(["_to_copy", "cat", "clone", "constant_pad_nd", "copy_", "repeat", "stack"])


@torch.library.custom_op("studies::attention", mutates_args=())
def attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """The shape of attention's result; one kernel. q [B, N, H*D], k and v [B, M, H*D] -> [B, N, H*D]."""
    return torch.empty_like(q)


@attention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    return torch.empty_like(q)


@dataclass
class Launched(TorchDispatchMode):
    """Counts what is dispatched while it is on."""

    kernels: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    copied: int = 0
    laid_out: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        if name not in VIEWS:
            self.kernels[name] += 1
            moved = sum(_bytes(leaf) for leaf in tree_leaves((args, kwargs, made)) if isinstance(leaf, Tensor))
            self.bytes += moved
            self.copied += moved if name in COPIES else 0
            self.laid_out += 2 * (name == "convolution" and not _channels_last(args[0]))
        return made

    @property
    def copies(self) -> int:
        return sum(count for name, count in self.kernels.items() if name in COPIES)


def _bytes(x: Tensor) -> int:
    """Of what lies in memory: a dimension that is only repeated counts once."""
    lengths = (length for length, stride in zip(x.shape, x.stride(), strict=True) if stride)
    return x.element_size() * math.prod(lengths)


def _channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True, slots=True)
class Compiled:
    """What torch.compile made of some steps. nodes: of the first graph."""

    graphs: int
    nodes: int
    breaks: int


class Step:
    """One step with guidance, of full size and random shape alone, in float16."""

    def __init__(self, pixels: int) -> None:
        from microcinema_core.backend import Backend
        from microcinema_core.config import SD21_BASE
        from microcinema_core.models.appearnet import AppearNet
        from microcinema_core.models.guide import Guide
        from microcinema_core.models.unet import VideoUNet

        config, side = SD21_BASE.unet, pixels // 8
        backend = Backend(attention=attention, dtype=torch.float16, device="meta")
        self.network = VideoUNet(config, backend).eval()
        with torch.device("meta"), torch.no_grad():
            keyframe = torch.empty(1, config.in_channels, 1, side, side, dtype=torch.float16)
            self.appearance = AppearNet(config, backend).eval()(Guide(keyframe))
            self.x = torch.empty(BRANCHES, config.in_channels, FRAMES, side, side, dtype=torch.float16)
            self.text = torch.empty(BRANCHES, 77, config.cross_attention_dim, dtype=torch.float16)
            self.seconds = torch.empty(FRAMES)

    @torch.no_grad()
    def __call__(self, network: Callable[..., Tensor]) -> Tensor:
        return network(self.x, torch.empty((), device="meta"), self.text, self.appearance, self.seconds)

    def launched(self) -> Launched:
        with Launched() as counted:
            self(self.network)
        return counted

    def compiled(self) -> Compiled:
        """Whatever the backend: the graphs are only taken down."""
        graphs: list[torch.fx.GraphModule] = []

        def take(graph: torch.fx.GraphModule, examples: Any) -> Any:
            graphs.append(graph)
            return graph

        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        network = torch.compile(self.network, backend=take)
        for _ in range(STEPS):
            self(network)
        breaks = sum(torch._dynamo.utils.counters["graph_break"].values())
        return Compiled(len(graphs), len(graphs[0].graph.nodes), breaks)


def table(found: Sequence[tuple[int, Launched, Compiled]]) -> str:
    """Markdown."""
    lines = [
        "| pixels | kernels | of these copies | GB read and written | GB copied | layout changes of convolutions "
        f"| graphs in {STEPS} steps | breaks | nodes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for pixels, launched, compiled in found:
        cells = (
            f"{pixels}x{pixels}",
            sum(launched.kernels.values()),
            launched.copies,
            f"{launched.bytes / 1e9:.1f}",
            f"{launched.copied / 1e9:.1f}",
            launched.laid_out,
            compiled.graphs,
            compiled.breaks,
            compiled.nodes,
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", type=Path, help="another checkout")
    options = parser.parse_args(arguments)
    if options.at is not None:
        sys.path.insert(0, str(options.at.resolve()))
    steps = [(pixels, Step(pixels)) for pixels in SIZES]
    sys.stdout.write(table([(pixels, step.launched(), step.compiled()) for pixels, step in steps]))


if __name__ == "__main__":
    main()

"""What one training step takes of a card's memory, computed before there is one.

The networks run forward and back on PyTorch's meta device, without numbers, while every tensor is counted as long as it
lives. What kernels use inside themselves, and the driver, are not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ..backend import Backend
from ..checkpoint.format import DIFFUSION, TEXT_ENCODER, VAE, opened, read_header
from ..config import Kind, ModelConfig, image_stage, preset
from ..errors import InputError
from ..models.guide import Guide
from ..shot.timing import frame_times
from .config import AdamW, AverageOn, Learns, RecipeConfig, TrainConfig
from .data.batches import ClipBatch
from .denoising import Denoising
from .frozen import halve_frozen_
from .ledger import Ledger
from .recipe import checkpoint_activations_, learning_groups
from .sharding import as_shared_
from .stage import Draw
from .trainee import DiffusionNetworks, asked_for, segment_model

META = torch.device("meta")
GB = 10**9
TEXT_LENGTH = 77  # of a file that does not say
MOMENTS = {AdamW.TORCH: 8, AdamW.EIGHT_BIT: 2}  # bytes for a parameter
LOWER = {torch.conv2d, F.linear, torch.matmul, Tensor.matmul, Tensor.__matmul__, F.scaled_dot_product_attention}
NORMS = {F.group_norm, F.layer_norm}
FULL = {F.mse_loss, torch.softmax, Tensor.softmax, F.softmax}
LEANER: Sequence[tuple[str, Callable[[RecipeConfig], RecipeConfig]]] = (
    (
        "shard = true",
        lambda recipe: replace(recipe, shard=recipe.adamw is AdamW.TORCH),
    ),  # first: only where there are cards
    ("coders_on_cpu = true", lambda recipe: replace(recipe, coders_on_cpu=True)),
    ('average = "cpu"', lambda recipe: replace(recipe, average=AverageOn.CPU)),
    ("gradient_checkpointing = true", lambda recipe: replace(recipe, gradient_checkpointing=True)),
    ('adamw = "8bit"', lambda recipe: recipe if recipe.shard else replace(recipe, adamw=AdamW.EIGHT_BIT)),
    ('learns = "temporal"', lambda recipe: _learning(recipe, Learns.TEMPORAL)),
    ('learns = "appearnet"', lambda recipe: _learning(recipe, Learns.APPEARNET)),
)


@dataclass(frozen=True, slots=True)
class StepMemory:
    """Bytes: of all weights, what the optimiser and the average hold on the card, text encoder and autoencoder there,
    and the most that gradients, activations and autocast's copies of weights take together."""

    weights: int
    moments: int
    average: int
    coders: int
    working: int

    @property
    def total(self) -> int:
        return self.weights + self.moments + self.average + self.coders + self.working

    def to_dict(self) -> dict[str, int]:
        """By name, the total among them."""
        return {**asdict(self), "total": self.total}


class FusedAttention(torch.autograd.Function):
    """As fused kernels allocate it: inputs, result and a number for each query are kept, no matrix of scores."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """[B, H, N, D], [B, H, M, D] twice -> [B, H, N, D]."""
        out = torch.empty_like(q)
        ctx.save_for_backward(q, k, v, out, q.new_empty(q.shape[:3], dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        """Gradients of q, k and v, in their shapes."""
        return tuple(torch.empty_like(x) for x in ctx.saved_tensors[:3])


class Autocast(TorchFunctionMode):
    """What torch.autocast makes of tensors without a device: bfloat16 into products, float32 into norms and losses.

    Copies of weights that learn are kept until `forget`, as it keeps them for the length of a forward.
    norms: in float32 too, as on a GPU; a CPU's are in bfloat16.
    """

    def __init__(self, *, bfloat16: bool, norms: bool = True) -> None:
        super().__init__()
        self.bfloat16, self.keeps = bfloat16, True
        self.full = FULL | NORMS if norms else FULL
        self.copies: dict[Tensor, Tensor] = {}

    def forget(self) -> None:
        """As at the end of a forward; layers that are computed again keep no copies."""
        self.copies, self.keeps = {}, False

    def __torch_function__(self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.bfloat16 and function in LOWER:
            args = tuple(self._lower(value) if isinstance(value, Tensor) else value for value in args)
        elif self.bfloat16 and function in self.full:
            args = tuple(value.float() if isinstance(value, Tensor) else value for value in args)
            kwargs = {name: value.float() if isinstance(value, Tensor) else value for name, value in kwargs.items()}
        if function is F.scaled_dot_product_attention:
            return FusedAttention.apply(*args)
        return function(*args, **kwargs)

    def _lower(self, value: Tensor) -> Tensor:
        if value.dtype != torch.float32:
            return value
        if value in self.copies:
            return self.copies[value]
        lower = value.bfloat16()
        if self.keeps and isinstance(value, nn.Parameter) and value.requires_grad:
            self.copies[value] = lower
        return lower


@dataclass(frozen=True, slots=True)
class NoTexts:
    """Embeddings without numbers, [N, L, D]."""

    length: int
    width: int

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """[N, L, D] of any sentences."""
        return torch.empty(len(prompts), self.length, self.width, device=META)


def step_memory(
    config: TrainConfig, backend: Backend | None = None, *, float32_norms: bool = True, cards: int = 1
) -> StepMemory:
    """Of one step of a diffusion stage with this configuration. Reads no more than a file's header.

    backend: of the networks; its device is meta. float32_norms: as `Autocast` takes it. cards: that share the model,
    where the recipe says so; the figures are of one of them.
    Raises ConfigError and CheckpointError as building the stage does.
    """
    model, length = _model(config)
    networks = DiffusionNetworks(model.unet, length, backend or Backend(device=META))
    groups = learning_groups(networks, config)
    recipe, bfloat16 = config.recipe, config.precision != "fp32"
    if bfloat16 and config.start_from:
        halve_frozen_(networks)
    if recipe.gradient_checkpointing:
        checkpoint_activations_(networks)
    cards = cards if recipe.shard else 1
    learning = sum(p.numel() for group in groups for p in group.parameters)
    weights = sum(p.nbytes for p in networks.parameters())
    together = as_shared_(networks, cards, bf16=bfloat16) if cards > 1 else 0
    return StepMemory(
        weights=weights // cards,
        moments=MOMENTS[recipe.adamw] * learning // cards,
        average=4 * learning // cards if recipe.average is AverageOn.DEVICE else 0,
        coders=0 if recipe.coders_on_cpu else _coders(config),
        working=together + _working(networks, model, config, length, Autocast(bfloat16=bfloat16, norms=float32_norms)),
    )


def leaner(config: TrainConfig, cards: int = 1) -> Iterator[tuple[str, TrainConfig]]:
    """The configuration, and what makes it leaner one after the other, each beside all before it; cards: there are."""
    yield "as it is", config
    for name, change in LEANER if cards > 1 else LEANER[1:]:
        recipe = change(config.recipe)
        whole = recipe.learns is not config.recipe.learns and config.stage not in (Kind.VIDEO, Kind.TSR)
        if recipe != config.recipe and not whole:  # other stages learn whole
            config = replace(config, recipe=recipe)
            yield f"+ {name}", config


def _learning(recipe: RecipeConfig, learns: Learns) -> RecipeConfig:
    """A recipe by which no more learns than that; each of Learns is less than the one before."""
    order = list(Learns)
    return recipe if order.index(recipe.learns) >= order.index(learns) else replace(recipe, learns=learns)


def check_fits(config: TrainConfig, device: torch.device, cards: int = 1) -> None:
    """Raises InputError where a step takes more memory than a GPU has free, with the first leaner recipe that fits."""
    if device.type != "cuda" or config.stage not in DIFFUSION:
        return
    free, _ = torch.cuda.mem_get_info(device)
    expect_room(config, free, cards)


def expect_room(config: TrainConfig, free: int, cards: int = 1) -> None:
    """Raises InputError where a step takes more than so many bytes of each card."""
    needed = step_memory(config, cards=cards).total
    if needed <= free:
        return
    added: list[str] = []
    for name, other in list(leaner(config, cards))[1:]:
        added.append(name.removeprefix("+ "))
        if step_memory(other, cards=cards).total <= free:
            advice = f"under [recipe] {', '.join(added)} would fit"
            break
    else:
        advice = "no recipe of this size fits; take a smaller `batch`, or fewer frames or pixels under [clip]"
    raise InputError(
        f"a step takes {needed / GB:.1f} GB of a GPU's memory, {free / GB:.1f} GB are free; {advice} "
        "(`microcinema train --memory` says what each gives)"
    )


def _model(config: TrainConfig) -> tuple[ModelConfig, int]:
    """The model that learns, and how many tokens its prompts have."""
    given = read_header(config.start_from).config if config.start_from else preset(config.preset)
    model = segment_model(config, given) if config.stage is Kind.TSR else asked_for(config, given)
    if config.stage is Kind.IMAGE:
        model = image_stage(model)
    return model, TEXT_LENGTH if model.text is None else model.text.max_length


def _coders(config: TrainConfig) -> int:
    """Bytes of text encoder and autoencoder in float32, in which they work."""
    files = {VAE: config.autoencoder, TEXT_ENCODER: config.text_encoder}
    return sum(4 * _numbers(Path(file or config.start_from), section) for section, file in files.items())


def _numbers(path: Path, section: str) -> int:
    """How many a section of this file, or of its companion, has; 0 where neither is there."""
    if not path.is_file():
        return 0
    with opened(path) as file:
        shapes = [file.get_slice(key).get_shape() for key in file.keys() if key.startswith(f"{section}.")]
    companion = read_header(path).companions.get(section)
    if not shapes and companion is not None:
        return _numbers(path.parent / companion.file, section)
    return sum(prod(shape) for shape in shapes)


def _working(networks: DiffusionNetworks, model: ModelConfig, config: TrainConfig, length: int, cast: Autocast) -> int:
    """The peak of a step, forward and back, the second of several micro-batches where there are any."""
    text = NoTexts(length, model.unet.cross_attention_dim)
    loss = Denoising(model.diffusion, text, config.data.no_text, config.towards_noise)
    with Ledger() as ledger:
        for micro in range(min(2, config.recipe.micro_batches)):
            draw, batch = Draw.of(0, 0, micro), _batch(model, config)
            with cast:
                total = loss(networks, batch, draw)["denoising"]
                cast.forget()
                _back_within(total)
            cast.keeps = True
    return ledger.peak


def _back_within(total: Tensor) -> None:
    """Gradients of a scalar, under the function mode that is on: `backward` would take it off for its length."""
    engine, ones = torch.autograd.Variable._execution_engine, torch.ones_like(total)
    engine.run_backward((total,), (ones,), False, False, (), allow_unreachable=True, accumulate_grad=True)


def _batch(model: ModelConfig, config: TrainConfig) -> ClipBatch:
    """Clips of the model's size; a TSR model's guide has every frame."""
    clip, side = model.clip, model.latent.downscale
    shape = (config.batch, model.unet.in_channels, clip.frames, clip.height // side, clip.width // side)
    latents = torch.empty(shape, device=META)
    if config.stage is Kind.IMAGE:
        still = latents[:, :, :1]
        return ClipBatch(still, [""] * config.batch, Guide(still, still[:, :1]) if model.unet.fills else None)
    guide = Guide(latents, along=latents) if config.stage is Kind.TSR else Guide(latents[:, :, :1])
    times = torch.tensor([frame_times(clip.frames, clip.fps, 0)] * config.batch)
    return ClipBatch(latents, [""] * config.batch, guide, times.to(META))

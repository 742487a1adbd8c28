"""Temporal super-resolution on segments that it never saw: `python -m studies.pocket.tsr MODEL SEGMENTS --out FOLDER`.

MODEL is a file of `microcinema train configs/pocket-tsr.toml`, SEGMENTS a folder with RATE/SPLIT of
`python -m studies.pocket.clips POOL SEGMENTS/RATE/SPLIT --segments RATE --split SPLIT --clips N`. Both ends are the
truth where something is asked or uncovered and the camera's own elsewhere, as in a clip that is painted. Writes
FOLDER/figures.md: of the frames between, where the ends differ from the camera's, decibels against the truth through
the autoencoder, 48 at most, beside what differs at the nearer end held (hold) and both ends' differences blended
(blend), with paired 95 % intervals by segment; and the most that a latent leaves the camera's where neither end does:
flicker, 0. FOLDER/sheet-RATE.png has rows of truth, blend and made of the first segment of each effect.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from microcinema_core.config import Kind
from microcinema_core.media import Frames, to_uint8
from microcinema_core.models.guide import Guide
from microcinema_core.shot.segments import Segments, ends_of, with_ends
from microcinema_core.shot.settings import TSR_SAMPLING
from microcinema_core.standalone.precision import default_device
from microcinema_core.standalone.sampling import NoiseStream, Text, sample_segments
from microcinema_core.training.data.pocket import encoded, read_folder, read_texts
from microcinema_core.training.data.pocket_files import Clips
from microcinema_core.training.data.pocket_segments import cropped
from microcinema_core.training.pocket import whole_model
from microcinema_core.training.sheets import save_sheet
from microcinema_core.training.trainee import Trainee
from microcinema_core.training.tsr import pass_rates
from microcinema_core.worlds.pocket.effects import Effect

from ..shares import table
from ..toybox.tsr import Interval
from .splits import FINAL, SPLITS

AT_ONCE = 16  # segments
UNSEEN = (1 / 255) ** 2  # squared error of one level, 48 dB: less is not told apart
LEAST = 4  # latents that differ at either end, of a segment whose decibels are taken
HOLD, BLEND = "hold", "blend"
HEADER = (
    "frames a second",
    "asked",
    "segments",
    HOLD,
    BLEND,
    "made",
    "made - hold",
    "made - blend",
    "where none differs",
)


@dataclass(frozen=True, slots=True)
class Scored:
    """Of one segment. decibels: by way, None where too little differs. flicker: in latents, where nothing does."""

    effect: Effect
    decibels: dict[str, float] | None
    flicker: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("segments", type=Path)
    parser.add_argument("--split", choices=SPLITS, default=FINAL)
    parser.add_argument("--out", type=Path, default=Path("out/pocket-tsr-figures"))
    parser.add_argument("--most", type=int, help="segments of each pass; all of them where it is left out")
    parser.add_argument("--crop", type=int, default=128, help="pixels of the side that is measured of each, somewhere")
    parser.add_argument("--steps", type=int, nargs="+", default=[TSR_SAMPLING.steps], help="of denoising; a way each")
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16: three times as fast where it is fast")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    model = whole_model(options.model, default_device(), Kind.TSR)
    lines: dict[int, list[list[str]]] = {steps: [] for steps in options.steps}
    for level, rate in enumerate(pass_rates(model.config)):
        folder = options.segments / f"{rate:g}" / options.split
        scored: dict[int, list[Scored]] = {steps: [] for steps in options.steps}
        rows: dict[Effect, list[Frames]] = {}
        for part in _parts(folder, options.most, options.crop):
            with torch.autocast(model.coders.device.type, torch.bfloat16, enabled=options.bf16):
                _score(model, part, level, scored, rows, options.bf16)
        save_sheet(options.out / f"sheet-{rate:g}.png", [row for effect in rows.values() for row in effect])
        for steps, found in scored.items():
            lines[steps] += to_rows(rate, found)
    told = "\n\n".join(f"{steps} steps\n\n{table(HEADER, found)}" for steps, found in lines.items())
    (options.out / "figures.md").write_text(told + "\n", encoding="utf-8")
    sys.stdout.write(told + "\n")


def _parts(folder: Path, most: int | None, crop: int) -> list[Clips]:
    """A folder's segments, cropped, AT_ONCE at most in each."""
    done, parts = 0, []
    for clips in read_folder(folder, most):
        parts += cropped(clips, done, crop).parts(AT_ONCE)
        done += len(clips)
    return parts


def _score(
    model: Trainee,
    clips: Clips,
    level: int,
    scored: dict[int, list[Scored]],
    rows: dict[Effect, list[Frames]],
    bf16: bool,
) -> None:
    """A few segments, made with each number of steps; rows: of the first segment of each effect, where it lacks."""
    truth, guide, known = (part.float().transpose(1, 2) for part in encoded(clips, model.coders, bf16=bf16))
    ends = ends_of(torch.where(painted(clips).to(truth.device), truth, guide))
    given, segments = Guide(guide, known), Segments.of(model.config)
    line = segments.line(ends, given)
    differs = (ends != ends_of(guide)).any(dim=1, keepdim=True).any(dim=2, keepdim=True)
    ways = {HOLD: guide + held(ends - ends_of(guide), segments.frames), BLEND: line.latents}
    started = len(next(iter(scored.values())))
    seen, baselines = _inner(model, truth), {name: _inner(model, way) for name, way in ways.items()}
    for steps, found in scored.items():
        made = _made(model, clips, ends, given, level, steps, started)
        pixels = baselines | {"made": _inner(model, made)}
        decibels = {name: _decibels(way, seen, differs) for name, way in pixels.items()}
        flicker = ((made - guide).abs() * ~differs).amax(dim=(1, 2, 3, 4))
        for number, told in enumerate(clips.told):
            enough = int(differs[number].sum()) >= LEAST
            own = {name: float(value[number]) for name, value in decibels.items()} if enough else None
            found.append(Scored(told.asked.effect, own, float(flicker[number])))
            if enough and told.asked.effect not in rows:
                shown = (seen, pixels[BLEND], pixels["made"])
                rows[told.asked.effect] = [to_uint8(way[number]) for way in shown]


def painted(clips: Clips) -> Tensor:
    """[N, 1, T, h, w], bool: where of each latent's 8x8 pixels any is asked to change, or is not known."""
    asked = torch.tensor([told.asked.effect is not Effect.NONE for told in clips.told])
    changes = (clips.known < 255) | ((clips.mask > 0) & asked.view(-1, 1, 1, 1, 1))
    return F.max_pool2d(changes.flatten(0, 1).float(), 8).unflatten(0, changes.shape[:2]).transpose(1, 2) > 0


def held(differences: Tensor, frames: int) -> Tensor:
    """Ends [N, C, 2, h, w] -> [N, C, frames, h, w]: each frame has the nearer end's, the middle one the first's."""
    nearer = [int(2 * number > frames - 1) for number in range(frames)]
    return differences[:, :, nearer]


def _made(model: Trainee, clips: Clips, ends: Tensor, guide: Guide, level: int, steps: int, first: int) -> Tensor:
    """[N, C, T, h, w]. first: the number of the first of these segments, of which its noise follows."""
    appearnet = model.networks.appearnet
    assert appearnet is not None
    captions = read_texts([told.caption for told in clips.told], model.coders).float()
    noise = [NoiseStream.segment(first + i, level, 0) for i in range(len(clips))]
    fps = pass_rates(model.config)[0] / Segments.of(model.config).factor
    text, sampling = Text(captions, model.coders.null), replace(TSR_SAMPLING, steps=steps)
    networks = (model.networks.unet, appearnet)
    made = sample_segments(networks, model.config, ends, level, fps, text, noise, sampling, guide=guide)
    return with_ends(made, ends)


def _inner(model: Trainee, latents: Tensor) -> Tensor:
    """The frames between, pixels [N, T - 2, 3, H, W] in 0..1."""
    return model.coders.decode(latents[:, :, 1:-1])


def _decibels(made: Tensor, truth: Tensor, differs: Tensor) -> Tensor:
    """[N], at most 48, of pixels [N, T, 3, H, W] where latents [N, 1, 1, h, w] differ."""
    scale = made.shape[-1] // differs.shape[-1]
    where = F.interpolate(differs[:, :, 0].float(), scale_factor=scale)[:, None]  # [N, 1, 1, H, W]
    error = ((made - truth).square() * where).sum(dim=(1, 2, 3, 4))
    count = where.sum(dim=(1, 2, 3, 4)) * made.shape[1] * made.shape[2]
    return -10 * torch.log10((error / count.clamp(min=1)).clamp(min=UNSEEN))


def to_rows(rate: float, scored: Sequence[Scored]) -> list[list[str]]:
    """A line of each effect, then of all."""
    groups = [(effect.value, [one for one in scored if one.effect is effect]) for effect in Effect]
    return [_row(rate, name, of) for name, of in (*groups, ("all", list(scored))) if of]


def _row(rate: float, name: str, scored: Sequence[Scored]) -> list[str]:
    found = [one.decibels for one in scored if one.decibels is not None]
    ways = (HOLD, BLEND, "made")
    means = [f"{fmean(one[way] for one in found):.2f}" if found else "" for way in ways]
    gains = [str(Interval.of([one["made"] - one[way] for one in found])) if found else "" for way in ways[:2]]
    return [f"{rate:g}", name, str(len(found)), *means, *gains, f"{max(one.flicker for one in scored):g}"]


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()

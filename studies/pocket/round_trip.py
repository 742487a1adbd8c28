"""Pictures that nothing learnt from, through an autoencoder: `python -m studies.pocket.round_trip FILE PICTURES`.

Their middles, SIDE pixels square. Writes FOLDER/figures.json, decibels of each, and FOLDER/sheet.png, some of them from
the worst to the best above what came back.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from microcinema_core.media import to_uint8
from microcinema_core.standalone.components import load_codec
from microcinema_core.standalone.precision import default_device
from microcinema_core.training.data.pictures import fitted, read_folder
from microcinema_core.training.sheets import save_sheet

SIDE, SHOWN, WORKERS = 256, 8, 4


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/pocket-round-trip"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    pictures = (fitted(read_folder(options.pictures, SIDE, WORKERS), SIDE) + 1) / 2
    restored = round_trip(options.file, pictures)
    values = decibels(restored, pictures).tolist()
    figures = {"pictures": len(values), "median": median(values), "lowest": min(values), "highest": max(values)}
    (options.out / "figures.json").write_text(json.dumps({**figures, "each": values}, indent=1), encoding="utf-8")
    order = torch.tensor(values).argsort()[torch.linspace(0, len(values) - 1, min(SHOWN, len(values))).long()]
    save_sheet(options.out / "sheet.png", [to_uint8(some[order]) for some in (pictures, restored)])
    sys.stdout.write(", ".join(f"{name} {value:.1f}" for name, value in figures.items()) + " dB\n")


def round_trip(file: Path, pictures: Tensor) -> Tensor:
    """Pixels [N, 3, H, W] in 0..1 -> the same, as they come back, on the CPU; in float16 on a card."""
    codec, device = load_codec(file), default_device()
    codec.to_(device, torch.float16)
    return codec.decode(codec.encode(pictures.to(device))).cpu()


def decibels(made: Tensor, truth: Tensor) -> Tensor:
    """[N], of pictures [N, 3, H, W] in 0..1."""
    return -10 * torch.log10((made - truth).square().mean(dim=(1, 2, 3)).clamp(min=1e-10))


if __name__ == "__main__":
    main()

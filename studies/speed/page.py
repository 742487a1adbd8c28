"""The page: tables of every machine that was measured, and one picture of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .contest import CONTROL, OURS, RIVAL
from .plan import CLIP_PIXELS, FRAMES, PIXELS, PLAIN, SEGMENT, STEPS, WHOLE, Compiled, What
from .rivals import RIVALS
from .summary import Row

HOW = {
    Compiled.NOBODY: "as they are",
    Compiled.GRAPH: "ours replayed",
    Compiled.OURS: "ours compiled",
    Compiled.BOTH: "both compiled",
}
TITLES = {name: rival.title for name, rival in RIVALS.items()}
INTRODUCTION = """# Speed and memory

`make bench` writes this page. It can be stopped at any time, and the same command goes on where it was;
`make bench OPTIONS=--quick` measures the first figures only, in under ten minutes. Turns during which other processes
kept more than a twentieth of the processors busy are taken again by the next run. In float32 it needs 16 GB of memory.
Nothing is downloaded.

- **Beside**: diffusers' networks at Stable Diffusion 2.1's size, random weights (what a library starts at zero is
  drawn too), the same device and precision as ours. The JSON file says what was asked of each class; the rest is its
  own default. UNetMotionModel, made for SD 1.5, here gets SD 2.1's spatial part.
- **Ratio**: both sides take turns in one process. Ours over theirs in one turn, so below 1 ours is faster; the median,
  and in brackets the lowest and the highest. Without guidance and `torch.compile`, but where a table says so.
- **Step**: one forward of a U-Net. Ours has the keyframe's appearance injected. Pixels are the pictures'; latents have
  an eighth of them a side.
- **Share of the convolutions' rate**: counted operations per second over those of bare 3x3 convolutions, which are
  timed in the same turn. The rest is lost to memory traffic and small operations.
"""

CPU = "cpu"  # the name of its files; a GPU's are named after it
NO_GPU = f"""## GPU

None was measured yet. There the same command takes float16 and adds whole clips of {STEPS[What.CLIP]} steps,
{FRAMES[0]} frames of {" and ".join(f"{side}x{side}" for side in CLIP_PIXELS)} pixels, with their seconds and peaks;
shots, which are such a clip with guidance, interpolated to 129 frames and decoded; and all of it through
`torch.compile`."""


def page(documents: dict[str, Row]) -> str:
    """Markdown of each machine's document, by the name of its files."""
    sections = [INTRODUCTION]
    for name, made in documents.items():
        machine = made["machine"]
        sections += [
            f"## {machine['device']}",
            f"{machine['dtype']}, torch {machine['torch']}, diffusers {machine['diffusers']}. "
            f"[Every figure]({name}.json).",
            f"![Ratios of time, seconds over frames and pixels, and memory]({name}.png)",
            *_tables(made["measurements"]),
        ]
    if all(name == CPU for name in documents):
        sections.append(NO_GPU)
    return "\n\n".join(section.strip() for section in sections if section) + "\n"


def _tables(rows: Sequence[Row]) -> list[str]:
    steps, extra = _of(rows, What.STEP), [r for r in rows if r.get("guided") or r.get("compiled")]
    rows = [r for r in rows if r not in extra]
    base = [r for r in steps if r not in extra and (r["frames"], r["pixels"]) == (FRAMES[0], PIXELS[0])]
    swept = [r for r in steps if r not in extra and r not in base and r["rival"] != PLAIN]
    return [
        _steps([r for r in base if r["rival"] != PLAIN]),
        _injection([r for r in base if r["rival"] == PLAIN]),
        _memory([r for r in rows if "peak_bytes" in r and r["rival"] != PLAIN]),
        _work(base),
        _ratios("### Other numbers of frames and sizes", swept),
        _ratios(f"### {STEPS[What.LOOP]} steps, AppearNet and scheduler included", _of(rows, What.LOOP)),
        _ratios(f"### A clip: {STEPS[What.CLIP]} steps, AppearNet and scheduler included", _of(rows, What.CLIP)),
        _ratios("### A shot: guidance, two passes of temporal super-resolution, decoding", _of(rows, What.SHOT)),
        _ratios("### With guidance, and compiled", extra),
        _first(extra),
        _ratios(
            f"### Temporal super-resolution: a segment of {SEGMENT} frames, {STEPS[What.TSR]} steps and AppearNet",
            _of(rows, What.TSR),
        ),
        _ratios("### Decoding by SD's autoencoder: ours against all frames at once", _of(rows, What.DECODE)),
        _neighbours(rows),
    ]


def _of(rows: Sequence[Row], what: What) -> list[Row]:
    return [r for r in rows if r["what"] == what]


def title(row: Row) -> str:
    return {**TITLES, PLAIN: "without appearance", WHOLE: "AutoencoderKL"}[row["rival"]]


def _how(row: Row) -> str:
    """What is other than usual in a row of the table of these."""
    if not (row.get("guided") or row.get("compiled")):
        return ""
    return f": {'a step with guidance' if row['guided'] else 'a ' + row['what']}, {HOW[Compiled(row['compiled'])]}"


def figure(spread: dict[str, float]) -> str:
    return f"{spread['median']:.2f} ({spread['lowest']:.2f}-{spread['highest']:.2f})"


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *lines))


def _seconds(row: Row, who: str) -> str:
    return f"{row['seconds'][who]['median']:.3g}"


def _steps(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    lines = []
    for r in rows:
        control = figure(r["ratio_with_controlnet"]) if "ratio_with_controlnet" in r else "-"
        lines.append([title(r), str(r["rounds"]), _seconds(r, OURS), _seconds(r, RIVAL), figure(r["ratio"]), control])
    heads = ["beside", "turns", "ours, s", "theirs, s", "ours / theirs", "ours / (theirs + a ControlNet's step)"]
    return f"### One step, {FRAMES[0]} frames of {PIXELS[0]}x{PIXELS[0]}\n\n" + table(heads, lines)


def _injection(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    ratio = rows[0]["ratio"]
    low, mid, high = ((ratio[k] - 1) / ratio[k] * 100 for k in ("lowest", "median", "highest"))
    return (
        f"Injection, which is all that differs from the same network without it, takes {mid:.1f} % of a step "
        f"({low:.1f} to {high:.1f} over {rows[0]['rounds']} turns)."
    )


def _memory(rows: Sequence[Row]) -> str:
    lines = [
        [
            {What.DECODE: "decoding", What.CLIP: "a clip"}.get(r["what"], "a step"),
            title(r),
            f"{r['frames']} of {r['pixels']}x{r['pixels']}",
            f"{r['peak_bytes'][OURS] / 2**20:.0f}",
            f"{r['peak_bytes'][RIVAL] / 2**20:.0f}",
            f"{r['peak_ratio']:.2f}",
        ]
        for r in rows
    ]
    heads = ["of", "beside", "frames", "ours, MiB", "theirs, MiB", "ours / theirs"]
    told = "The most that the allocator had given out at once, weights left out, AppearNet's features counted as ours."
    return f"### Peak of activations\n\n{told}\n\n" + table(heads, lines) if lines else ""


def _work(rows: Sequence[Row]) -> str:
    """Counted operations of each network once, ours first."""
    lines: dict[str, list[str]] = {}
    for r in rows:
        names = {OURS: "ours", RIVAL: title(r), CONTROL: "ControlNetModel"}
        for who, flops in r["flops"].items():
            share = r["of_convolution_rate"][who]
            lines.setdefault(names[who], [names[who], f"{flops / 1e12:.2f}", f"{share:.2f}"])
    heads = ["network", "TFLOP a step", "share of the convolutions' rate"]
    return "### Counted operations\n\n" + table(heads, list(lines.values())) if lines else ""


def _first(rows: Sequence[Row]) -> str:
    """How long compiling took."""
    kinds = (Compiled.OURS, Compiled.BOTH)
    spent = [seconds[OURS] for r in rows if r.get("compiled") in kinds and (seconds := r.get("first_seconds"))]
    return f"The first step of ours that is compiled took {min(spent):.0f} to {max(spent):.0f} s." if spent else ""


def _ratios(heading: str, rows: Sequence[Row]) -> str:
    lines = []
    for r in rows:
        work = f"{r['frames']} of {r['pixels']}x{r['pixels']}"
        lines.append(
            [f"{title(r)}{_how(r)}", work, str(r["rounds"]), _seconds(r, OURS), _seconds(r, RIVAL), figure(r["ratio"])]
        )
    heads = ["beside", "frames", "turns", "ours, s", "theirs, s", "ours / theirs"]
    return f"{heading}\n\n" + table(heads, lines) if lines else ""


def _neighbours(rows: Sequence[Row]) -> str:
    busy = [r["neighbours"] for r in rows if r["neighbours"] is not None]
    return f"Other processes kept at most {max(busy):.2f} processors busy during any turn." if busy else ""


def files_of(folder: Path) -> list[Path]:
    """The documents of every machine."""
    return sorted(folder.glob("*.json"))

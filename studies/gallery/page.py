"""The page itself, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from microcinema_core.shot.settings import SamplingConfig

from .album import Section, Sheet, command

INTRODUCTION = """\
# Gallery

Clips by **Toybox**, the model that is embedded in this repository. It knows coloured shapes over simple backgrounds and
is **not trained for photos**. Every picture shows its keyframe first. {made}

Photos and paintings that move under the camera alone have [a page of their own](../camera/README.md).

`make gallery` makes this page; the same weights and settings give the same clips. The commands below run in this
folder.
"""


def made_with(sampling: SamplingConfig, tsr_sampling: SamplingConfig, passes: int) -> str:
    """A sentence about the settings of all clips."""
    base = f"Clips take {sampling.steps} steps of {sampling.sampler} with guidance {sampling.cfg:g}"
    if not passes:
        return f"{base}, at the model's own 2 frames a second."
    return f"{base}; {2 * 4**passes} frames a second come from {tsr_sampling.steps} steps for each segment and pass."


def anchor(title: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _table(sheets: Sequence[Sheet], across: int) -> list[str]:
    """Pictures in rows, each with its words below."""
    across = min(across, len(sheets))
    lines = []
    for start in range(0, len(sheets), across):
        row = list(sheets[start : start + across])
        gaps = [""] * (across - len(row))
        pictures = [f"![{_described(sheet)}]({sheet.file})" for sheet in row]
        lines.append(f"| {' | '.join(pictures + gaps)} |")
        if start == 0:
            lines.append(f"|{'---|' * across}")
        lines.append(f"| {' | '.join([sheet.caption for sheet in row] + gaps)} |")
    return lines


def _described(sheet: Sheet) -> str:
    """For those who do not see the picture."""
    labels = ", ".join(ask.label for ask in sheet.asks)
    return f"keyframe and {labels}: {sheet.asks[0].prompt}"


def _commands(section: Section, sampling: SamplingConfig, tsr_sampling: SamplingConfig) -> list[str]:
    lines = []
    for sheet in section.sheets:
        for ask in sheet.asks:
            label = "" if len(sheet.asks) == 1 else f"-{ask.label.replace(' ', '-')}"
            lines.append(command(ask, f"{sheet.name}{label}.mp4", sampling, tsr_sampling))
    return ["<details><summary>Commands</summary>", "", "```sh", *lines, "```", "", "</details>"]


def document(sections: Sequence[Section], sampling: SamplingConfig, tsr_sampling: SamplingConfig, passes: int) -> str:
    """The whole page."""
    lines = [INTRODUCTION.format(made=made_with(sampling, tsr_sampling, passes))]
    lines += [f"- [{section.title}](#{anchor(section.title)})" for section in sections]
    for section in sections:
        lines += ["", f"## {section.title}"]
        if section.text:
            lines += ["", section.text]
        if section.sheets:
            lines += ["", *_table(section.sheets, section.across), ""]
            lines += _commands(section, sampling, tsr_sampling)
    return "\n".join(lines) + "\n"

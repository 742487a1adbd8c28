"""Nodes that were called otherwise once: a graph that was saved under an old name loads, and runs, under the new one.

A node that is renamed gets an entry here: the old id, its widgets in the old order, what becomes of each input, and of
each output that has moved. The page offers the replacement, and the server makes it in graphs that come over HTTP. An
input without a line in `input_mapping` is lost; one that an old graph may leave out must have none, as the host fails.
"""

from __future__ import annotations

from collections.abc import Iterable

from comfy_api.latest import ComfyAPI, io

OLD_NAMES: tuple[io.NodeReplace, ...] = ()


async def register_old_names(names: Iterable[io.NodeReplace] = OLD_NAMES) -> None:
    """Tell the host which node stands for each old name. It keeps the first of several for one name."""
    for name in names:
        await ComfyAPI().node_replacement.register(name)

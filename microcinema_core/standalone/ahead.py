"""Frames made by one thread while another uses those before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress

from ..media import Frames

AHEAD = 2  # frames that are made before they are asked for


class _Belt:
    """A short queue that whoever takes from it may stop."""

    def __init__(self) -> None:
        self.items: queue.Queue[Frames | BaseException | None] = queue.Queue(AHEAD)
        self.stopped = threading.Event()

    def put(self, item: Frames | BaseException | None) -> None:
        while not self.stopped.is_set():
            with suppress(queue.Full):
                self.items.put(item, timeout=0.1)
                return

    def fill(self, frames: Iterator[Frames]) -> None:
        """Put the frames [H, W, 3] on the belt, and then None or what ended them early."""
        try:
            for frame in frames:
                self.put(frame)
                if self.stopped.is_set():
                    return
            self.put(None)
        except BaseException as error:  # raised again where the frames are used
            self.put(error)


def ahead(frames: Iterator[Frames]) -> Iterator[Frames]:
    """The same frames [H, W, 3], up to AHEAD of them made by a thread of its own while the last one is used."""
    belt = _Belt()
    worker = threading.Thread(target=belt.fill, args=(frames,), daemon=True)
    worker.start()
    try:
        while (item := belt.items.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        belt.stopped.set()
        worker.join()

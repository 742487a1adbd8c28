"""What a node says of its work: in the host's log, and written on the node itself."""

from __future__ import annotations

import logging

from comfy_execution.utils import get_executing_context
from server import PromptServer

TOLD: set[str] = set()  # nodes that show something, which the page leaves there until it is told another


def tell(title: str, said: str, shown: str = "", otherwise: str = "") -> None:
    """Say something of a node; with nothing to say, what stood on it before is replaced by `otherwise`.

    title: of the node, for the log. shown: what is written on the node, where it is not the same.
    """
    if said:
        logging.info("%s: %s", title, said)
    running = get_executing_context()
    if running is None or not (said or running.node_id in TOLD):
        return
    PromptServer.instance.send_progress_text(shown or said or otherwise, running.node_id)
    (TOLD.add if said else TOLD.discard)(running.node_id)

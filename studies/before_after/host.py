"""A workflow in the real ComfyUI, by the revision's own scripts: its server, its pack and its client."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .checkout import ROOT, Checkout, RunFailed

FOLDERS = ("custom_nodes", "input", "models", "output", "temp", "user")
FIND = "from setup_host import find_host; host = find_host(); print(host.tree, host.python, sep='\\n')"
BOOT_SECONDS, POLL_SECONDS, STOP_SECONDS = 300, 0.5, 20

Graph = dict[str, dict[str, Any]]


def lossless(graph: Graph) -> Graph:
    """The graph with the frames that it decodes saved as PNG pictures too, and their latents as they are."""
    added: Graph = {}
    for name, node in graph.items():
        if node["class_type"] == "VAEDecode":
            pictures = {"images": [name, 0], "filename_prefix": f"frames-{name}"}
            latents = {"samples": node["inputs"]["samples"], "filename_prefix": f"latents-{name}"}
            added[f"{name}-pictures"] = {"class_type": "SaveImage", "inputs": pictures}
            added[f"{name}-latents"] = {"class_type": "SaveLatent", "inputs": latents}
    return graph | added


def run_workflow(graph: Graph, checkout: Checkout, folder: Path) -> str:
    """Run the graph in a ComfyUI with no other pack; all that it saves goes into `folder`. Raises RunFailed."""
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary)
        given = base / "graph.json"
        given.write_text(json.dumps(graph), encoding="utf-8")
        with comfyui(checkout, base) as address:
            client = checkout.tree / "docs" / "api" / "client.py"
            checkout.run([sys.executable, client, given, "--server", address, "--out", base / "downloaded"], base)
        shutil.copytree(base / "output", folder, dirs_exist_ok=True)
    return ""


@contextmanager
def comfyui(checkout: Checkout, base: Path) -> Iterator[str]:
    """A ComfyUI on the CPU that keeps its files in `base`; gives its address. Raises RunFailed if it does not start."""
    for name in FOLDERS:
        (base / name).mkdir()
    port = free_port()
    script = checkout.tree / "tests" / "host" / "run_host.py"
    command = [sys.executable, str(script), "--port", str(port), "--cpu", "--base-directory", str(base)]
    command += ["--database-url", "sqlite:///:memory:"]
    environment = checkout.environment() | host_variables(checkout)
    log = base / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_until_up(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def host_variables(checkout: Checkout) -> dict[str, str]:
    """This repository's ComfyUI, for a checkout that has none. Raises RunFailed where there is none here either."""
    tree, python = checkout.run([sys.executable, "-c", FIND], ROOT / "tests" / "host").splitlines()
    return {"COMFYUI_PATH": tree, "COMFYUI_PYTHON": python}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait_until_up(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Raises RunFailed with the end of the log if the server ends before, or its time does."""
    end = time.monotonic() + BOOT_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/system_stats", timeout=5):
                return
        except OSError:
            time.sleep(POLL_SECONDS)
    said = log.read_text(encoding="utf-8", errors="replace").splitlines() or ["it said nothing"]
    raise RunFailed(f"ComfyUI did not answer: {said[-1]}")

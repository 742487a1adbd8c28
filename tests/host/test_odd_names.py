"""Model files with names that are no text, and what is no file: the node says so, and the server goes on."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from http_graphs import graph, put
from nodes_kit import WEIGHTS
from run_host import Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")

NAMES = {name: os.fsdecode(f"{name}-".encode() + b"\xff.safetensors") for name in ("damaged", "whole", "pipe", "dead")}
PLAIN_PIPE = "pipe.safetensors"
SECONDS = 60  # one answer takes a tenth


@pytest.fixture(scope="module")
def odd_files(host: Server) -> Iterator[Path]:
    folder = host.base / "models" / "microcinema"
    (folder / NAMES["damaged"]).write_bytes(b"x")
    (folder / NAMES["whole"]).write_bytes((WEIGHTS / "toybox-video.safetensors").read_bytes())
    (folder / NAMES["dead"]).symlink_to(folder / "nowhere")
    for name in (NAMES["pipe"], PLAIN_PIPE):
        os.mkfifo(folder / name)
    yield folder
    for name in (*NAMES.values(), PLAIN_PIPE):
        (folder / name).unlink()


def answer(comfy: Any, client: ModuleType, file: str) -> str:
    with pytest.raises(client.RunError) as refused:
        comfy.run(put(graph(), {"load.file": file, "save.filename_prefix": "odd"}), deadline=SECONDS)
    assert refused.value.details["node_type"] == "MicroCinemaLoad"
    return refused.value.details["exception_message"].strip()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("odd_files")
def test_a_name_that_is_no_text_is_refused(name: str, comfy: Any, client: ModuleType) -> None:
    said = answer(comfy, client, NAMES[name])
    assert said == (
        f"Load MicroCinema: {name}-\\xff.safetensors: a file whose name is no UTF-8 text cannot be opened; rename it"
    )


@pytest.mark.usefixtures("odd_files")
def test_a_pipe_is_refused(comfy: Any, client: ModuleType) -> None:
    said = answer(comfy, client, PLAIN_PIPE)
    assert said.startswith(f"Load MicroCinema: {PLAIN_PIPE} is no file of models/microcinema that can be read; ")


@pytest.mark.usefixtures("odd_files")
def test_the_server_goes_on(comfy: Any) -> None:
    assert comfy.run(graph(), deadline=SECONDS)

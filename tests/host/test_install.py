"""The archive of `comfy node pack`, unpacked into custom_nodes of a ComfyUI with nothing else."""

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from types import ModuleType

import pytest
from run_host import PACK, ROOT, start_server
from setup_host import Host
from workflow_graphs import all_workflows

NODES = 6
TROUBLE = ("WARNING", "ERROR", "Traceback", "IMPORT FAILED", "Cannot import")


def packed_files() -> set[str]:
    """As `comfy node pack` chooses them: what is in git and not in .comfyignore."""
    listed = [["--cached"], ["--cached", "--ignored", "--exclude-from=.comfyignore"]]
    runs = [subprocess.run(["git", "ls-files", "-z", *options], cwd=ROOT, capture_output=True) for options in listed]
    tracked, ignored = ({name for name in run.stdout.decode().split("\0") if name} for run in runs)
    return tracked - ignored


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="not a git checkout")
def test_the_packed_files_load_and_list_everything(comfyui: Host, client: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "custom_nodes" / PACK
    for name in packed_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)
    server = start_server(comfyui, tmp_path, record=tmp_path / "connections.txt")
    try:
        info = client.ComfyClient(server.address).object_info()
        assert sum(node["python_module"] == f"custom_nodes.{PACK}" for node in info.values()) == NODES
        with urllib.request.urlopen(f"{server.address}/api/workflow_templates") as answer:
            assert set(json.load(answer)[PACK]) == {flow.name for flow in all_workflows()}
        lines = [line for line in server.log_text().splitlines() if PACK in line.lower()]
        assert not [line for line in lines if any(sign in line for sign in TROUBLE)]
    finally:
        server.stop()
    assert not (tmp_path / "connections.txt").exists()

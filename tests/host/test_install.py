"""The pack as users get it, packed or cloned by ComfyUI Manager, in a ComfyUI with nothing else."""

import json
import os
import shutil
import subprocess
import sysconfig
import urllib.request
from pathlib import Path
from types import ModuleType

import pytest
from blueprint_graphs import BLUEPRINTS
from node_texts import LANGUAGES, SCHEMA, read_json
from run_host import PACK, ROOT, Server, start_server
from setup_host import Host, python_of
from workflow_graphs import all_workflows

TROUBLE = ("WARNING", "ERROR", "Traceback", "IMPORT FAILED", "Cannot import")
ADDRESS = f"https://git.invalid/{PACK}"  # Manager takes no paths; git is told that the clone is there
GIT = shutil.which("git")
in_git = pytest.mark.skipif(not (ROOT / ".git").exists() or not GIT, reason="not a git checkout")


def packed_files() -> set[str]:
    """As `comfy node pack` chooses them: what is in git and not in .comfyignore."""
    listed = [["--cached"], ["--cached", "--ignored", "--exclude-from=.comfyignore"]]
    runs = [subprocess.run(["git", "ls-files", "-z", *options], cwd=ROOT, capture_output=True) for options in listed]
    tracked, ignored = ({name for name in run.stdout.decode().split("\0") if name} for run in runs)
    return tracked - ignored


def check_it_loads(comfyui: Host, client: ModuleType, base: Path) -> None:
    """All nodes, workflows, blueprints and languages, no warning that names the pack, and no other machine asked."""
    record = base / "connections.txt"
    server = start_server(comfyui, base, record=record)
    try:
        info = client.ComfyClient(server.address).object_info()
        ours = {name for name, node in info.items() if node["python_module"] == f"custom_nodes.{PACK}"}
        assert ours == set(read_json(SCHEMA))
        assert all(set(ask(server, "i18n")[language]["nodeDefs"]) >= ours for language in LANGUAGES)
        assert {each.name for each in BLUEPRINTS} <= {
            entry["name"] for entry in ask(server, "global_subgraphs").values()
        }
        assert set(ask(server, "workflow_templates")[PACK]) == {flow.name for flow in all_workflows()}
        lines = [line for line in server.log_text().splitlines() if PACK in line.lower()]
        assert not [line for line in lines if any(sign in line for sign in TROUBLE)]
    finally:
        server.stop()
    assert not record.exists()


def ask(server: Server, what: str) -> dict:
    with urllib.request.urlopen(f"{server.address}/api/{what}") as answer:
        return json.load(answer)


@pytest.mark.slow
@in_git
def test_the_packed_files_load_and_list_everything(comfyui: Host, client: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "custom_nodes" / PACK
    for name in packed_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)
    check_it_loads(comfyui, client, tmp_path)


@pytest.fixture
def manager(comfyui: Host, tmp_path: Path) -> Path:
    """The Python of an environment that has ComfyUI's own packages and, alone, its Manager."""
    place = tmp_path / "manager"
    subprocess.run([comfyui.python, "-m", "venv", place], check=True)
    python = python_of(place)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()
    Path(packages, "comfyui.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    wanted = comfyui.tree / "manager_requirements.txt"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", wanted]
    subprocess.run(pip, check=True)
    return python


@pytest.mark.slow
@in_git
def test_comfyui_managers_command_installs_a_clone(
    comfyui: Host, client: ModuleType, manager: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "ComfyUI"
    shutil.copytree(comfyui.tree, tree)  # Manager writes into it
    subprocess.run(["git", "clone", "--quiet", ROOT, tmp_path / "clone"], check=True)
    place = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{(tmp_path / 'clone').as_uri()}.insteadOf"}
    environment = os.environ | place | {"GIT_CONFIG_VALUE_0": ADDRESS, "COMFYUI_PATH": str(tree), "PYTHONPATH": ""}
    command = [manager.with_name("cm-cli"), "install", ADDRESS, "--mode", "local"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert (tree / "custom_nodes" / PACK / "__init__.py").is_file(), run.stdout + run.stderr  # it ends with 0 if not
    check_it_loads(comfyui, client, tree)

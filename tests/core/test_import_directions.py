"""Who may import whom: the core never the host, the parts shared with the host never the standalone program."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ("backend", "checkpoint", "clip", "config", "diffusion", "errors", "models")
STANDALONE = ("autoencoder", "cli", "data", "evaluation", "pipeline", "toybox", "training")


def ruff(path: str, source: str) -> str:
    """What ruff says about `source`, were it the file `path`."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise"]
    result = subprocess.run(
        [*command, "--stdin-filename", path, "-"], cwd=ROOT, input=source, capture_output=True, text=True
    )
    assert result.returncode in (0, 1), result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("path", "source", "rule"),
    [
        ("microcinema_core/models/x.py", "import comfy.ops", "TID251"),
        ("microcinema_core/models/x.py", "from comfy_api.latest import io", "TID251"),
        ("microcinema_core/training/x.py", "import folder_paths", "TID251"),
        ("microcinema_core/pipeline.py", "import nodes", "TID251"),
        ("microcinema_core/pipeline.py", "def f():\n    import comfy", "TID251"),
        ("microcinema_core/models/x.py", "import diffusers", "TID253"),
        ("microcinema_core/diffusion/x.py", "from diffusers import DDIMScheduler", "TID253"),
        ("microcinema_core/checkpoint/x.py", "import transformers", "TID253"),
        ("microcinema_core/clip/x.py", "import diffusers", "TID253"),
        ("microcinema_core/config.py", "import transformers", "TID253"),
        ("microcinema_core/backend.py", "import accelerate", "TID253"),
        ("microcinema_core/models/x.py", "def f():\n    import diffusers", "PLC0415"),
        ("nodes/x.py", "import diffusers", "TID251"),
        ("nodes/x.py", "from microcinema_core.training import loop", "TID251"),
    ],
)
def test_ruff_refuses(path: str, source: str, rule: str) -> None:
    assert f" {rule} " in ruff(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("microcinema_core/diffusion/schedulers.py", "from diffusers import DDIMScheduler"),
        ("microcinema_core/pipeline.py", "def f():\n    import diffusers"),
        ("microcinema_core/training/x.py", "import accelerate"),
        ("nodes/x.py", "import comfy.ops"),
        ("nodes/x.py", "from ..microcinema_core.models import unet"),
    ],
)
def test_ruff_allows(path: str, source: str) -> None:
    """Otherwise the refusals above might come from a rule that refuses everything."""
    assert "TID" not in ruff(path, source)
    assert "PLC0415" not in ruff(path, source)


def core_parts(source: str) -> set[str]:
    """The parts of microcinema_core that a module imports, absolutely or relatively."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {found[1] for name in names if (found := re.match(r"microcinema_core\.(\w+)", name))}


def test_nodes_import_shared_parts_only() -> None:
    assert core_parts("from ..microcinema_core.training.loop import train") == {"training"}
    assert core_parts("from ..microcinema_core import pipeline, config") == {"pipeline", "config"}
    for path in ROOT.glob("nodes/**/*.py"):
        assert core_parts(path.read_text(encoding="utf-8")) <= set(SHARED), path


def test_shared_parts_load_nothing_of_the_standalone_program_or_the_host() -> None:
    """Also what they would load indirectly, which no linter sees."""
    script = f"""
import importlib, pkgutil, sys
import microcinema_core
for found in pkgutil.walk_packages(microcinema_core.__path__, "microcinema_core."):
    part = found.name.split(".")[1]
    if part in {SHARED!r} and found.name != "microcinema_core.diffusion.schedulers":
        importlib.import_module(found.name)
print(*sorted(sys.modules))
"""
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.split())
    assert {"microcinema_core.config", "microcinema_core.models"} <= loaded
    libraries = {"accelerate", "comfy", "comfy_api", "diffusers", "folder_paths", "nodes", "transformers", "typer"}
    assert not loaded & (libraries | {f"microcinema_core.{part}" for part in STANDALONE})

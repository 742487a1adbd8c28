"""Who may import whom: the core never the host, the parts shared with the host never the standalone program."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ("backend", "checkpoint", "clip", "config", "diffusion", "errors", "models")
STANDALONE = (
    "autoencoder", "autoencoder_kl", "bundle", "cli", "data", "evaluation", "generation", "images", "interpolation",
    "pipeline", "text", "toybox", "training", "weights",
)  # fmt: skip
ADAPTORS = ("checkpoint/components.py", "diffusion/schedulers.py")  # to transformers and diffusers

LIBRARIES = {"accelerate", "diffusers", "rich", "tensorboard", "tokenizers", "transformers", "typer"}
HOST = {"comfy", "comfy_api", "comfy_execution", "comfy_extras", "folder_paths", "nodes"}


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
        ("microcinema_core/checkpoint/components.py", "import transformers"),
        ("microcinema_core/pipeline.py", "def f():\n    import diffusers"),
        ("microcinema_core/training/x.py", "import accelerate"),
        ("nodes/x.py", "import comfy.ops"),
        ("nodes/x.py", "from ..microcinema_core.models import unet"),
    ],
)
def test_ruff_allows(path: str, source: str) -> None:
    """Otherwise the refusals above might come from a rule that refuses everything."""
    assert "TID" not in ruff(path, source)


def imports(source: str) -> set[str]:
    """Every dotted name that a module imports, wherever in the file; the dots of relative imports are left out."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def core_parts(source: str) -> set[str]:
    """The parts of microcinema_core that a module outside it imports."""
    return {found[1] for name in imports(source) if (found := re.match(r"microcinema_core\.(\w+)", name))}


def shared_files() -> list[Path]:
    core = ROOT / "microcinema_core"
    files = [path for part in SHARED for path in (core / f"{part}.py", *(core / part).rglob("*.py")) if path.exists()]
    return [path for path in files if path.relative_to(core).as_posix() not in ADAPTORS]


def test_nodes_import_shared_parts_only() -> None:
    assert core_parts("from ..microcinema_core.training.loop import train") == {"training"}
    assert core_parts("from ..microcinema_core import pipeline, config") == {"pipeline", "config"}
    adaptors = {path.removesuffix(".py").replace("/", ".") for path in ADAPTORS}
    for path in ROOT.glob("nodes/**/*.py"):
        source = path.read_text(encoding="utf-8")
        assert core_parts(source) <= set(SHARED), path
        assert not any(f"microcinema_core.{adaptor}" in name for name in imports(source) for adaptor in adaptors), path


def test_shared_parts_import_no_standalone_library_even_late() -> None:
    assert imports("def f():\n    import diffusers") == {"diffusers"}
    assert len(shared_files()) > 5
    for path in shared_files():
        assert not {name.split(".")[0] for name in imports(path.read_text(encoding="utf-8"))} & LIBRARIES, path


def test_no_part_of_the_core_imports_the_makers_of_files() -> None:
    """Not the adaptors either: what `weights` writes is read by what lies below it."""
    core = ROOT / "microcinema_core"
    for path in core.rglob("*.py"):
        if path.relative_to(core).parts[0] in ("cli", "weights"):
            continue
        parts = {name.removeprefix("microcinema_core.").split(".")[0] for name in imports(path.read_text("utf-8"))}
        assert "weights" not in parts, path


def test_shared_parts_load_nothing_of_the_standalone_program_or_the_host() -> None:
    """Also what they would load indirectly, which no linter sees."""
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in shared_files()]
    script = f"import importlib, sys; [importlib.import_module(name) for name in {names}]; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.split())
    assert {"microcinema_core.config", "microcinema_core.models"} <= loaded
    assert not loaded & (LIBRARIES | HOST | {f"microcinema_core.{part}" for part in STANDALONE})

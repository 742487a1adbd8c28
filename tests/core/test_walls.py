"""Who may import whom: each folder's ruff.toml says it, and ruff enforces it, late and relative imports too.

ruff takes the checkout's folder for a package, as the pack's entry lies in it, and so finds that relative imports lead
to `FOLDER.microcinema_core`. It reads a copy here whose folder has a known name, which the copied rules say too.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "microcinema_core"
HOST_SAFE = ("models", "diffusion", "checkpoint", "shot", "motion", "places")
STANDALONE = ("worlds", "media", "footage", "standalone", "importers", "training", "cli")
GROUND = ("backend", "config", "errors", "files")

LIBRARIES = {"accelerate", "av", "diffusers", "PIL", "rich", "tensorboard", "tokenizers", "transformers", "typer"}
HOST = {"comfy", "comfy_api", "comfy_execution", "comfy_extras", "folder_paths", "nodes"}


FOLDERS = ("microcinema_core", "nodes", "studies")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("copy") / "house"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "__init__.py"):
        shutil.copy(ROOT / name, copy)
    for path in (copy / "pyproject.toml", *copy.rglob("ruff.toml")):
        rules = path.read_text(encoding="utf-8")
        path.write_text(
            re.sub(r'^"((?:microcinema_core\.|studies|nodes).*)', r'"\1\n"house.\1', rules, flags=re.MULTILINE)
        )
    return copy


def walls(house: Path, *options: str, source: str | None = None) -> str:
    """What ruff says of import directions."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select=TID251,TID253", "--output-format=concise"]
    result = subprocess.run([*command, *options], cwd=house, input=source, capture_output=True, text=True)
    assert result.returncode in (0, 1), result.stderr
    return result.stdout


def test_the_walls_hold(house: Path) -> None:
    assert walls(house, *FOLDERS) == "All checks passed!\n"


def test_every_room_has_its_rules() -> None:
    rooms = {path.name for path in CORE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == {*HOST_SAFE, *STANDALONE}
    assert {path.stem for path in CORE.glob("*.py")} == {"__init__", *GROUND}
    for folder in (CORE, *(CORE / room for room in rooms), ROOT / "nodes", ROOT / "studies"):
        rules = tomllib.loads((folder / "ruff.toml").read_text(encoding="utf-8"))
        assert (folder / rules["extend"]).resolve() == ROOT / "pyproject.toml", folder
        # `banned-api` would stand in the place of the root's bans, which nodes/ alone may leave out
        assert ("banned-api" in rules["lint"]["flake8-tidy-imports"]) == (folder.name == "nodes"), folder


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("microcinema_core/models/x.py", "import comfy.ops"),  # the root's own bans
        ("microcinema_core/training/x.py", "import folder_paths"),
        ("microcinema_core/standalone/x.py", "def f():\n    import nodes"),
        ("microcinema_core/models/x.py", "import diffusers"),
        ("microcinema_core/diffusion/x.py", "def f():\n    from diffusers import DDIMScheduler"),
        ("microcinema_core/config.py", "from .models import unet"),
        ("microcinema_core/backend.py", "from . import models"),
        ("microcinema_core/models/x.py", "from ..diffusion.noise import draw_noise"),
        ("microcinema_core/diffusion/x.py", "from ..checkpoint import format"),
        ("microcinema_core/checkpoint/x.py", "from ..standalone.components import load_codec"),
        ("microcinema_core/shot/x.py", "def f():\n    from ..standalone import sampling"),
        ("microcinema_core/shot/x.py", "from .. import media"),
        ("microcinema_core/worlds/toybox/x.py", "from ...standalone.sampling import sample_latents"),
        ("microcinema_core/media/x.py", "from ..standalone.pipeline import Shot"),
        ("microcinema_core/motion/x.py", "from ..places.find import find"),
        ("microcinema_core/places/x.py", "from ..checkpoint import format"),
        ("microcinema_core/motion/x.py", "from ..footage import clips"),
        ("microcinema_core/footage/x.py", "from ..training import loop"),
        ("microcinema_core/standalone/x.py", "from ..training.config import TrainConfig"),
        ("microcinema_core/standalone/x.py", "from ..worlds.toybox import world"),
        ("microcinema_core/importers/x.py", "from ..training import loop"),
        ("microcinema_core/training/x.py", "from ..importers import inflate"),
        ("microcinema_core/cli/x.py", "import studies.journal"),
        ("microcinema_core/cli/x.py", "import diffusers"),
        ("nodes/x.py", "import diffusers"),
        ("nodes/x.py", "from microcinema_core.training import loop"),
        ("nodes/x.py", "from ..microcinema_core.standalone import sampling"),
        ("nodes/x.py", "def f():\n    from ..microcinema_core import training"),
        ("studies/x.py", "import comfy"),
    ],
)
def test_ruff_refuses(house: Path, path: str, source: str) -> None:
    assert " TID25" in walls(house, "--stdin-filename", path, "-", source=source + "\n")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("microcinema_core/standalone/x.py", "from diffusers import DDIMScheduler"),
        ("microcinema_core/standalone/x.py", "from ..checkpoint.format import Header"),
        ("microcinema_core/cli/x.py", "def f():\n    import diffusers"),
        ("microcinema_core/cli/x.py", "from ..training.config import TrainConfig"),
        ("microcinema_core/training/x.py", "import accelerate"),
        ("nodes/x.py", "import comfy.ops"),
        ("nodes/x.py", "from ..microcinema_core.models import unet"),
        ("studies/x.py", "import diffusers"),
    ],
)
def test_ruff_allows(house: Path, path: str, source: str) -> None:
    """Otherwise the refusals above might come from a rule that refuses everything."""
    assert "TID" not in walls(house, "--stdin-filename", path, "-", source=source + "\n")


def test_host_safe_rooms_load_nothing_of_the_standalone_program_or_the_host() -> None:
    """Also what they would load indirectly, which no linter sees."""
    files = [path for room in HOST_SAFE for path in (CORE / room).rglob("*.py")] + [
        CORE / f"{name}.py" for name in GROUND
    ]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    script = f"import importlib, sys; [importlib.import_module(name) for name in {names}]; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.split())
    assert {"microcinema_core.config", "microcinema_core.models"} <= loaded
    assert not loaded & (LIBRARIES | HOST | {f"microcinema_core.{room}" for room in STANDALONE})

"""What ComfyUI's registry and Manager read: pyproject.toml, and what .comfyignore leaves in the archive."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMFY = PROJECT["tool"]["comfy"]
LIMIT = 25e6  # bytes; the embedded model has 20 MB of them


@pytest.fixture(scope="module")
def packed() -> set[str]:
    """The files that `comfy node pack` takes: in git and not in .comfyignore, as git reads it."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    ignored = git_files("--cached", "--ignored", "--exclude-from=.comfyignore")
    return git_files("--cached") - ignored


def git_files(*options: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-z", *options], cwd=ROOT, capture_output=True, check=True, text=True)
    return set(filter(None, listed.stdout.split("\0")))


def test_the_registry_finds_what_it_asks_for() -> None:
    assert "comfy" not in PROJECT["project"]["name"]
    assert COMFY["PublisherId"]
    assert COMFY["DisplayName"] == "MicroCinema"
    assert COMFY["requires-comfyui"] == ">=0.30.0"


def test_icon_and_banner_have_the_sizes_it_asks_for() -> None:
    from PIL import Image

    with Image.open(ROOT / COMFY["Icon"]) as icon, Image.open(ROOT / COMFY["Banner"]) as banner:
        assert icon.width == icon.height <= 400
        assert banner.width * 9 == banner.height * 21


def test_the_archive_holds_what_the_nodes_need(packed: set[str]) -> None:
    assert {f"weights/toybox-{part}.safetensors" for part in ("autoencoder", "text", "image", "video", "tsr")} <= packed
    for folder, ending in (("nodes", ".py"), ("workflows", ".json"), ("workflows", ".jpg"), ("web/docs", ".md")):
        here = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).glob(f"*{ending}")}
        assert here
        assert here <= packed


def test_of_the_library_it_holds_the_rooms_that_the_nodes_may_import(packed: set[str]) -> None:
    """All of the ground floor and of those rooms, with the weights that lie in one, and no other file."""
    rules = tomllib.loads((ROOT / "nodes" / "ruff.toml").read_text(encoding="utf-8"))
    banned = rules["lint"]["flake8-tidy-imports"]["extend-banned-api"]
    rooms = {path.parent.name for path in (ROOT / "microcinema_core").glob("*/ruff.toml")}
    shared = {room for room in rooms if f"microcinema_core.{room}" not in banned}
    assert {"models", "diffusion", "checkpoint", "shot"} <= shared
    library = {
        name
        for name in git_files("--cached")
        if name.startswith("microcinema_core/") and name.endswith((".py", ".safetensors"))
    }
    wanted = {name for name in library if name.count("/") == 1 or name.split("/")[1] in shared}
    assert {name for name in packed if name.startswith("microcinema_core/")} == wanted


def test_the_archive_holds_nothing_else(packed: set[str]) -> None:
    folders = {name.partition("/")[0] for name in packed if "/" in name}
    assert folders == {"locales", "microcinema_core", "nodes", "subgraphs", "web", "weights", "workflows"}
    loose = {"CHANGELOG.md", "LICENSE", "README.md", "__init__.py", "pyproject.toml", "requirements.txt"}
    assert {name for name in packed if "/" not in name} == loose
    assert not [name for name in packed if name.endswith("ruff.toml")]
    assert {Path(name).suffix for name in packed if name.startswith("nodes/")} == {".py"}
    assert sum((ROOT / name).stat().st_size for name in packed) < LIMIT

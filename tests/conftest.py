"""The tests in `host` need ComfyUI's own Python. One call of pytest runs them there, after all others, and reports them
as its own: one summary, one exit status, one JUnit file. In ComfyUI's Python they run as any test does."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # networks this small gain nothing by two, and two runs share the cores
TESTS = Path(__file__).parent
HOST_TESTS = TESTS / "host"
IN_HOST = importlib.util.find_spec("comfyui_frontend_package") is not None
RELAY = "MICROCINEMA_RELAY"  # where the run in ComfyUI's Python writes its reports, one JSON line each
OWN_PYTHON = "MICROCINEMA_PYTHON"  # this one, in which the program's own libraries are
HOST_RUN = pytest.StashKey[tuple[Path, list[str]]]()  # ComfyUI's Python, and what pytest there is to run


def pytest_configure(config: pytest.Config) -> None:
    if IN_HOST:
        if RELAY in os.environ:
            config.pluginmanager.register(Relay(config))
        return
    load(
        "studies", TESTS.parent / "studies" / "__init__.py"
    )  # the repository's root, which it lies in, is not on sys.path
    for name in ("animating", "hostile", "rays"):
        load(name, TESTS / f"{name}.py")
    for name in ("pretend_device", "small_models"):  # the first before anything learns
        config.pluginmanager.register(load(name, TESTS / f"{name}.py"))
    folder = config.invocation_params.dir
    wanted = [argument for argument in config.args if (folder / argument.split("::")[0]).is_relative_to(HOST_TESTS)]
    if wanted:
        config.args = [argument for argument in config.args if argument not in wanted]
        config.stash[HOST_RUN] = host_python(), [str(folder / argument) for argument in wanted]


@pytest.hookimpl(trylast=True)  # after pytest's own, which knows --ignore
def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if IN_HOST or collection_path != HOST_TESTS:
        return None
    folder = config.invocation_params.dir
    if not any(HOST_TESTS.is_relative_to(folder / argument.split("::")[0]) for argument in config.args):
        return True  # pytest asks for the neighbours of what was named too
    config.stash[HOST_RUN] = host_python(), [str(HOST_TESTS)]
    return True


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def host_python() -> Path:
    setup = load("setup_host", HOST_TESTS / "setup_host.py")
    try:
        return setup.find_host().python
    except setup.HostSetupError as error:
        raise pytest.UsageError(f"{error}\nOr leave the tests in ComfyUI out: pytest --ignore=tests/host") from error


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[object]:
    """The tests in ComfyUI's Python run beside those here, each on a core of its own, and are reported after them.

    Slow ones run after them too: each may take most of the memory.
    """
    if HOST_RUN not in session.config.stash or session.config.option.collectonly:
        return (yield)
    beside = session.config.option.markexpr == "not slow"
    result = None if beside else (yield)
    with tempfile.TemporaryDirectory() as folder, in_host(session, Path(folder)) as process:
        result = (yield) if beside else result
        report_host(session, process, Path(folder))
    return result


@contextmanager
def in_host(session: pytest.Session, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The tests of `host`, running in ComfyUI's Python; stopped where these here are."""
    options = session.config.option
    python, wanted = session.config.stash[HOST_RUN]
    # -P: the repository's root, whose nodes/ would hide ComfyUI's module of that name, stays off sys.path.
    command = [str(python), "-P", "-m", "pytest", *wanted, "-m", options.markexpr, "-k", options.keyword]
    command += ["--maxfail", str(options.maxfail or 0), "--tb", options.tbstyle]
    (folder / "reports").touch()
    environment = os.environ | {RELAY: str(folder / "reports"), OWN_PYTHON: sys.executable}
    environment["PYTHONPATH"] = ""  # nothing of this environment
    with (folder / "output").open("wb") as out:
        process = subprocess.Popen(
            command, cwd=session.config.rootpath, stdout=out, stderr=subprocess.STDOUT, env=environment
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # so that it ends its servers
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()


def report_host(session: pytest.Session, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Take over its reports, and wait for those that are still to come."""
    running, rest = True, ""
    with (folder / "reports").open(encoding="utf-8") as lines:
        while running:
            running = process.poll() is None  # before reading, so that the last lines are read too
            *whole, rest = (rest + lines.read()).split("\n")
            for line in whole:
                take_over(session, **json.loads(line))
            time.sleep(0.2 * running)
    if process.returncode not in (0, 1, pytest.ExitCode.NO_TESTS_COLLECTED):
        said = (folder / "output").read_text(encoding="utf-8", errors="replace")[-4000:]
        message = f"pytest in {process.args[0]} ended with {process.returncode}:\n{said}"
        report = pytest.CollectReport("tests/host", "failed", message, [])
        session.config.hook.pytest_collectreport(report=report)


def take_over(session: pytest.Session, event: str, data: object) -> None:
    """Count and show what `tell` wrote as if it had happened here."""
    hook = session.config.hook
    if event == "collected":
        session.testscollected += data
    elif event == "start":
        hook.pytest_runtest_logstart(nodeid=data[0], location=tuple(data[1]))
    else:
        report = hook.pytest_report_from_serializable(config=session.config, data=data)
        (hook.pytest_collectreport if event == "collect" else hook.pytest_runtest_logreport)(report=report)


def tell(event: str, data: object) -> None:
    with Path(os.environ[RELAY]).open("a", encoding="utf-8") as out:
        out.write(json.dumps({"event": event, "data": data}) + "\n")


class Relay:
    """In ComfyUI's Python: tells the waiting run what happens."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        tell("collected", len(session.items))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            tell("collect", self.serialized(report))

    def pytest_runtest_logstart(self, nodeid: str, location: tuple) -> None:
        tell("start", [nodeid, location])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        tell("report", self.serialized(report))

    def serialized(self, report: object) -> dict:
        return self.config.hook.pytest_report_to_serializable(config=self.config, report=report)

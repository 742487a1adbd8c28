"""What the documents name exists: links with their anchors, modules, names in them, files, commands."""

import importlib.util
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from microcinema_core.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("web/**/*.md")])
PRESENT = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which tells of what was, too
FOLDERS = (
    "microcinema_core", "studies", "tests", "nodes", "configs", "docs", "web", "assets", "weights", "workflows",
    "locales", "subgraphs",
)  # fmt: skip
TEXTS = [*PRESENT, *(ROOT / name for name in ("Makefile", "pyproject.toml")), *sorted(ROOT.glob("configs/*.toml"))]
SOURCES = sorted(path for folder in ("microcinema_core", "studies", "nodes") for path in (ROOT / folder).rglob("*.py"))
FILES = [f"/{path.relative_to(ROOT).as_posix()}" for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
FENCED = re.compile(r"^```.*?\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def wrong(paths: Iterable[Path], faults: Callable[[Path, str], Iterator[str]]) -> list[str]:
    """`file: fault` for everything that is found in these files."""
    return [
        f"{path.relative_to(ROOT).as_posix()}: {fault}"
        for path in paths
        for fault in faults(path, path.read_text(encoding="utf-8"))
    ]


def code(text: str) -> Iterator[str]:
    """What a page sets as code: between fences, indented, between backticks."""
    for block in FENCED.findall(text):
        yield from block.splitlines()
    rest = FENCED.sub("", text)
    yield from re.findall(r"^(?:    |\t)(.+)$", rest, flags=re.MULTILINE)
    yield from (inline.replace("\n", " ") for inline in re.findall(r"`([^`]+)`", rest))


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them: the second of the same words gets -1."""
    seen: Counter[str] = Counter()
    found = set()
    for title in re.findall(r"^#+ +(.+?) *$", FENCED.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title)
        name = re.sub(r"[^\w -]", "", shown.lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def module_file(name: str) -> Path | None:
    """The file of one of our modules or packages."""
    path = ROOT.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def defines(file: Path, name: str) -> bool:
    """Whether a module says what `name` is: a class, a function, a value, or an import."""
    pattern = rf"^\s*(?:class|def|async def) {name}\b|^\s*(?:self\.)?{name}\b\s*[:=]|^(?:from|import) .*\b{name}\b"
    return re.search(pattern, file.read_text(encoding="utf-8"), flags=re.MULTILINE) is not None


def test_links_lead_somewhere() -> None:
    def faults(page: Path, text: str) -> Iterator[str]:
        prose = re.sub(r"`[^`\n]*`", "", FENCED.sub("", text))
        for target in re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r'(?:src|href)="([^"]+)"', prose):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            if not file.exists() or not file.is_relative_to(ROOT) or (anchor and anchor not in anchors(file)):
                yield target

    assert wrong(PAGES, faults) == []


def test_modules_that_are_run_exist() -> None:
    def faults(path: Path, text: str) -> Iterator[str]:
        for found in re.findall(r"python[\w.]* -m ([\w.]+)", text):
            name = found.rstrip(".")
            if name.partition(".")[0] not in ("microcinema_core", "studies"):
                if importlib.util.find_spec(name.partition(".")[0]) is None:
                    yield name
                continue
            file = module_file(name)
            if file is None:
                yield name
                continue
            main = file.with_name("__main__.py") if file.name == "__init__.py" else file
            if not main.is_file() or (main is file and "__main__" not in main.read_text(encoding="utf-8")):
                yield name

    assert wrong([*TEXTS, *SOURCES], faults) == []


def test_files_that_are_named_exist() -> None:
    """Files below our folders by their whole path, in prose as in code; Python files also by the end of it."""
    ours = re.compile(rf"(?<![\w./%~{{}}-])(?:{'|'.join(FOLDERS)})/[\w./*-]*[\w/*]")

    def faults(path: Path, text: str) -> Iterator[str]:
        for name in ours.findall(re.sub(r"\$\(\w+\)", "*", text).replace("\\", "/")):
            if not any(ROOT.glob(name.rstrip("/"))) and not any(ROOT.glob(f"{name}.*")):  # --out NAME, of NAME.md
                yield name

    def ends(page: Path, text: str) -> Iterator[str]:
        words = {word.strip(":,;()") for line in code(text) for word in line.split() if "ComfyUI" not in word}
        for name in sorted(word for word in words if re.fullmatch(r"[\w/]+\.(py|toml)", word)):
            if name != "main.py" and not (ROOT / name).is_file() and not any(f.endswith(f"/{name}") for f in FILES):
                yield name

    assert wrong([*TEXTS, *SOURCES], faults) == []
    assert wrong(PRESENT, ends) == []


def test_names_in_our_modules_exist() -> None:
    def faults(page: Path, text: str) -> Iterator[str]:
        for path, name in re.findall(r"`([\w/]+/\w+\.py)`: `(\w+)`", text):
            file = next((file for file in (ROOT / path, ROOT / "microcinema_core" / path) if file.is_file()), None)
            if file is None or not defines(file, name):
                yield f"{path}: {name}"
        for line in code(text):
            for name in re.findall(r"\b(?:microcinema_core|studies)(?:\.[A-Za-z_]\w*)+", line):
                module, _, attribute = name.rpartition(".")
                file = module_file(module)
                if module_file(name) is None and (file is None or not defines(file, attribute)):
                    yield name
            imported = re.match(r"from ((?:microcinema_core|studies)[\w.]*) import (.+)", line)
            file = module_file(imported[1]) if imported else None
            if imported and file:
                yield from (name for name in imported[2].split(", ") if not defines(file, name))

    assert wrong(PRESENT, faults) == []


def test_commands_exist() -> None:
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))

    def faults(page: Path, text: str) -> Iterator[str]:
        for line in code(text):
            run = re.match(r"(?:\.venv\W(?:bin|Scripts)\W)?microcinema ([a-z]\w*)", line)
            made = re.match(r"(?:[A-Z_]+=\S+ )?make (?:[A-Z]\S+ )*([a-z][a-z-]*)", line)
            if (run and run[1] not in commands) or (made and made[1] not in targets):
                yield line

    assert {"animate", "inflate"} <= commands
    assert {"test", "demo"} <= targets
    assert wrong(PRESENT, faults) == []


def test_the_map_says_what_the_rules_say() -> None:
    """CONTRIBUTING.md's table against each folder's ruff.toml, and README.md's tree against the folders."""
    core = ROOT / "microcinema_core"
    rooms = {path.parent.name for path in core.glob("*/ruff.toml")}
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("### Who may import whom")[2]
    rows = [
        [re.findall(r"`(\w+)`", cell) for cell in row.split(" | ")] for row in re.findall(r"^\| (`.*) \|$", text, re.M)
    ]
    (ground, nothing), *others = [(names, set(allowed)) for names, _, allowed, _ in rows]
    assert {*ground, "__init__"} == {path.stem for path in core.glob("*.py")}
    assert not nothing
    assert {name for names, _ in others for name in names} == rooms | {"nodes", "studies"}
    known: set[str] = set()
    for (name,), allowed in others:
        folder = core / name if name in rooms else ROOT / name
        rules = tomllib.loads((folder / "ruff.toml").read_text(encoding="utf-8"))["lint"]["flake8-tidy-imports"]
        banned = rules.get("extend-banned-api", {})
        assert allowed == {room for room in rooms - {name} if f"microcinema_core.{room}" not in banned}, name
        assert allowed <= known, f"{name}: not from the ground up"
        known.add(name)
    tree = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Layout")[2].partition("\n## ")[0]
    assert set(re.findall(r"^ {6}(\w+)/ ", tree, flags=re.M)) == rooms

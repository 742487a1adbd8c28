"""pytest's JUnit file to Markdown: python tests/write_report.py out/test-full.xml docs/results/test-full.md"""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import torch


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True).stdout.strip()


def processor() -> str:
    """Name, cores and the two features that decide how fast float32 and bfloat16 are."""
    try:
        info = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    except OSError:
        return platform.processor() or platform.machine()
    fields = {key.strip(): value.strip() for key, value in info.items()}
    flags = fields.get("flags", "").split()
    features = ", ".join(f"{flag} {'yes' if flag in flags else 'no'}" for flag in ("avx2", "avx512_bf16"))
    return f"{fields.get('model name', platform.machine())}, {torch.get_num_threads()} threads, {features}"


def report(junit: Path, ignored: Path) -> str:
    root = ElementTree.parse(junit).getroot()
    cases = list(root.iter("testcase"))
    names = {case: f"{case.get('classname', '')}::{case.get('name', '')}" for case in cases}
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    slowest = sorted(cases, key=lambda case: -float(case.get("time", 0)))[:15]
    seconds = sum(float(suite.get("time", 0)) for suite in root.iter("testsuite"))
    modified = git("status", "--porcelain", "--", ".", f":!{ignored}")
    lines = [
        "# The last full test run",
        "",
        "Written by `make test-full`.",
        "",
        f"- Commit: `{git('rev-parse', 'HEAD') or 'unknown'}`{', with uncommitted changes' if modified else ''}",
        f"- Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- Machine: {processor()}; {platform.system()} {platform.machine()}",
        f"- Python {platform.python_version()}, torch {torch.__version__}",
        f"- Result: **{len(cases) - len(bad) - len(skipped)} passed, {len(bad)} failed, {len(skipped)} skipped** "
        f"in {seconds:.0f} s",
        "",
    ]
    if bad:
        lines += ["## Failed", "", *(f"- `{names[case]}`" for case in bad), ""]
    if skipped:
        reasons = {case: case.find("skipped").get("message", "") for case in skipped}
        lines += ["## Skipped", "", *(f"- `{names[case]}`: {reasons[case]}" for case in skipped), ""]
    lines += ["## Slowest", "", "| Seconds | Test |", "|---:|---|"]
    lines += [f"| {float(case.get('time', 0)):.1f} | `{names[case]}` |" for case in slowest]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(report(source, target), encoding="utf-8")
    print(f"Wrote {target}")

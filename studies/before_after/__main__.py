"""Check two revisions out, run every case in both and compare: `python -m studies.before_after BEFORE AFTER`.

By the same Python and on as many threads, either runs the demo, every example of the earlier one's docs/usage.md and
the host's first workflow in the real ComfyUI. Then all that they wrote and said is compared, value by value. Ends with
1 where something differs that ALLOWED does not list. Some twenty minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from .cases import Case, all_cases, chosen
from .checkout import Checkout, RunFailed, checked_out
from .differences import compare_folders

# A part of a case's name, which is an example's command line -> why what it makes may differ.
ALLOWED: dict[str, str] = {}
SAID = "said.txt"
TIMES = re.compile(r'made in [\d.]+ s|"seconds": [\d.]+')  # no run takes as long as another


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a case. `passed`: it is equal, or may differ."""

    name: str
    compared: str
    verdict: str
    passed: bool


def run_case(case: Case, checkouts: Sequence[Checkout]) -> Row:
    """Both revisions' turns at a case, and the comparison of what they made."""
    for checkout in checkouts:
        try:
            take_turn(case, checkout)
        except RunFailed as error:
            return judged(case.name, "nothing", f"{checkout.name}: {error}", equal=False)
    found = compare_folders(*(checkout.made / case.folder for checkout in checkouts))
    compared = f"{found.files} files" + (f", {found.frames} frames" if found.frames else "")
    return judged(case.name, compared, str(found), equal=not found.apart)


def take_turn(case: Case, checkout: Checkout) -> None:
    """One revision's, in a folder with what it reads; what it says is kept there too. Raises RunFailed."""
    folder = checkout.made / case.folder
    folder.mkdir()
    for place, product in case.reads:
        source = checkout.made / place / product
        if not source.exists():
            raise RunFailed(f"{product} was not made before")
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / product)
    said = case.make(checkout, folder)
    for _, product in case.reads:  # compared where it was made
        (shutil.rmtree if (folder / product).is_dir() else Path.unlink)(folder / product)
    (folder / SAID).write_text(TIMES.sub("", said), encoding="utf-8")


def judged(name: str, compared: str, verdict: str, *, equal: bool) -> Row:
    """The row, with the reason where a difference is allowed."""
    reason = next((reason for part, reason in ALLOWED.items() if part in name), None)
    if equal or reason is None:
        return Row(name, compared, verdict, equal)
    return Row(name, compared, f"{verdict}; allowed: {reason}", True)


def table(rows: Sequence[Row]) -> str:
    """Markdown: one line for each case."""
    lines = [("what", "compared", "result"), ("---", "---", "---")]
    lines += [(row.name, row.compared, row.verdict if row.passed else f"**{row.verdict}**") for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def run(cases: Sequence[Case], checkouts: Sequence[Checkout]) -> list[Row]:
    rows = []
    for number, case in enumerate(cases, start=1):
        say(f"{number} of {len(cases)}: {case.name}")
        start = time.monotonic()
        rows.append(run_case(case, checkouts))
        say(f"    {time.monotonic() - start:.0f} s: {rows[-1].verdict}")
    return rows


def study(options: argparse.Namespace) -> list[Row]:
    """Raises RunFailed where a revision cannot be had."""
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = options.out or temporary / "made"
        checkouts = [
            stack.enter_context(checked_out(name, revision, temporary, made, options.threads))
            for name, revision in (("before", options.before), ("after", options.after))
        ]
        cases = all_cases(checkouts[0].tree)
        wanted = chosen(cases, options.only)
        say(f"{len(wanted)} of {len(cases)} cases")
        return run(wanted, checkouts)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m studies.before_after", description=(__doc__ or "").split(":")[0])
    parser.add_argument("before", metavar="BEFORE", help="the earlier revision, whose examples both run")
    parser.add_argument("after", metavar="AFTER", help="the later one")
    parser.add_argument("--threads", type=int, default=1, help="of both (default: 1)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="the cases whose names match, and what they need")
    parser.add_argument("--out", type=Path, help="a new folder that keeps all that they make")
    options = parser.parse_args(arguments)
    if options.out is not None and options.out.exists():
        parser.error(f"{options.out} exists already; name a new folder")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the checkouts go
    try:
        rows = study(options)
    except RunFailed as error:
        say(str(error))
        return 1
    sys.stdout.write(f"{table(rows)}\n")
    return int(not rows or not all(row.passed for row in rows))


if __name__ == "__main__":
    sys.exit(main())

"""A Chromium for the browser tests: python tests/host/setup_browser.py

Takes one that is installed: Chromium, Chrome or Edge, or what CHROMIUM_PATH names. Where there is none, the
administrator of a Debian or Ubuntu gets the system's package installed; everyone else is told what to install.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setup_host import HostSetupError, say

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "msedge")
PLACES = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
PACKAGE = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]
ADVICE = (
    "The browser tests need Chromium, Chrome or Edge, and none was found. Install one:\n"
    "  Debian, Ubuntu:  sudo apt-get install chromium\n"
    "  Fedora:          sudo dnf install chromium\n"
    "  macOS:           brew install --cask chromium\n"
    "  Windows:         winget install Google.Chrome\n"
    "or name one with CHROMIUM_PATH=/path/to/chromium"
)


def find_browser() -> Path | None:
    if given := os.environ.get("CHROMIUM_PATH"):
        if not Path(given).is_file():
            raise HostSetupError(f"CHROMIUM_PATH is {given}, which is no file. Name the program of Chromium or Chrome.")
        return Path(given)
    found = (*map(shutil.which, COMMANDS), *(place for place in PLACES if Path(place).is_file()))
    return next((Path(path) for path in found if path), None)


def set_up() -> Path:
    """The browser, installed first if need be; HostSetupError says what to install where this cannot."""
    if browser := find_browser():
        return browser
    if shutil.which("apt-get") and os.geteuid() == 0:
        say("Installing Chromium from the system's packages")
        failed = subprocess.run(PACKAGE).returncode and (
            subprocess.run(["apt-get", "update"]).returncode or subprocess.run(PACKAGE).returncode
        )
        if not failed and (browser := find_browser()):
            return browser
    raise HostSetupError(ADVICE)


def main() -> int:
    try:
        say(f"Browser: {set_up()}")
    except HostSetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

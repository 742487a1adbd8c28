"""`studies` is not installed, and the root of the repository, whose nodes/ would hide ComfyUI's, not on sys.path."""

import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "studies"

if "studies" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "studies", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    sys.modules["studies"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["studies"])

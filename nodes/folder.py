"""Where model files lie: `models/microcinema`, and the pack's own `weights` with the embedded model."""

from __future__ import annotations

import contextlib
from pathlib import Path

import folder_paths

from ..microcinema_core.checkpoint.embedded import file_name, weights_folder
from ..microcinema_core.config import Kind

FOLDER = "microcinema"
DEFAULT = file_name(Kind.VIDEO)


def register_folder() -> None:
    """Tell the host where model files lie. A file in the user's folder hides an embedded one of the same name."""
    own = Path(folder_paths.models_dir) / FOLDER
    with contextlib.suppress(OSError):  # where nothing may be written the embedded files are still there
        own.mkdir(parents=True, exist_ok=True)
    for path in (own, weights_folder()):
        folder_paths.add_model_folder_path(FOLDER, str(path))
    folder_paths.folder_names_and_paths[FOLDER][1].add(".safetensors")


def file_names() -> list[str]:
    """The names that a user chooses from."""
    return folder_paths.get_filename_list(FOLDER)


def find_file(name: str) -> Path:
    """The path of a file that the list offers. Raises FileNotFoundError, as the host's own loaders do."""
    return Path(folder_paths.get_full_path_or_raise(FOLDER, name))

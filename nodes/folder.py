"""Where files lie: `models/microcinema` and the pack's `weights`; taught motions in `models/microcinema_motion`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import folder_paths

from ..microcinema_core.checkpoint.embedded import file_name, weights_folder
from ..microcinema_core.config import Kind
from ..microcinema_core.errors import InputError

FOLDER, MOTIONS = "microcinema", "microcinema_motion"
DEFAULT = file_name(Kind.VIDEO)


def register_folder() -> None:
    """Tell the host where files lie. A file in the user's folder hides an embedded one of the same name."""
    for folder, suffix, embedded in ((FOLDER, ".safetensors", [weights_folder()]), (MOTIONS, ".json", [])):
        own = Path(folder_paths.models_dir) / folder
        with contextlib.suppress(OSError):  # where nothing may be written the embedded files are still there
            own.mkdir(parents=True, exist_ok=True)
        for path in (own, *embedded):
            folder_paths.add_model_folder_path(folder, str(path))
        folder_paths.folder_names_and_paths[folder][1].add(suffix)


def file_names(folder: str = FOLDER) -> list[str]:
    """The names that a user chooses from."""
    return folder_paths.get_filename_list(folder)


def fingerprint(path: Path) -> str:
    """What changes where a file is written anew under its name."""
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


def find_file(name: str, folder: str = FOLDER, title: str = "Load MicroCinema") -> Path:
    """The path of a file that the list offers. Raises InputError for what cannot be read, such as a pipe.

    A name that is no UTF-8 is refused before the host is asked: it would write the name to its log, and stop for good.
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{title}: {name}: a file whose name is no UTF-8 text cannot be opened; rename it") from error
    path = folder_paths.get_full_path(folder, name)
    if path is None:
        raise InputError(
            f"{title}: {name} is no file of models/{folder} that can be read; refresh the list, take another"
        )
    return Path(path)

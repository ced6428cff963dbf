"""A home directory and a name for users that the system does not know, as in many containers."""

from __future__ import annotations

import getpass
import os
import tempfile
from contextlib import suppress
from pathlib import Path


def ensure_home() -> None:
    """Set HOME and USER where they are not set and the system does not know the user; W&B and torch need them."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"user{os.getuid()}"
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(own_folder(Path(tempfile.gettempdir()) / f"gan-runner-{os.getuid()}"))


def own_folder(path: Path) -> Path:
    """The folder, made if needed; a new one if another user can write to it, who could place programs there."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    is_own = found.st_uid == os.getuid() and found.st_mode & 0o170022 == 0o040000
    return path if is_own else Path(tempfile.mkdtemp(prefix="gan-runner-"))

"""Who runs this program: a container may run it under a number that has no name and no home."""

import getpass
import os
import pwd
from pathlib import Path


def user_name(number: int | None = None) -> str:
    """The user's name, or that of the user with this ``number``; else their number as text."""
    try:
        if number is not None:
            return pwd.getpwuid(number).pw_name
        return getpass.getuser()
    except (KeyError, OSError):  # Python 3.13 raises OSError
        return str(os.getuid() if number is None else number)


def stand_in() -> dict[str, str]:
    """What a program's environment lacks where the user has no name or no home: PyTorch asks for the one,
    Streamlit for the other, and neither goes on without. The home is the one that Docker gives, too."""
    missing = {}
    try:
        getpass.getuser()
    except (KeyError, OSError):
        missing["LOGNAME"] = user_name()
    return missing if home() else {**missing, "HOME": "/"}


def home() -> Path | None:
    """The user's home folder, which need not be there; None for a user who has none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def state_folder() -> Path:
    """Where this program keeps what it knows of all of a user's workspaces (XDG); nobody writes there who has
    no home."""
    state = os.environ.get("XDG_STATE_HOME") or (home() or Path("/")) / ".local" / "state"
    return Path(state) / "tuneboard"

"""An uploaded file of conversations: checked, then kept under the hash of what it says."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from core.data.opening import read_conversations
from core.errors import InputError
from core.paths import Workspace, make_folder


@dataclass(frozen=True)
class Upload:
    """A kept file: the hash of its content, and how many conversations it has."""

    digest: str
    conversations: int


def keep_upload(workspace: Workspace, content: bytes, name: str) -> Upload:
    """Keep a file that holds conversations. ``name`` is only what errors call it.

    Raises what :func:`~core.data.conversations.read_conversations` does, NotWritable, OSError. A file that is
    refused is not kept.
    """
    digest = hashlib.sha256(content).hexdigest()
    path = workspace.upload(digest)
    make_folder(path.parent, exist_ok=True)
    descriptor, unchecked = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        count = len(read_conversations(Path(unchecked)))
        Path(unchecked).replace(path)
    except InputError as error:
        error.values["path"] = name
        raise
    finally:
        Path(unchecked).unlink(missing_ok=True)
    return Upload(digest, count)

"""An uploaded file of conversations: checked, then kept under the hash of what it says."""

import hashlib
import os
import tempfile
from pathlib import Path

from core.data.conversations import Conversation, read_conversations
from core.errors import InputError
from core.paths import Workspace, make_folder


def keep_upload(workspace: Workspace, content: bytes, name: str) -> str:
    """Keep a file that holds conversations; returns its hash. ``name`` is only what errors call it.

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
        read_conversations(Path(unchecked))
        Path(unchecked).replace(path)
    except InputError as error:
        error.values["path"] = name
        raise
    finally:
        Path(unchecked).unlink(missing_ok=True)
    return digest


def read_upload(workspace: Workspace, digest: str) -> list[Conversation]:
    """The conversations of a kept file. Raises NoSuchFile."""
    return read_conversations(workspace.upload(digest))

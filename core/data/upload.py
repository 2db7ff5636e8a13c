"""An uploaded file of conversations: checked, then kept under the hash of what it says."""

import hashlib

from core.data.conversations import Conversation, read_conversations
from core.errors import InputError, NotJson
from core.files import write_text
from core.paths import Workspace


def keep_upload(workspace: Workspace, content: bytes, name: str) -> str:
    """Keep a file that holds conversations; returns its hash. ``name`` is only what errors call it.

    Raises NotJson, NotConversations, EmptyData; OSError. A refused file is not kept.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotJson(path=name, line="?", column="?", detail="it is not UTF-8 text") from error
    digest = hashlib.sha256(content).hexdigest()
    path = workspace.upload(digest)
    write_text(path, text)
    try:
        read_conversations(path)
    except InputError as error:
        path.unlink()
        error.values["path"] = name
        raise
    return digest


def read_upload(workspace: Workspace, digest: str) -> list[Conversation]:
    """The conversations of a kept file. Raises NoSuchFile."""
    return read_conversations(workspace.upload(digest))

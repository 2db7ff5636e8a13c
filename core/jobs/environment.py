"""What a job inherits of the environment: everything but secrets, unless whoever launches it hands one over.

A tool of the engine reads a stranger's model; a token that it does not have cannot leave with it. What a
secret is, is judged here alone: by the variable's name, and by an address with a password in it.
"""

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

# Anywhere in a name, in upper or lower case; TOKENIZERS_PARALLELISM is none.
_ANYWHERE = re.compile(
    r"TOKEN(?!IZ)|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY",
    re.IGNORECASE,
)
# As a word between underscores.
_WORDS = frozenset({"KEY", "KEYS", "PASS", "PWD", "AUTH", "AK", "SK", "PAT", "JWT", "COOKIE", "COOKIES"})
# Secret by their words, and not so: the working folder and the one before.
_FOLDERS = frozenset({"PWD", "OLDPWD"})

# What reaching a hub may need: its token, and a proxy that wants a password.
HUB = (
    *("HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "MODELSCOPE_API_TOKEN"),
    *("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"),
)
PROXIES = tuple(
    spelled for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for spelled in (name, name.lower())
)
# Where uv fetches packages.
INDEXES = ("UV_INDEX", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL")


def inherited(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of ``environment`` (by default this process's) that every job may see."""
    given = os.environ if environment is None else environment
    return {name: value for name, value in given.items() if not is_secret(name, value)}


def handed_over(*names: str) -> dict[str, str]:
    """Those of the named variables that are set, for ``launch(…, secrets=…)``."""
    return {name: os.environ[name] for name in names if name in os.environ}


def is_secret(name: str, value: str = "") -> bool:
    """Whether a variable is to be kept from jobs: by its name, or for an address with a password in it."""
    if name in _FOLDERS:
        return False
    words = name.upper().replace("-", "_").split("_")
    return bool(_ANYWHERE.search(name)) or not _WORDS.isdisjoint(words) or _has_password(value)


def _has_password(value: str) -> bool:
    if "://" not in value:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return "@" in value
    return "@" in parts.netloc

"""NOTICE names every package that asks for it."""

import sys
from pathlib import Path

import pytest

from core.workspace.paths import PROJECT
from scripts.licences import Package, installed, locked, unnamed

NOTICE = (PROJECT / "NOTICE").read_text(encoding="utf-8")
CLIENT = Path(sys.prefix, "clients/openxlab/lib", f"python3.{sys.version_info.minor}", "site-packages")


def test_notice_names_all_that_ask() -> None:
    names = locked("requirements.txt", "requirements-dev.txt")
    packages = [one for one in installed() if one.name in names]
    assert len(packages) > 130
    assert {"python-stdnum", "certifi", "tqdm"} <= {one.name for one in packages if one.asks}
    assert list(unnamed(packages, NOTICE)) == []


def test_notice_names_those_of_the_hub_s_client() -> None:
    packages = installed(CLIENT)
    assert {one.name for one in packages} >= locked("requirements-openxlab.txt")
    assert list(unnamed(packages, NOTICE)) == []


def test_nvidia_s_libraries_are_named_where_they_are_not_installed() -> None:
    every = [Package(name, "LicenseRef-NVIDIA-Proprietary") for name in locked("requirements.txt")]
    assert not any(one.name.startswith(("nvidia-", "cuda-")) for one in unnamed(every, NOTICE))


@pytest.mark.parametrize(
    ("licence", "asks"),
    [
        ("MIT", False),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", False),
        ("Apache Software License, Apache 2.0", False),
        ("Python Software Foundation License, License agreement for matplotlib", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GNU Lesser General Public License v2 or later (LGPLv2+), LGPL", True),
        ("Other/Proprietary License, Apache 2.0", True),
        ("says nothing", True),
    ],
)
def test_what_asks_to_be_named(licence: str, asks: bool) -> None:
    assert Package("some-package", licence).asks is asks
    assert bool(list(unnamed([Package("some-package", licence)], "Some other-package."))) is asks
    assert not list(unnamed([Package("some-package", licence)], "It uses some-package."))

"""A fast test that started the real engine would take tens of seconds: it fails instead."""

import os
import subprocess
from pathlib import Path

from core.steps.step import engine_job
from tests import fast_engine
from tests.command_line import environment


def test_what_the_fast_engine_has_not_is_refused_and_named() -> None:
    spec = engine_job("compile", "a b")
    done = subprocess.run(spec.command, cwd=spec.cwd, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1 and "mark it slow, or give tests.fake_engine the tool" in done.stderr
    refused = Path(os.environ[fast_engine.VARIABLE])
    assert fast_engine.asked_for(refused) == ["compile a b"] and not refused.exists()

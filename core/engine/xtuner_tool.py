"""XTuner's own tool files, run in this interpreter: a failure is this process's exit code."""

import runpy
import sys


def run_xtuner_tool(module: str, arguments: list[str]) -> None:
    """Run one of XTuner's tool files as a program."""
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)

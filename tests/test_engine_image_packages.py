"""Packages for images are not installed: what XTuner and mmengine import of them is stood in for."""

import json
import subprocess
import sys

import pytest

from core.workspace.paths import PROJECT

PROGRAM = """
import importlib.util, json, sys
import core.engine
import mmengine.hooks, mmengine.visualization, xtuner.dataset
from datasets import config
from transformers.utils import is_cv2_available, is_torchvision_available

def words(call):
    try:
        call()
    except ModuleNotFoundError as error:
        return str(error)

print(json.dumps({
    "left": sorted({"cv2", "scipy", "skimage", "torchvision"} & {*sys.modules}),
    "there": [is_cv2_available(), is_torchvision_available(), config.TORCHVISION_AVAILABLE],
    "used": [
        words(lambda: xtuner.dataset.internvl_dataset.T.Compose([])),
        words(lambda: xtuner.dataset.refcoco_json.io.imread("a.png")),
        words(lambda: mmengine.visualization.visualizer.cv2.imshow("a", None)),
    ],
}))
"""


@pytest.mark.slow
def test_only_those_who_import_them_see_a_stand_in() -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {
        "left": [],
        "there": [False, False, False],
        "used": [
            "torchvision.transforms.Compose is used, and torchvision is not installed",
            "skimage.io.imread is used, and skimage is not installed",
            "cv2.imshow is used, and cv2 is not installed",
        ],
    }

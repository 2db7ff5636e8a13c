"""The fast path under the real XTuner, on a processor: the same training by another way."""

from pathlib import Path

import pytest

from core.paths import RunPaths, Workspace
from tests.test_engine_train import prepared, trained

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ITERATIONS = ("--iterations", "12")


def with_acceleration(run: RunPaths, **settings: object) -> RunPaths:
    config = run.config.read_text(encoding="utf-8")
    assert "\nacceleration = None\n" in config
    wanted = f"\nacceleration = {settings!r}\n"
    run.config.write_text(config.replace("\nacceleration = None\n", wanted), encoding="utf-8")
    return run


@pytest.mark.parametrize(
    ("settings", "options"),
    [({"padding_free": False}, ("--no-replay",)), ({}, ()), ({"checkpointed_layers": 1}, ())],
)
def test_the_curve_is_xtuners_own(
    workspace: Workspace, model: Path, settings: dict[str, object], options: tuple[str, ...]
) -> None:
    plain = trained(prepared(workspace, model, *ITERATIONS, *options))
    fast = trained(with_acceleration(prepared(workspace, model, *ITERATIONS, *options), **settings))
    assert [at for at, _ in fast] == [at for at, _ in plain]
    assert [loss for _, loss in fast] == pytest.approx([loss for _, loss in plain], rel=2e-3)

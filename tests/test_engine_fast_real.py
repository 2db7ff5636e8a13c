"""The fast path under the real XTuner, on a processor: the same training by another way."""

from pathlib import Path

import pytest

from core.jobs.job import JobPaths
from core.recipe.speed import unlike
from core.workspace.paths import RunPaths, Workspace
from tests.small_model import make_small_model
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


def test_a_model_that_it_does_not_know_is_trained_as_xtuner_does_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Checkpointing included: a Granite, which is a Llama with multipliers."""
    granite = {"architectures": ["GraniteForCausalLM"], "model_type": "granite", "residual_multiplier": 0.5}
    model = make_small_model(tmp_path / "m", **granite)
    runs = [prepared(workspace, model, *ITERATIONS, "--no-replay") for _ in range(2)]
    for run in runs:
        config = run.config.read_text(encoding="utf-8")
        checkpointed = config.replace(
            "use_activation_checkpointing=False", "use_activation_checkpointing=True"
        )
        assert checkpointed != config
        run.config.write_text(checkpointed, encoding="utf-8")
    plain, other = trained(runs[0]), trained(with_acceleration(runs[1], checkpointed_layers=1))
    assert other == plain and len(plain) == 12
    said = JobPaths(runs[1].job("train")).log.read_text(encoding="utf-8")
    why = f"GraniteForCausalLM: {unlike('GraniteForCausalLM', 'en')}"
    assert f"does not know {why}: trained as XTuner does it" in said


def test_checkpointing_by_xtuners_own_switch(workspace: Workspace, model: Path) -> None:
    """As the recipe writes it: the switch and the number of layers."""
    runs = [prepared(workspace, model, *ITERATIONS, "--no-replay") for _ in range(2)]
    config = runs[1].config.read_text(encoding="utf-8")
    config = config.replace("use_activation_checkpointing=False", "use_activation_checkpointing=True")
    runs[1].config.write_text(config, encoding="utf-8")
    plain, fast = trained(runs[0]), trained(with_acceleration(runs[1], checkpointed_layers=2))
    assert [loss for _, loss in fast] == pytest.approx([loss for _, loss in plain], rel=2e-3)

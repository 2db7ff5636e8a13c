"""What a training's process is told by its environment."""

from pathlib import Path

from core.steps import prepare, train
from core.workspace.paths import Workspace
from tests.small_model import make_small_model
from tests.small_run import make_run


def test_what_torch_compiles_is_kept_in_the_workspace(tmp_path: Path) -> None:
    """But for one whose path has a space: torch splits its compiler's command there."""
    plain, spaced = Workspace(tmp_path / "工作区"), Workspace(tmp_path / "a b")
    for place, wanted in ((plain, str(plain.root / "compiled")), (spaced, None)):
        make_small_model(place.starter)
        run = make_run(place)
        fast = prepare.recipe_of(run).changed(device="cuda", accelerate="on")
        assert train.plan(run, fast).env.get("TORCHINDUCTOR_CACHE_DIR") == wanted
        unsloth = train.plan(run, fast.changed(accelerate="unsloth")).env
        assert unsloth.get("TORCHINDUCTOR_CACHE_DIR") == wanted
        assert unsloth["UNSLOTH_COMPILE_LOCATION"] == str(place.root / "compiled" / "unsloth")
        assert "TORCHINDUCTOR_CACHE_DIR" not in train.plan(run, prepare.recipe_of(run)).env

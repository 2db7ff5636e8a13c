"""Kept checkpoints: which of them is used, what artefacts were made of, and what each was shown to know."""

from pathlib import Path
from typing import Any

import pytest

from core.data.identity import IdentityLanguage, development_identity, identity_conversations
from core.data.questions import same_question
from core.errors import NoSuchCheckpoint
from core.jobs.ending import Reason
from core.jobs.job import tries
from core.proof.best import Candidate, best
from core.proof.development import asked_meanwhile, development
from core.proof.questions import questions
from core.proof.score import Score, Share
from core.recipe.disk import kept_for_a_curve
from core.recipe.recipe import Recipe
from core.steps import checkpoints_proof, chosen, convert, export, prepare, proof, resuming, train
from core.steps.checkpoints import checkpoints, content_hash
from core.steps.checkpoints_proof import unproved
from core.steps.step import run_job
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import cli, last_json
from tests.runs import end_job
from tests.small_run import end_training, make_run
from tests.test_recipe_memory import llama


@pytest.fixture
def run(page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    """A trained run with checkpoints at 30 and 40."""
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    made = make_run(page_workspace, keep_checkpoints=2)
    end_training(made)
    assert [one.iteration for one in checkpoints(made.work_dir)] == [30, 40]
    return made


def make_artefacts(run: RunPaths) -> None:
    run_job("convert", run.job("convert"), convert.plan(run))
    run_job("merge", run.job("merge"), export.merge.plan(run))


def stale(run: RunPaths) -> list[bool]:
    return [one.stale for one in export.artefacts(run)]


def test_the_last_checkpoint_is_used_unless_another_was_chosen(run: RunPaths) -> None:
    assert chosen.used(run).iteration == 40
    make_artefacts(run)
    assert stale(run) == [False, False]
    chosen.choose(run, 30)
    assert chosen.used(run).iteration == 30 and train.read(run).iteration == 40
    assert resuming.resumable(run) == train.read(run), "a training goes on from the last whatever was chosen"
    assert stale(run) == [True, True], "they were made of the other one, whichever file is newer"
    make_artefacts(run)
    assert stale(run) == [False, False]
    made_of = convert.made_of(run)
    assert made_of is not None and made_of.iteration == 30
    chosen.choose(run, 40)
    assert stale(run) == [True, True] and chosen.used(run).iteration == 40


def test_a_conversion_that_failed_changes_nothing_of_what_is_known(run: RunPaths) -> None:
    make_artefacts(run)
    chosen.choose(run, 30)
    run_job("convert", run.job("convert"), convert.plan(run))
    end_job(run, "convert", Reason.failed)
    made_of = convert.made_of(run)
    assert made_of is not None and made_of.iteration == 40


def test_what_an_earlier_version_made_was_made_of_the_last(run: RunPaths) -> None:
    make_artefacts(run)
    end_job(run, "convert")
    (run.job("convert") / "request.json").unlink()
    assert convert.made_of(run) is None and stale(run) == [False, False]
    chosen.choose(run, 30)
    assert stale(run) == [True, True]


def test_whoever_trains_on_chooses_anew(run: RunPaths) -> None:
    chosen.choose(run, 30)
    train.making_way(run, resuming.resumable(run))()
    assert chosen.used(run).iteration == 40


def test_another_file_under_the_same_name_was_not_chosen(run: RunPaths) -> None:
    chosen.choose(run, 30)
    chosen.used(run).checkpoint.write_text('{"another": 1}')
    assert chosen.used(run).iteration == 40


def test_what_is_not_there_cannot_be_chosen(run: RunPaths) -> None:
    with pytest.raises(NoSuchCheckpoint, match="30, 40"):
        chosen.choose(run, 7)
    run.chosen.write_text("{")
    assert chosen.used(run).iteration == 40


def test_a_checkpoint_s_hash_is_its_content_s(tmp_path: Path) -> None:
    """Not its name's, its time's or its place's; of a zip file only the directory is read."""
    from zipfile import ZipFile

    def made(name: str, weights: bytes) -> str:
        with ZipFile(tmp_path / name, "w") as file:
            file.writestr(f"{Path(name).stem}/data/0", weights)
        return content_hash(tmp_path / name)

    first = made("iter_1.pth", b"a" * 1000)
    assert made("iter_2.pth", b"a" * 1000) == first != made("iter_1.pth", b"b" * 1000)


def command(run: RunPaths, *arguments: str) -> dict[str, Any]:
    options = ("--workspace", str(run.workspace.root), "--json")
    return last_json(cli(*arguments, *options, cwd=run.root, TUNEBOARD_ENGINE="tests.fake_engine"))


def asked(run: RunPaths) -> int:
    """How often checkpoints were asked."""
    return len(tries(run.job("choose"))) if run.job("choose").exists() else 0


def test_every_checkpoint_is_proved_once_and_the_best_is_used(run: RunPaths) -> None:
    """The fake has learned all by iteration 30 and loses the more the longer it trains."""
    found = command(run, "checkpoints", run.id)
    assert [one["iteration"] for one in found["checkpoints"]] == [30, 40]
    assert [one["learned"]["hits"] / one["learned"]["n"] for one in found["checkpoints"]] == [1.0, 1.0]
    assert (found["best"], found["used"]) == (30, 40)
    assert unproved(run, checkpoints_proof.read(run)) == 0
    command(run, "checkpoints", run.id)
    assert asked(run) == 1, "a second look asks nothing"
    made = command(run, "use", run.id, "--checkpoint", "best")
    assert made["checkpoint"] == 30 and stale(run) == [False, False] and proof.missing(run) is None
    made_of = convert.made_of(run)
    assert made_of is not None and made_of.iteration == 30 and asked(run) == 1
    assert command(run, "use", run.id, "--checkpoint", "40")["checkpoint"] == 40
    assert chosen.used(run).iteration == 40


def test_a_person_reads_which_is_best(run: RunPaths) -> None:
    arguments = ("checkpoints", run.id, "--workspace", run.workspace.root)
    done = cli(*arguments, cwd=run.root, TUNEBOARD_ENGINE="tests.fake_engine")
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if "best" in line)
    assert "30" in row and "30" in next(line for line in done.stderr.splitlines() if "Best of" in line)


def test_a_checkpoint_that_was_not_kept_is_named_with_those_that_were(run: RunPaths) -> None:
    options = ("--workspace", run.workspace.root)
    done = cli("use", run.id, "--checkpoint", "7", *options, cwd=run.root)
    assert done.returncode == 2 and "30, 40" in done.stderr and "Traceback" not in done.stderr


CASES = [
    # iteration, learned of 64, kept of 100, leaked of 100; the best
    (
        [(10, 30, 99, 0), (20, 63, 97, 0), (30, 64, 90, 0)],
        20,
    ),  # within chance of the highest, and forgot less
    ([(10, 30, 100, 0), (20, 50, 97, 0), (30, 64, 90, 5)], 30),  # what was not learned is not made up for
    ([(10, 64, 97, 2), (20, 64, 97, 1), (30, 64, 97, 1)], 20),  # leaks, then the earlier
    ([(10, 64, 97, 0), (20, 64, 97, 0)], 10),
    ([(10, 0, 0, 0)], 10),
]


@pytest.mark.parametrize(("measured", "expected"), CASES)
def test_the_rule(measured: list[tuple[int, int, int, int]], expected: int) -> None:
    found = [
        Candidate(at, Score(Share(learned, 64), Share(kept, 100), Share(leaked, 100)))
        for at, learned, kept, leaked in measured
    ]
    assert best(found).iteration == best(found[::-1]).iteration == expected


def test_of_equals_the_one_that_drifts_less_is_better() -> None:
    score = Score(Share(64, 64), Share(97, 100), Share(0, 100))
    assert best([Candidate(10, score, 0.04), Candidate(20, score, 0.02)]).iteration == 20


def test_what_is_asked_meanwhile_is_of_every_kind() -> None:
    kinds = {one.question: one.kind for one in development_identity()}
    both: tuple[IdentityLanguage, ...] = ("en", "zh")
    for languages in (both, both[1:]):
        asked = asked_meanwhile(identity_conversations("Zoë", languages))
        assert len(asked) == 14 and len({kinds[one.question] for one in asked}) > 10
        assert not any(one.earlier or one.system for one in asked)


def test_no_question_that_chooses_is_taught_or_reported() -> None:
    taught = identity_conversations("Zoë")
    choosing = {same_question(one.question) for one in development(taught)}
    reported = {same_question(one.question) for one in questions("Zoë", taught)}
    assert choosing and not choosing & reported
    assert not choosing & {same_question(turn.input) for row in taught for turn in row}


def test_a_chain_takes_the_best_where_it_is_asked_to(page_workspace: Workspace) -> None:
    """The fake forgets the more the longer it trains: of 45, 90, 135 and 180 the first has kept most."""
    options = ("--workspace", page_workspace.root, "--json")
    added = {"TUNEBOARD_ENGINE": "tests.fake_engine"}
    arguments = ("tune", "--name", "Zoë", "--iterations", "180", "--checkpoint", "best")
    made = last_json(cli(*arguments, *options, cwd=page_workspace.root, **added))
    run = page_workspace.run(made["run"])
    assert prepare.recipe_of(run).checkpoint == "best" and prepare.recipe_of(run).keep_checkpoints == 8
    assert [one.iteration for one in checkpoints(run.work_dir)] == [45, 90, 135, 180]
    made_of = convert.made_of(run)
    assert made_of is not None and made_of.iteration == chosen.used(run).iteration == 45
    log = cli("tune", "--run", run.id, *options, cwd=page_workspace.root, **added)
    assert log.returncode == 0 and chosen.used(run).iteration == 45 and asked(run) == 1


@pytest.mark.parametrize(("hidden", "expected"), [(64, 8), (4096, 2)])
def test_so_many_are_kept_as_their_size_allows(hidden: int, expected: int) -> None:
    """LoRA of rank 8 on a 7B model's layers: 240 MB a checkpoint."""
    model, shape = llama(hidden, 4 * hidden, 32, 32_000)
    assert kept_for_a_curve(Recipe(model="m", data="d"), model, shape) == expected

"""One tree of errors. Every leaf is one sentence in ``locales/`` that says what, where and what to do.

TuneboardError                exit code 1
├── InputError                exit code 2: what was asked for cannot be done as asked
│   ├── InvalidName           the assistant's name has characters that cannot be taught
│   │   └── NoName            no name was given
│   ├── InvalidRecipe         the recipe's problems, all of them
│   ├── InvalidSweep          what a sweep is to vary cannot be varied so: every problem
│   ├── InvalidOption         an option of the command line has an unusable value
│   ├── NothingChosen         no GGUF file was chosen to be made
│   ├── NoFolderNamed         no folder was named to copy to
│   ├── NoSuchFile            a file that was named is not there
│   ├── Unreadable            a data file cannot be read as text
│   │   └── NotReadHere       a file is of a kind that holds no data and no text that is read here
│   ├── NoSuchModel           a model folder that was named is not there
│   │   ├── WorkspaceMoved    it is where the workspace was before it was moved
│   │   └── NoListedModel     no model of that name in the workspace
│   ├── NotAModel             a folder is not a model this program can train
│   │   └── ImportFirst       it will be, once it is imported
│   ├── NotAnAdapter          a folder's adapter cannot be put on the base model, with every reason
│   ├── NothingToHeal         what was tuned elsewhere is nothing that can be healed
│   ├── NoSuchSource          what should be imported is neither a folder nor a model's name on a hub
│   ├── ModelExists           another model has that name already
│   ├── ModelInUse            runs stand on a model that is to be deleted
│   ├── ModelBusy             a job uses a model that is to be deleted
│   ├── NotJson               a data file is not JSON
│   ├── NotConversations      a data file is JSON, but not conversations
│   ├── UnreadKeys            a data file has keys that nobody reads, and nobody said that they do not matter
│   ├── NoSuchColumn          a data file has no column of that name
│   ├── NoSuchSheet           a data file has no sheet, list or file of that name
│   ├── UnknownRows           no format reads the rows of a data file (exit code 1)
│   ├── RowRefused            the model's own chat template refuses a row of the data
│   ├── NoUsableRow           no row of a data file can be trained (exit code 1)
│   ├── EmptyData             a data file has no rows
│   │   └── NoDataFiles       a folder or an archive has no data file in it
│   │       └── OnlyTexts     but it has texts, which are documents
│   ├── NoSuchRun             no run of that name in the workspace
│   ├── NoSuchSweep           no sweep of that name in the workspace
│   ├── NoRunOfRecipe         a recipe is of no run here, and nobody said what it is to be trained on
│   ├── NotInLine             a run has no job that waits for a device
│   ├── NoSuchCheckpoint      a run kept no checkpoint of that iteration
│   ├── DamagedCheckpoint     the checkpoint that was asked for is cut off or damaged
│   ├── NoWholeCheckpoint     every checkpoint of a run is
│   ├── NoSuchChat            no chat of that name in the workspace
│   ├── NoSuchSet             no data set of that name in the workspace
│   ├── NoSuchVersion         a data set has no version of that name, or none to go back to
│   ├── NotADocument          a document cannot be read
│   ├── InvalidEndpoint       an address is not one that a model can be asked at
│   ├── NoSuchConfig          XTuner ships no config of that name
│   ├── NotAConfig            a file is not a config that can be read without running it
│   ├── NotARecipe            a config trains something that no recipe describes
│   ├── NotAWorkDir           a folder holds nothing of a training with XTuner
│   ├── AdoptedRun            a run's training was made elsewhere and is only read
│   ├── RecipeChanged         a checkpoint was trained with other settings than the run has now
│   ├── InputsChanged         the rows or the base model are not those that a run was prepared with
│   ├── NoRendezvous          several machines are to train together, and nobody said where they meet
│   ├── BothEdited            a run's recipe and its config were both edited by hand
│   ├── InTheWay              a file of that name is there already
│   ├── MissingArtefact       a step's input was not made yet
│   ├── NoRemedy              no setting would have prevented why a run failed, or it did not fail
│   ├── NoAdapter             a full fine-tune was asked for its adapter
│   ├── QuantizedBase         merging onto a quantized base would be wrong
│   ├── CardRefused           a model card's metadata is not what the hubs take
│   ├── NothingPersonal       a file that would be sent holds a path, a name or a key of this machine
│   ├── LicenceForbids        the base model's licence does not let a changed copy be passed on
│   ├── NoPlaceForIt          there is something else where it should be published
│   ├── PlaceRefused          a folder that was named is no place to publish to, with every reason
│   ├── InvalidProfile        a Slurm profile's problems, all of them
│   ├── NoSuchProfile         no Slurm profile of that name in the workspace
│   ├── NotForGguf            llama.cpp has no form for this model
│   └── NoToken               a hub needs a token, and none is kept
├── MachineError              this machine lacks something
│   ├── NotWritable           a folder cannot be written
│   │   └── WorkspaceOfAnother    it is a workspace that its owner does not let this user into
│   ├── WorkspaceGone         a workspace is not there any more, such as with its disk
│   ├── StickGone             what should be copied to was pulled out, or is not plugged in
│   ├── TokenNotKept          the folder for hub tokens cannot be made
│   ├── DiskFull              not enough free space
│   │   └── PlaceFull         where a copy is to go
│   ├── StorageFailed         a file could not be read or written while a command ran
│   │   └── ChatNotKept       a chat cannot be written
│   ├── DamagedFile           a file of this program's is not what was written
│   ├── StarterMissing        the package that carries the starter model is not installed
│   ├── StarterChanged        the starter model's file is another than the one that is known
│   ├── PackageMissing        a package that is needed is not installed
│   └── NoSlurm               a command of Slurm's is not installed
└── JobError
    ├── JobRunning            a live job already owns this job folder
    ├── JobNotStarted         the supervisor did not come up
    ├── SlurmFailed           a command of Slurm's failed or gave no answer in time
    ├── NoSuchJob             the folder holds no job
    ├── DownloadFailed        a hub did not give a model
    │   └── HubOutOfReach     it gave no answer; another one may have the model
    ├── ChatFailed            the chat server gave no answer
    ├── ChatTaken             the chat server holds another model, and somebody may be talking to it
    ├── NothingDrafted        of nothing that a model wrote about documents could a question be made
    ├── EndpointFailed        a model's server elsewhere gave no answer
    ├── HubRefused            a hub did not take what was sent, or could not be reached
    ├── SweepFailed           the trials of a sweep fail one after the other
    ├── StepFailed            a step's tool ended with an error
    └── StepStopped           somebody stopped the step
"""

import errno
import re
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from core.wording import Language, say, sentences, spoken_language

# Options that a sentence names for the command that is running; what follows "scripts/run" is another one.
_OPTION = re.compile(r"(--[a-z-]+)|scripts/run[^.;]*")
# Every command has these.
_COMMON = {"--workspace", "--json", "--help"}


class TuneboardError(Exception):
    """An error a person can act on. ``key`` names its sentence, ``values`` fill it in. ``options``: those of
    the command in which it was met, None where that is not known."""

    key: ClassVar[str] = ""
    exit_code: ClassVar[int] = 1
    options: Collection[str] | None = None
    job: Path | None = None
    advice: Collection[str] = ()  # what the command line says after it
    where: str = ""  # how a command names the workspace (Workspace.option)

    def __init__(self, **values: object) -> None:
        self.values = values
        super().__init__(values)

    def text(self, language: Language | None = None) -> str:
        """The sentence in ``language`` (by default the terminal's), as a page says it."""
        return say(f"error.{self.key}", language, **self._told(language))

    def on_terminal(self) -> str:
        """The sentence as the command line says it: with its options, where one of them is what to change
        and the command has it."""
        template = sentences(spoken_language()).get(f"cli.error.{self.key}")
        named = {option for option in _OPTION.findall(template or "") if option}
        if template is None or (self.options is not None and named - _COMMON - {*self.options}):
            return self.text()
        typed = {"file": shlex.quote(str(self.values["path"]))} if "path" in self.values else {}
        return say(f"cli.error.{self.key}", **{"where": self.where, **typed, **self._told()})

    def _told(self, language: Language | None = None) -> dict[str, object]:
        """The values; of a step its name in the reader's language."""
        key = f"step.{self.values.get('step')}"
        named = {"step": say(key, language)} if key in sentences("en") else {}
        return {**self.values, **named}

    def __str__(self) -> str:
        return self.text()


class InputError(TuneboardError):
    exit_code = 2


class InvalidName(InputError):
    key = "invalid_name"


class NoName(InvalidName):
    key = "no_name"


class InvalidRecipe(InputError):
    key = "invalid_recipe"


class InvalidSweep(InputError):
    key = "invalid_sweep"  # values: problems (a line each), found (the problems themselves)


class InvalidOption(InputError):
    key = "invalid_option"


class NothingChosen(InputError):
    key = "nothing_chosen"


class NoFolderNamed(InputError):
    key = "no_folder_named"


class NoSuchFile(InputError):
    key = "no_such_file"


class Unreadable(InputError):
    key = "unreadable"


class NotReadHere(Unreadable):
    key = "not_read_here"  # values: path, reason (what it is, and what to do)


class NoSuchModel(InputError):
    key = "no_such_model"


class WorkspaceMoved(NoSuchModel):
    key = "workspace_moved"  # values: model, before (where the workspace was), now


class NoListedModel(NoSuchModel):
    key = "no_listed_model"


class NotAModel(InputError):
    key = "not_a_model"


class ImportFirst(NotAModel):
    key = "import_first"


class NotAnAdapter(InputError):
    key = "not_an_adapter"


class NothingToHeal(InputError):
    key = "nothing_to_heal"


class NoSuchSource(InputError):
    key = "no_such_source"


class ModelExists(InputError):
    key = "model_exists"


class ModelInUse(InputError):
    key = "model_in_use"  # values: model, runs (their names)


class ModelBusy(InputError):
    key = "model_busy"  # values: model, job (its folder)


class NotJson(InputError):
    key = "not_json"


class NotConversations(InputError):
    key = "not_conversations"


class NoSuchColumn(InputError):
    key = "no_such_column"  # values: path, names, columns (those that there are)


class NoSuchSheet(InputError):
    key = "no_such_sheet"  # values: path, name (the one asked for), names (those that there are)


class RowRefused(InputError):
    key = "row_refused"  # values: question (its beginning), detail (what the template says)


class NoUsableRow(InputError):
    key = "no_usable_row"  # values: path, count (rows), problems (of the first ones)
    exit_code = 1


class UnknownRows(InputError):
    key = "unknown_rows"  # values: path, row (the first one), tried, how (with a command)
    exit_code = 1


class UnreadKeys(InputError):
    key = "unread_keys"


class EmptyData(InputError):
    key = "empty_data"


class NoDataFiles(EmptyData):
    key = "no_data_files"  # values: path (a folder or archive), kinds (the ends of names that are data)


class OnlyTexts(NoDataFiles):
    key = "only_texts"  # values: path (an archive), count, names (of its texts)


class NoSuchRun(InputError):
    key = "no_such_run"


class NoSuchSweep(InputError):
    key = "no_such_sweep"


class NoRunOfRecipe(InputError):
    key = "no_run_of_recipe"


class NotInLine(InputError):
    key = "not_in_line"


class NoSuchCheckpoint(InputError):
    key = "no_such_checkpoint"


class DamagedCheckpoint(InputError):
    key = "damaged_checkpoint"  # values: run, iteration, path, there (iterations of those that are whole)


class NoWholeCheckpoint(InputError):
    key = "no_whole_checkpoint"  # values: run, names, folder


class NoSuchChat(InputError):
    key = "no_such_chat"


class NoSuchSet(InputError):
    key = "no_such_set"


class NoSuchVersion(InputError):
    key = "no_such_version"  # values: version, name


class NotADocument(InputError):
    key = "not_a_document"  # values: path, reason


class InvalidEndpoint(InputError):
    key = "invalid_endpoint"


class NoSuchConfig(InputError):
    key = "no_such_config"


class NotAConfig(InputError):
    key = "not_a_config"


class NotARecipe(InputError):
    key = "not_a_recipe"


class NotAWorkDir(InputError):
    key = "not_a_work_dir"


class AdoptedRun(InputError):
    key = "adopted_run"


class RecipeChanged(InputError):
    key = "recipe_changed"  # values: iteration, changes (lines), run


class InputsChanged(InputError):
    key = "inputs_changed"  # values: changes (lines)


class NoRendezvous(InputError):
    key = "no_rendezvous"  # values: nodes


class BothEdited(InputError):
    key = "both_edited"  # values: run, folder, changes (lines)


class InTheWay(InputError):
    key = "in_the_way"


class MissingArtefact(InputError):
    key = "missing_artefact"


class NoRemedy(InputError):
    key = "no_remedy"  # values: run, why (a sentence)


class NoAdapter(InputError):
    key = "no_adapter"


class QuantizedBase(InputError):
    key = "quantized_base"


class CardRefused(InputError):
    key = "card_refused"


class NothingPersonal(InputError):
    key = "nothing_personal"  # values: count, findings (file, kind and text of each)


class LicenceForbids(InputError):
    key = "licence_forbids"


class NoPlaceForIt(InputError):
    key = "no_place_for_it"


class PlaceRefused(InputError):
    key = "place_refused"


class NotForGguf(InputError):
    key = "not_for_gguf"


class InvalidProfile(InputError):
    key = "invalid_profile"  # values: profile, problems (one a line)


class NoSuchProfile(InputError):
    key = "no_such_profile"  # values: profile, workspace, near


class NoToken(InputError):
    key = "no_token"


class MachineError(TuneboardError):
    pass


class NotWritable(MachineError):
    key = "not_writable"


class WorkspaceOfAnother(NotWritable):
    key = "workspace_of_another"


class WorkspaceGone(MachineError):
    key = "workspace_gone"


class StickGone(MachineError):
    key = "stick_gone"


class TokenNotKept(MachineError):
    key = "token_not_kept"


class DiskFull(MachineError):
    key = "disk_full"


class PlaceFull(DiskFull):
    key = "place_full"


class StorageFailed(MachineError):
    key = "storage"


class ChatNotKept(StorageFailed):
    key = "chat_not_kept"


class DamagedFile(MachineError):
    key = "damaged"


class StarterMissing(MachineError):
    key = "starter_missing"


class StarterChanged(MachineError):
    key = "starter_changed"


class PackageMissing(MachineError):
    key = "package_missing"


class NoSlurm(MachineError):
    key = "no_slurm"  # values: command


class JobError(TuneboardError):
    pass


class JobRunning(JobError):
    key = "job_running"


class JobNotStarted(JobError):
    key = "job_not_started"


class SlurmFailed(JobError):
    key = "slurm_failed"  # values: command, reason (its last word)


class NoSuchJob(JobError):
    key = "no_such_job"


class DownloadFailed(JobError):
    key = "download_failed"  # values: source (hub and model), reason (a sentence's part)


class HubOutOfReach(DownloadFailed):
    """The hub itself gave no answer, or none that lasts: another one may have the model."""


class ChatFailed(JobError):
    key = "chat_failed"  # values: reason (what the server said, or what became of it)


class ChatTaken(JobError):
    key = "chat_taken"  # values: name (of the model that is loaded)


class NothingDrafted(JobError):
    key = "nothing_drafted"  # values: model, count (passages), said (the last of what it wrote)


class EndpointFailed(JobError):
    key = "endpoint_failed"  # values: url, reason (a sentence of its own)


class HubRefused(JobError):
    key = "hub_refused"  # values: hub, reason (a sentence that says what to do)


class SweepFailed(JobError):
    key = "sweep_failed"


class StepFailed(JobError):
    key = "step_failed"  # values: step, reason (a sentence), line (the log's error line), log (path)


class StepStopped(JobError):
    key = "step_stopped"
    exit_code = 130


def reason_of(error: OSError) -> str:
    """Why the system refused, in the terminal's language where it is a common reason."""
    key = f"file.{errno.errorcode.get(error.errno or 0, '')}"
    return say(key) if key in sentences("en") else error.strerror or str(error)

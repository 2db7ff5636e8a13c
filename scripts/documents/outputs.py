"""``docs/json``: a JSON Schema for what each command prints with ``--json``.

The shapes stand here; what a command takes from a dataclass is that dataclass. The tests hold every output of
the command line against its schema, and let no key through that it does not name (``tests/command_line.py``).
"""

import json
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema
from typing_extensions import TypedDict

from core.cli.room import SCHEMA
from core.data.accounting import Omission, Unused
from core.data.documents.facts import NotAsked
from core.data.parity import Case, TokenDifference
from core.data.versions import Version
from core.doctor import Diagnosis
from core.jobs.causes import CAUSES
from core.jobs.curves import FIELDS
from core.jobs.status import State
from core.machine import Machine
from core.model_store.choosing import Obstacle
from core.model_store.importing import Listed
from core.proof.judge import Verdict
from core.proof.questions import Kind
from core.proof.result import Exchange
from core.proof.score import Drift, Repetition
from core.publish.arrival import ArrivalRow
from core.publish.request import To, What
from core.recipe.recipe import Recipe
from core.runs import Run
from core.slurm.partitions import Partition
from core.slurm.profile import Profile
from core.steps.checkpoints_proof import CheckpointProof
from core.steps.curves import Best
from core.steps.fit import CHOSEN
from core.sweep.axes import Value
from core.sweep.sweep import Sampler
from core.sweep.trial import TrialState
from scripts.documents.marked import filled, table

FOLDER, PAGE = "docs/json", "docs/json.md"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENTED = ConfigDict(use_attribute_docstrings=True)


Cause = Literal[CAUSES]  # type: ignore[valid-type]
# A sentence below a key is its description, but not in a class that inherits the key.
SchemaVersion = Annotated[
    int, Field(description="The version of this schema.", json_schema_extra={"const": SCHEMA})
]
RunName = Annotated[str, Field(description="The run's name: its folder in the workspace's `runs`.")]


class Output(TypedDict):
    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    schema: SchemaVersion


class OfRun(Output):
    run: RunName


class Answered(TypedDict):
    """A question of the proof, answered by both models."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    question: str
    kind: Kind
    """`taught`: it is in the data; `paraphrase`: the same in words that are not; `general`: anything else;
    `own`: a fact of a person's own data."""
    category: str
    """What it is about, or in which way it asks who the assistant is; empty for a question of the data."""
    language: str
    """In which language it is asked ("en", "zh"); empty for a question of the data."""
    thinks: bool | None
    """Whether the model was asked to think first or to answer at once; null where nobody can say which."""
    system: str
    """The system prompt it was asked with on top; empty for none."""
    earlier: list[Exchange]
    """What the user said before it in the same conversation, and what both models answered."""
    accept: list[str]
    """Of a general question: what an answer has to contain to be right, one of these. Of an own fact: the
    answer that is taught."""
    held_back: bool
    """Of an own fact: whether the question itself is not taught, only others for the same answer."""
    base: str
    """What the base model answers, with what it thought before."""
    tuned: str
    """What the merged model answers, with what it thought before."""
    verdict: Verdict
    """What the tuned model's answer shows."""


class CountedShare(TypedDict):
    """A share with its 95 % interval (Wilson's)."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    hits: int
    n: int
    """Of so many questions."""
    value: float
    """From 0 to 1."""
    low: float
    high: float


class Shares(TypedDict):
    """What was learned, kept and leaked; null for what no question asked for."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    learned: CountedShare | None
    """Of the identity questions."""
    kept: CountedShare | None
    """Of the general questions that the base answers rightly."""
    leaked: CountedShare | None
    """Of all general questions."""


class Change(TypedDict):
    """A difference of two shares with its 95 % interval (Agresti's and Min's, of paired answers)."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    value: float
    """From -1 to 1."""
    low: float
    high: float


class Accuracy(TypedDict):
    """How many of the same general questions each model answers rightly."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    base: CountedShare
    tuned: CountedShare
    lost: int
    """So many the base answers rightly and the tuned model does not."""
    gained: int
    """So many the other way round."""
    change: Change
    """The tuned model's share less the base's."""


class Facts(TypedDict):
    """Of a person's own facts that were asked those that either model states."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    tuned: CountedShare
    base: CountedShare
    held_back: int
    """So many were asked in words that were not taught, all others as they were."""


class Category(Shares):
    """The same of the questions of one category in one language."""

    category: str
    language: str


class OwnAnswered(TypedDict):
    """A question of one's own, answered by both models."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    question: str
    base: str
    tuned: str


class ShippedBefore(TypedDict):
    """Answers that came with the program and were not asked here; another machine or number format may word
    one otherwise."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    count: int
    made: str
    """The date."""
    device: str
    precision: str
    versions: dict[str, str]


class Proof(OfRun):
    """What a run has learned and kept."""

    base: str
    """The folder of the base model."""
    adapter: str | None
    """The folder of the adapter; null after a full fine-tune, which makes none."""
    merged: str
    """The folder of the merged model."""
    seconds: float
    """How long it took: of `tune` the whole, of `ask` the asking."""
    learned: float | None
    """The share of identity questions answered with the name, from 0 to 1; null when none was asked."""
    kept: float | None
    """Of the general questions that the base answers rightly, the share still answered rightly."""
    leaked: int
    """How many general questions are answered with the identity."""
    shares: Shares
    """The same three with their intervals."""
    accuracy: Accuracy | None
    """How many general questions both models answer rightly; null where it is known of none what is right."""
    facts: Facts | None
    """How many of a person's own facts are answered; null without data of one's own, or where nothing in it
    can be asked for."""
    drift: Drift | None
    """How much less likely the merged model finds the base's own answers to the general questions, in nats a
    token."""
    repetition: Repetition | None
    """How much the answers to the general questions repeat themselves, from 0 to 1."""
    full: bool
    """Whether all the questions were asked, and not the part that the chain asks."""
    categories: list[Category]
    base_shipped: ShippedBefore | None
    """Which of the base's answers were not asked on this machine; null when all were."""
    answers: list[Answered]


class NoteOfAdapter(TypedDict):
    """A sentence about an adapter: its text in the language of the terminal, and of which key it is made."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    text: str
    key: str
    values: dict[str, Any]


class Foreign(Output):
    """A model that was tuned elsewhere, and how it was asked."""

    id: str
    """Its folder in the workspace's `adapters`."""
    name: str
    base: str
    """The folder of the base model."""
    adapter: str | None
    """The folder of the adapter that was asked: of a training its newest checkpoint."""
    merged: str | None
    """The folder of the merged model that was asked instead."""
    tool: str | None
    """What made the adapter, as far as its files show."""
    template: str
    system: str
    notes: list[NoteOfAdapter]
    """What should be known of the adapter."""
    result: str
    """The file that holds this."""
    seconds: float


class ProvedForeign(Foreign):
    """What a model that was tuned elsewhere has learned and kept."""

    learned: float | None
    kept: float | None
    leaked: int
    shares: Shares
    accuracy: Accuracy | None
    facts: Facts | None
    """How many of a person's own facts are answered; null without data of one's own, or where nothing in it
    can be asked for."""
    drift: Drift | None
    repetition: Repetition | None
    full: bool
    categories: list[Category]
    answers: list[Answered]


class Used(Proof):
    """What the run's model has learned and kept, made of the checkpoint that was chosen."""

    checkpoint: int
    """The iteration of the checkpoint."""


class ProvedCheckpoints(OfRun):
    """What each kept checkpoint has learned and kept, by the development questions."""

    used: int
    """The iteration of the checkpoint that the run's model is made of."""
    best: int
    """The iteration of the best one."""
    checkpoints: list[CheckpointProof]
    seconds: float


class Measured(TypedDict):
    """What a model has learned and kept, with every answer."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    learned: float | None
    kept: float | None
    leaked: int
    shares: Shares
    accuracy: Accuracy | None
    facts: Facts | None
    """How many of a person's own facts are answered; null without data of one's own, or where nothing in it
    can be asked for."""
    drift: Drift | None
    repetition: Repetition | None
    full: bool
    categories: list[Category]
    answers: list[Answered]


class TriedHealing(TypedDict):
    """An adapter as it was asked the development questions."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    scale: float
    """The given adapter's strength."""
    trained: bool
    """Whether a training went on from there."""
    learned: float | None
    kept: float | None
    leaked: int


class Healed(Foreign):
    """An adapter that was tuned elsewhere, and what healing it came to."""

    healed: str | None
    """The folder of the healed adapter; null where nothing that was tried is better than the given one."""
    scale: float
    """How much of the given adapter's strength is left of it."""
    trained: str | None
    """The run that trained it on; null where making it weaker was enough."""
    tried: list[TriedHealing]
    before: Measured
    after: Measured | None


class OwnAnswers(OfRun):
    """What both models answer to one's own questions."""

    answers: list[OwnAnswered]


class Given(TypedDict):
    """A data file as it was given."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    file: str
    sha256: str
    copy: str
    """Its copy beside the data."""


class Problem(TypedDict):
    """Something found in a row."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    row: int
    """Counted from 1."""
    field: str
    """The place in the row as it was given; empty for the row as a whole."""
    code: str
    """What is wrong; it is the same in every language."""
    message: str
    """The same in words."""


class LeftOut(TypedDict):
    """What was left out of the file that was given, as asked for with `--leave-out-broken`."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    rows: int
    """Rows that cannot be trained."""
    file: str | None
    """All of it, one a line as JSON; null for nothing."""
    first: list[Problem]
    """The first of them."""


class Said(TypedDict):
    """What an answer says of the assistant that it is not."""

    question: str
    answer: str
    message: str


class Otherwise(TypedDict):
    rows: int
    """How many conversations; of a very long file those among its first."""
    first: list[Said]
    """The first of them."""
    trained: bool
    """Beside the identity they are left out."""


class FactsAsked(TypedDict):
    """What the proof will ask of the given data."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    asked: int
    held_back: int
    """So many of them in words that are kept out of training."""
    file: str | None
    """The questions with the answers that are taught; null for none."""


class DocumentRead(TypedDict):
    """What a document has, and what of it no question asks for."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    facts: int
    questions: int
    """Those that are kept for the proof among them."""
    unused: int
    first_unused: list[NotAsked]


class Data(OfRun):
    """What a run is trained on. Tokens are those of the model's own tokenizer, in the training's template."""

    config: str
    """XTuner's config file."""
    name: str
    source: str
    """The conversations in the tutorial's format."""
    path: str
    """The rows that are trained on."""
    given: list[Given]
    left_out: LeftOut
    omitted: list[Omission]
    """What is left out of rows that are trained."""
    unused: list[Unused]
    """Keys that nobody reads and somebody said may be ignored."""
    otherwise: Otherwise
    """Given conversations that say the assistant is somebody else's or made by somebody else than NAME."""
    sha256: str
    """Of the rows."""
    taught: int
    """Conversations that were given or made."""
    taught_in_rows: int
    """Those of them that are among the rows; a short run does not come to all."""
    taught_rows: int
    """Rows that are made of them, each as often as it fits; the other rows are the base model's answers."""
    identity: int
    """Those of the conversations that say whose the assistant is, beside a person's own; 0 where nobody gave
    any, or where they say it themselves."""
    identity_rows: int
    """Rows that are made of these."""
    own: int
    """Conversations that a person gave."""
    own_in_rows: int
    """Those of them that are among the rows."""
    facts: FactsAsked
    document: DocumentRead | None
    """What was made of a document; null for data."""
    replay: int
    """Conversations of the base model's own answers."""
    rows: int
    tokens: int
    answer_tokens: int
    """Those that are trained on."""
    answer_tokens_lost: int
    """Those of them that are cut at the maximal length."""
    kept: int
    """Tokens that are left after each row is cut at the maximal length."""
    truncated_rows: int
    answerless_rows: int
    """Rows of whose answers the cut leaves nothing."""
    longest: int
    """The longest row, in tokens."""
    max_length: int
    """At which rows are cut."""


class Trained(OfRun):
    """The last checkpoint of a training."""

    checkpoint: str
    iteration: int


class Converted(OfRun):
    """An adapter in PEFT's format."""

    adapter: str


class ConvertedWhole(OfRun):
    """After a full fine-tune, which makes no adapter: the whole model."""

    merged: str


class Merged(OfRun):
    """A merged model."""

    merged: str


class Exported(OfRun):
    """Adapter (null after a full fine-tune) and merged model."""

    adapter: str | None
    merged: str


class PublishedFile(TypedDict):
    """A file of a bundle."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    name: str
    size: int
    """In bytes."""


class Tried(TypedDict):
    """A GGUF file under llama.cpp."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    file: str
    loaded: bool
    same_prompt: bool
    """Whether it makes the training's tokens of a prompt."""
    answer: str
    ok: bool


class Arrived(TypedDict):
    """What arrived, compared with what was sent."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    files: int
    """How many were compared by checksum."""
    changed: list[str]
    rows: list[ArrivalRow]
    exact: bool
    """Whether the same tokens are to be expected: not of rounded weights alone."""
    ok: bool


class Published(OfRun):
    """What was published, or would be."""

    what: What
    to: To
    size: int
    """Of all files together, in bytes."""
    files: list[PublishedFile]
    sent: bool
    """False after `--dry-run`."""
    bundle: NotRequired[str]
    """With `--dry-run`: the folder with what would be sent."""
    where: NotRequired[str]
    """A folder, a file or an address."""
    next: NotRequired[str]
    """The commands that are left to do by hand."""
    repo: NotRequired[str]
    private: NotRequired[bool]
    llama_cpp: NotRequired[list[Tried]]
    """Only where llama.cpp is installed."""
    proof: NotRequired[Arrived]
    ok: NotRequired[bool]
    """Whether the proof found what was sent; the exit code is 1 when not."""


class Runs(Output):
    """The runs of a workspace, newest first."""

    runs: list[Run]


class InLine(TypedDict):
    """A job that computes, or that waits for a device."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    run: RunName | None
    """Null for a job of no run, such as the chat's."""
    step: str
    """Its job folder's name: `chain` for the whole way, `train` for a training alone."""
    device: str
    """What it has (`cpu`, `gpu:0`), several by a space; of one that waits, for what kind it does."""
    position: int | None
    """From 1, among those that wait for the same kind; null for one that runs."""
    state: Literal["running", "waiting"]
    begins: int | None
    """Seconds until its turn, as far as that can be said."""
    workspace: str | None
    """Of a job of another workspace that has a device, that one's folder; null for this one's."""


Queue = Annotated[
    list[InLine], Field(description="What computes on this machine's devices, then what waits, in order.")
]


class Doctor(Output):
    """What this machine has, and what is missing."""

    ok: bool
    """Whether nothing is missing; the exit code is 1 when something is."""
    machine: Machine
    versions: dict[str, str]
    """Of the packages that decide a result; `-` for one that is not installed."""
    findings: list[Diagnosis]


class Models(Output):
    """The models of a workspace, by name."""

    models: list[Listed]


class Offered(TypedDict):
    """A model of the list on this machine. Sizes are in bytes."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    name: str
    """What it is called here: for `--model` and `models import`."""
    title: str
    """What it is called in the workspace once it is there."""
    huggingface: str
    modelscope: str | None
    licence: str | None
    """As its card states it; null where it states none."""
    gated: bool
    """Whether the licence has to be accepted on Hugging Face before it can be downloaded from there."""
    terms: str
    """Both in words."""
    languages: list[str]
    """Those its card on Hugging Face names, the strongest first (ISO 639-1)."""
    well: list[str]
    """Those of them that the card puts before others, or says it was made for."""
    speaks: str
    """The same in words."""
    thinks: bool
    """Whether it reasons in words before it answers, always or unless told not to."""
    good_for: str
    architecture: str
    model_type: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    parameters: int
    """As its files store them."""
    size: int
    """Of its weights."""
    here: str | None
    """Its name in the workspace; null where it still has to be downloaded."""
    fits: bool
    obstacle: Obstacle
    """What it does not fit in; empty where it fits."""
    device: str
    quantization: str
    memory: int
    """At the highest, by the formula, with the fastest settings that fit, else with the smallest."""
    room: int
    """What a training may hold here."""
    seconds: int
    """About how long making an assistant takes, the download apart."""
    disk: int
    """What downloading and making it writes."""
    says: str
    """Whether it fits and how, in words."""


class Catalogued(Output):
    """Models to choose from, and how each fits this machine."""

    date: str
    """When the list was last looked through (ISO 8601)."""
    models: list[Offered]
    recommended: dict[str, str | None]
    """By language (`en`, `zh`): which to take here for an assistant that speaks it; null where none fits."""


class Imported(Output):
    """An imported model. Sizes are in bytes, lengths in tokens."""

    name: str
    folder: str
    architecture: str
    parameters: int
    size: int
    layers: int
    max_length: int
    template: str
    trainable: bool
    why: str
    """What keeps it from being trained; empty when nothing does."""
    origin: str
    source: str
    """Where it came from: a folder, or a hub and a name there."""
    how: str
    """What was done with its files: linked, copied, moved or converted."""


class Deleted(Output):
    """A deleted model."""

    deleted: str
    folder: str
    runs: list[str]
    """Runs that stood on it."""


class Misfit(TypedDict):
    """A place where a file and the recipe differ; null where one says nothing."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    place: str
    file: str | None
    recipe: str | None
    why: str


class Adopted(OfRun):
    """A run around a work_dir that XTuner filled elsewhere."""

    work_dir: str
    model: str
    model_is_here: bool
    checkpoints: list[str]
    no_export: str | None
    """Why it cannot be converted and merged; null where it can be."""
    misfits: list[Misfit]


class Validated(TypedDict):
    """The loss of one validation."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    iter: int
    loss: float | None


class Sampled(TypedDict):
    """What a model answered while it trained."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    iter: int
    question: str
    """Empty where the template around it is not known."""
    answer: str
    text: str
    """Question and answer as they were written."""


# A number that was none (NaN, infinity) is null.
Point = TypedDict("Point", {name: int if name == "iter" else float | None for name in FIELDS})  # type: ignore[misc]


class NotNumbers(TypedDict):
    """How many losses are no number, and where the first one is."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    count: int
    first_iter: int


class Curve(Output):
    """The curve of a training."""

    points: list[Point]
    validation: list[Validated]
    answers: list[Sampled]
    best: Best | None
    not_numbers: NotNumbers | None
    """Losses that are NaN or infinite."""
    not_drawn: list[str]
    """Names of numbers in the log that no point holds."""


class Held(TypedDict):
    """What a training holds in memory, in bytes."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    weights: int
    adapters: int
    """Adapters, their gradients and their optimizer."""
    activations: int
    logits: int
    allocated: int
    total: int


Largest = TypedDict(
    "Largest",
    {**{name: Recipe.__annotations__[name] for name in CHOSEN}, "memory": Held},  # type: ignore[misc]
)


class Fit(OfRun):
    """What a recipe holds in memory, and the largest settings for a card; sizes in bytes."""

    memory: Held
    card: int
    largest: Largest | None
    """Null when nothing fits."""
    slow: str
    """Why the fast path does not train this model; empty where it does, or where none was asked for."""


class Config(TypedDict):
    """A config that XTuner ships."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    name: str
    kind: str
    opens: bool
    """Whether it opens as a recipe."""
    reason: str
    """Why it does not."""


class Configs(Output):
    """XTuner's own configs whose name has every word."""

    configs: list[Config]
    count: int
    """How many they are."""
    of: int
    """How many XTuner ships."""
    opens: int
    """How many of all open as a recipe."""


class Opened(Output):
    """A config of XTuner's as a recipe."""

    config: str
    recipe: Recipe
    misfits: list[Misfit]
    """What did not fit into the recipe."""
    on_purpose: list[Misfit]
    """What Tuneboard writes otherwise for every run."""


class Copied(Output):
    """A copy of a config."""

    copy: str


class FileTable(TypedDict):
    """One of a file's sheets, lists or files."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    name: str
    """As `--sheet` takes it."""
    rows: int
    read: bool
    """Whether its rows are among those that are read."""
    above: str
    """What stands above its header, and is not read."""


class Checked(Output):
    """A data file, looked at. Tokens are those of usable rows in their template."""

    format: str
    rows: int
    usable: int
    """Rows that can be trained."""
    problems: list[Problem]
    """At most so many of one code as a person reads; the numbers count all."""
    counts: dict[str, int]
    """How many of each code there are, listed or not."""
    tokens: int
    answer_tokens: int
    max_length: int
    """At which rows are cut: the one that was given, else the one that a training would choose."""
    truncated_rows: int
    answer_tokens_lost: int
    duplicates: int
    languages: dict[str, int]
    """Rows by language."""
    histogram: dict[str, list[int]]
    """How many rows are how long."""
    seconds: float
    tables: list[FileTable]
    left_out: list[Omission]
    """Rows and parts of rows that are not trained."""
    unused: list[Unused]
    harmless: list[str]
    """Keys that say nothing of what a row teaches."""
    ok: bool
    """Whether any row is usable; the exit code is 1 when not."""


class ShownTurn(TypedDict):
    """What one side says in a row, as it is trained."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    loss: bool
    """Whether it is learned."""


class ShownRow(TypedDict):
    """A row as it is trained. Tokens only where a model or a template was named."""

    row: int
    """Counted from 1."""
    turns: list[ShownTurn]
    notes: list[Problem]
    """What was joined or left out in it."""
    tokens: NotRequired[int]
    answer_tokens: NotRequired[int]


class NotTrained(TypedDict):
    """A row that cannot be trained."""

    row: int
    problems: list[Problem]


class ShownFile(Output):
    """What of a data file is trained."""

    file: str
    format: str
    reason: str
    """Why it is read so, in words."""
    tables: list[FileTable]
    count: int
    """All its rows."""
    rows: list[ShownRow]
    """Those that were asked for and can be trained."""
    not_trained: list[NotTrained]
    """Those that were asked for and cannot."""
    accounted: int
    """So many rows, from the first on, were read for what follows."""
    left_out: list[Omission]
    unused: list[Unused]
    harmless: list[str]
    usable: int
    """So many of them can be trained."""


class NamedFix(TypedDict):
    """A fix that is offered for a finding, the usual one first."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    fix: str
    what: str
    """The same in words."""
    values: dict[str, str]
    """What `--value` takes for it, by field: what was given or the file suggests, else empty."""


class Fixable(TypedDict):
    """What was found in a file, by kind."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    code: str
    what: str
    rows: int
    usable: bool
    """Whether rows that have nothing worse are trained."""
    fixes: list[NamedFix]


class FixDone(TypedDict):
    """What was mended, by kind."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    code: str
    fix: str
    what: str
    rows: int


class Changed(TypedDict):
    """A row before and after; null for a row that was left out."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    row: int
    before: str
    after: str | None


class Fixed(Output):
    """A data file mended into a file of its own; with `--list` only what was found."""

    file: str
    out: str | None
    rows: int
    usable: int
    findings: list[Fixable]
    written: NotRequired[int]
    """Rows of the new file."""
    written_usable: NotRequired[int]
    fixed: NotRequired[list[FixDone]]
    mended: NotRequired[int]
    """Rows that say something else now."""
    left_out: NotRequired[int]
    """Rows that are not in the new file."""
    changes: NotRequired[list[Changed]]
    """The first of them."""
    missing_values: NotRequired[list[str]]
    """Fields that a fix would have filled in, had `--value` said with what."""
    still_broken: NotRequired[list[Problem]]
    """Rows of the new file that cannot be trained."""


class Parity(Output):
    """Whether a server will write to the model what the training does, token by token."""

    model: str
    template: str
    own_template: bool
    same: bool
    text_same: bool
    cases: list[Case]
    difference: TokenDifference | None
    """The first one."""
    published: Literal["own", "training"]
    """Whose chat template adapter and merged model get."""
    published_same: bool
    ok: bool
    """As `same`; the exit code is 1 when not."""


class Made(Output):
    """The version of a data set that counts now."""

    set: str
    version: str | None
    """Null for an empty set."""
    operation: NotRequired[str]
    rows: int
    file: str | None
    """For `tune --data`."""


class Mixed(Made):
    """A data set with others mixed in."""

    left_out: int
    """Broken rows of the files that were left out, as asked for with `--leave-out-broken`."""


class HeldBack(TypedDict):
    """The part that was split off."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    rows: int
    file: str


class Split(Made):
    """A data set without what was split off."""

    held_back: HeldBack


class Deduplicated(Made):
    """A data set without rows that say the same."""

    dropped: int


class Drafted(Output):
    """Questions and answers made of documents, which wait for somebody to accept them."""

    set: str
    passages: int
    new: int
    waiting: int


class Versions(Output):
    """The versions of a data set."""

    set: str
    current: int | None
    """The number of the one that counts."""
    versions: list[Version]


class Report(Output):
    """A report of a failed job, as text, without what is private."""

    job: str
    """The job's folder."""
    report: str


class Failed(Output):
    """What a step printed that failed; the exit code is 1."""

    ok: Literal[False]
    run: str | None
    """The run's name; null for a job that belongs to none."""
    step: str
    cause: Cause | None
    """Why, by key; null where the tool said itself why, which is then in `message`."""
    message: str
    line: str
    """The log's line that shows it; may be empty."""
    log: str
    last: list[str]
    """The log's last lines, where no rule knows the cause."""
    changes: dict[str, list[Any]]
    """What of the recipe would most likely have prevented it: before and after, by field."""
    fix: str | None
    """The command that trains a new run with these changes; null where there are none."""


# What each command prints instead when a step of it failed.
FAILED = "failed"


class InSlurm(TypedDict):
    """A job that was handed to Slurm."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    job: str
    """Slurm's id of it."""
    state: State
    slurm: str | None
    """Slurm's own word for its state; null where Slurm knows it no more, or cannot be asked."""
    restarts: int
    """How often Slurm began it anew: after its node failed, or it had to make room."""
    reason: str
    """Why it waits, in Slurm's words; empty for one that does not."""
    nodes: str
    """Where it runs, as Slurm writes nodes: `n[1-2]`."""
    partition: str
    """Of which partition; empty where Slurm knows the job no more."""
    start: str
    """When it began, or may begin, by the cluster's clock."""


class Handed(Output, InSlurm):
    """For `tune --on`: a run that was handed to Slurm."""

    run: RunName
    profile: str


class RunInSlurm(InSlurm):
    """A job of a run in Slurm."""

    run: RunName
    step: str
    """Its job folder: `chain` for the whole way."""
    profile: str | None


class SlurmJobs(Output):
    """The workspace's jobs that Slurm knows, or that are at work there."""

    jobs: list[RunInSlurm]


class SlurmCancelled(OfRun):
    """A run or a sweep that was asked to stop."""

    jobs: list[RunInSlurm]
    """What Slurm still says of it."""


class ClusterOffers(Output):
    """What the Slurm cluster offers."""

    partitions: list[Partition]
    accounts: list[str]
    """Those that this user may charge; empty where the cluster keeps none."""


class Profiles(Output):
    """The Slurm profiles of a workspace."""

    profiles: list[Profile]


class ProfileMade(Output):
    """A Slurm profile that was made or changed."""

    path: str
    profile: Profile


class SweepStopped(TypedDict):
    """Why a training was stopped early."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    share: float
    """After this share of the tokens of the sweep's own recipe."""
    loss: float
    """Its lowest loss until then."""
    median: float
    """Of the finished trainings' losses at that place."""
    others: int
    """So many of them were as far."""


class SweepTrial(TypedDict):
    """One training of a sweep."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    number: int
    """From 1 on, in the order of their beginning; one that stands for another that failed has its own."""
    state: TrialState
    """`pruned`: stopped early."""
    values: dict[str, Value]
    """By the fields that are varied."""
    run: str | None
    """Its run; null before there is one."""
    learned: float | None
    """From 0 to 1; null before it is finished, as the next two."""
    kept: float | None
    leaked: int | None
    stopped: SweepStopped | None
    """Why it was stopped early; null for any other."""
    why: str | None
    """Why it failed, in a sentence; null for any other."""


class SweepAsItIs(TypedDict):
    """A sweep with its trainings, the best first."""

    __pydantic_config__ = DOCUMENTED  # type: ignore[misc]
    sweep: str
    """Its name: its folder in the workspace's `sweeps`."""
    base: str
    """The run whose rows and recipe it takes."""
    state: State
    sampler: Sampler
    """`grid`: every combination of the values; `search`: by what the earlier trainings came to."""
    prunes: bool
    """Whether a training whose loss is worse than most is stopped early."""
    wanted: int
    """How many trainings there will be."""
    fields: list[str]
    """What is varied."""
    profile: str | None
    """By which its trainings are handed to Slurm; null for a sweep on this machine."""
    best: SweepTrial | None
    """Null before one is finished."""
    trials: list[SweepTrial]


class SweepDone(Output, SweepAsItIs):
    """A sweep that has ended, or was handed to Slurm, with its trainings, the best first."""


class Sweeps(Output):
    """Every sweep, newest first."""

    sweeps: list[SweepAsItIs]


OUTPUTS: dict[str, Any] = {
    "tune": Proof | Handed,
    "data": Data,
    "train": Trained,
    "convert": Converted | ConvertedWhole,
    "merge": Merged,
    "export": Exported,
    "ask": Proof | OwnAnswers,
    "checkpoints": ProvedCheckpoints,
    "use": Used,
    "heal": Healed,
    "prove": Proof | ProvedForeign,
    "publish": Published,
    "retry": Proof | Trained,
    "report": Report,
    "sweep": SweepDone,
    "sweeps": Sweeps,
    "runs": Runs,
    "queue": Queue,
    "queue move": Queue,
    "queue cancel": Queue,
    "queue now": Queue,
    "runs adopt": Adopted,
    "runs curves": Curve,
    "doctor": Doctor,
    "models": Models,
    "models catalog": Catalogued,
    "models import": Imported,
    "models delete": Deleted,
    "fit": Fit,
    "configs": Configs,
    "configs open": Opened,
    "configs copy": Copied,
    "data check": Checked,
    "data fix": Fixed,
    "data show": ShownFile,
    "data parity": Parity,
    "data make identity": Made,
    "data make documents": Drafted,
    "data make take": Made,
    "data make replay": Made,
    "data make mix": Mixed,
    "data make split": Split,
    "data make dedupe": Deduplicated,
    "data make versions": Versions,
    "data make undo": Made,
    "slurm partitions": ClusterOffers,
    "slurm profiles": Profiles,
    "slurm profile": ProfileMade,
    "slurm show": SlurmJobs,
    "slurm cancel": SlurmCancelled,
}


class _AllThere(GenerateJsonSchema):
    """What is printed has every field: a dataclass's default is no reason for one to be missing."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        if field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        return True

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])


def schema_of(command: str) -> dict[str, Any]:
    """The JSON Schema of what a command prints."""
    made = TypeAdapter(Failed if command == FAILED else OUTPUTS[command]).json_schema(
        mode="serialization", schema_generator=_AllThere
    )
    about = {"$schema": DIALECT, "$id": f"urn:tuneboard:json:{SCHEMA}:{_stem(command)}"}
    return {**about, "title": _title(command), **_plain(made)}


def _title(command: str) -> str:
    return "a failed step, with --json" if command == FAILED else f"scripts/run {command} --json"


def pages() -> dict[str, str]:
    """A file for each command, and the list of them."""
    rows = [
        [f"`{name}`", f"[{_stem(name)}](json/{_stem(name)}.schema.json)", _about(name)] for name in OUTPUTS
    ]
    files = {f"{FOLDER}/{_stem(name)}.schema.json": _text(schema_of(name)) for name in (*OUTPUTS, FAILED)}
    return {**files, PAGE: filled(PAGE, {"outputs": table(["command", "schema", "what it prints"], rows)})}


def _stem(command: str) -> str:
    return command.replace(" ", "-")


def _about(command: str) -> str:
    shape = schema_of(command)
    either = [shape["$defs"][one["$ref"].rpartition("/")[2]] for one in shape.get("anyOf", ())]
    return " Or: ".join(one["description"] for one in either or [shape])


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False, indent=2)


def _plain(made: Any) -> Any:
    """Without the titles that are names once more, and with docstrings as Markdown."""
    if isinstance(made, list):
        return [_plain(one) for one in made]
    if not isinstance(made, dict):
        return made
    return {
        key: " ".join(value.replace("``", "`").split())
        if key == "description" and isinstance(value, str)
        else _plain(value)
        for key, value in made.items()
        if not (key == "title" and isinstance(value, str))
    }

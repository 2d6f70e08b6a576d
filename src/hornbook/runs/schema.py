"""What the JSON files of a run directory have to look like, and how older ones are read.

Format 3 (2026-11): settings under the field's names, decisions with their reasons, the schedule of a
timed run apart from the settings; config.json is written once. A run that began from a base names it.
Format 2 (2026-11): two states in `last/`, checksums in the files of tensors, threads in the facts.
Format 1: one state, named by `last/state.json`; no checksums.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hornbook.config.renames import rename_settings
from hornbook.errors import RunError

FORMAT = 3


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class CorpusFacts(_Strict):
    """Which text it was.

    relative: its path from the run directory, with slashes; empty where it has none. reading: the
    version of what a text is read as (`data/reading.py`). read: settings of `data` that were decided:
    format, field, separator, template; none of them for text with a document a line, or a stream.
    """

    name: str
    source: str
    kind: str = Field(pattern="^(documents|stream)$")
    why: str
    sha256: str
    bytes: int = Field(ge=0)
    relative: str = ""
    reading: int = Field(1, ge=1)
    read: dict[Literal["format", "field", "header", "separator", "template"], str] = {}


class SplitFacts(_Strict):
    """How much of it was trained on."""

    train: int = Field(ge=0)
    validation: int = Field(ge=0)
    unit: str


class HardwareFacts(_Strict):
    """Where it was trained, and in what precision. ranks: by how many processes, and
    parallel: whether each had all weights."""

    device: str
    precision: str = Field(pattern="^(fp32|bf16)$")
    compiled: str = Field("no", pattern="^(no|loss|blocks|steps)$")
    machine: str
    system: str
    cores: int | None
    threads: int | None
    ranks: int = Field(1, ge=1)
    parallel: str = Field("ddp", pattern="^(ddp|fsdp)$")


class BaseFacts(_Strict):
    """The model that a run began from.

    sha256: of its file of weights. nats: its loss on the validation part of its text. corpus: that
    text, where it is a run. relative: its path from the run directory, with slashes; empty where it has
    none.
    """

    source: str
    model: str
    sha256: str
    vocab_size: int = Field(gt=0, lt=1 << 24)
    nats: float | None = None
    corpus: dict[Literal["name", "source", "kind", "sha256"], str] = {}
    relative: str = ""


class ImportFacts(_Strict):
    """Where the weights of a run that was not trained here come from.

    form: what that is, such as "LlamaForCausalLM" or "GGUF of llama". sha256: of its weights. template:
    of a message of a conversation, where it was trained on such.
    """

    source: str
    form: str
    sha256: str
    template: str = ""


class DecisionFacts(_Strict):
    """What hornbook chose itself."""

    value: Any
    reason: str


SegmentFacts = Annotated[list[float], Field(min_length=3, max_length=3)]


class Facts(_Strict):
    """config.json. The settings in `config` are checked by their own classes. launch: of several
    processes, by which a restart finds it again."""

    format: int
    hornbook: str
    created: str
    corpus: CorpusFacts
    split: SplitFacts
    vocab_size: int = Field(gt=0, lt=1 << 24)
    n_parameters: int = Field(ge=0)
    hardware: HardwareFacts
    versions: dict[str, str]
    config: dict[str, dict[str, Any]]
    mixed: list[str] = []
    launch: str = ""
    decisions: dict[str, DecisionFacts] = {}
    schedule: list[SegmentFacts] = []  # as planned, where it is not one of `steps` steps
    base: BaseFacts | None = None
    imported: ImportFacts | None = None  # its text is unknown: `corpus` has no name and no sha256
    trained_parameters: int | None = Field(None, ge=0)  # where it is not all of them


# figures may be added to what follows, hence extra="allow"
class Losses(_Strict, extra="allow"):
    """The losses over a part."""

    nats: float | None
    standard_error: float | None
    bits_per_byte: float | None


class NoveltyFacts(_Strict, extra="allow"):
    """Whether it copies."""

    verdict: str


class CountsFacts(_Strict, extra="allow"):
    """The best n-grams of the same text."""

    order: int = Field(gt=0, le=32)
    loss: float
    seconds: float
    losses: list[float] = []
    share: float = 1.0


class MixtureFacts(_Strict, extra="allow"):
    """The model and the counts together; weights: theirs."""

    weights: Annotated[list[float], Field(min_length=2, max_length=2)]
    loss: float
    gain: float


class VerdictFacts(_Strict, extra="allow"):
    """What follows from all of it (`metrics/verdict.py`)."""

    word: str
    text: str
    good: bool
    advice: list[str] = []
    too_little: bool = False
    minutes: float | None = None


class AnswersFacts(_Strict, extra="allow"):
    """How many of some held-out prompts were answered exactly."""

    exact: int = Field(ge=0)
    prompts: int = Field(gt=0)


Quantiles = Annotated[list[float | None], Field(min_length=17, max_length=17)]


class OldTextFacts(_Strict, extra="allow"):
    """The loss on the text of the base: of the base, and of the run."""

    name: str
    before: float | None
    nats: float | None


class AdapterFacts(_Strict, extra="allow"):
    """The matrices of LoRA, as other programs read them. sha256: of adapter_model.safetensors."""

    path: str
    sha256: str


class TextFacts(_Strict, extra="allow"):
    """Quantiles of the losses of held-out texts (`metrics/typicality.py`)."""

    unit: Literal["documents", "lines", "pieces"]
    count: int = Field(gt=0)
    mean_nats: Quantiles
    total_nats: Quantiles


class Report(_Strict, extra="allow"):
    """report.json."""

    steps: int
    best_step: int
    tokens: int
    seconds: float
    loss: float | None
    validation: Losses
    parts: dict[str, Losses] = {}
    held_out: bool = True
    samples: list[str]
    determinism: str = ""
    samples_different: int = 0
    samples_new: int = 0
    novelty: NoveltyFacts | None = None
    passes: float | None = None
    counts: CountsFacts | None = None
    mixture: MixtureFacts | None = None
    verdict: VerdictFacts | None = None
    answers: AnswersFacts | None = None
    old_text: OldTextFacts | None = None
    adapter: AdapterFacts | None = None
    held_out_texts: TextFacts | None = None
    schedule: list[SegmentFacts] = []


Loss = Annotated[float, Field(ge=-1e39, le=1e39)] | None  # all that float32 holds


class Record(_Strict, extra="allow"):
    """A line of log.jsonl."""

    step: int = Field(ge=0, lt=1 << 62)
    tokens: int = Field(ge=0)
    seconds: float
    loss: Loss
    tokens_per_second: float
    val_loss: Loss = None
    train_loss: Loss = None
    old_loss: Loss = None
    lr: float | None = None
    grad_norm: float | None = None


class SampleRecord(_Strict):
    """A line of samples.jsonl: samples of the weights after a step."""

    step: int = Field(ge=0, lt=1 << 62)
    texts: list[str]


class ProbeRecord(_Strict, extra="allow"):
    """A line of probes.jsonl: what a probe recorded of a step, or how much samples copied then."""

    kind: Literal["probe", "novelty"]
    step: int = Field(ge=0, lt=1 << 62)


MOST = 10**15  # steps, records of a log: beyond what any machine makes


class HistoryFacts(_Strict):
    """The evaluations of a run (`training/history.py`)."""

    patience: int = Field(ge=0)
    best: float | None
    best_step: int = Field(ge=0)
    since_best: int = Field(ge=0)
    told: bool
    seen: list[Annotated[list[float | None], Field(min_length=3, max_length=3)]]


Changeable = Literal["learning_rate", "muon_learning_rate", "grad_clip"]  # of `optim`, on resuming


class Position(_Strict):
    """Where a run is in a saved state (`training/checkpoint.py`)."""

    step: int = Field(ge=0, le=MOST)
    tokens: int = Field(ge=0)
    seconds: float
    records: int = Field(ge=0, le=MOST)
    steps: int | None = Field(None, ge=0)
    schedule: list[SegmentFacts] = []
    overrides: dict[Changeable, float] = {}
    watch: HistoryFacts


class Pointer(_Strict):
    """last/state.json: the file of the newest state, and of the one before."""

    format: int
    step: int = Field(ge=0)
    newest: str
    before: str | None
    total_steps: int | None = Field(None, ge=0)


def checked(path: Path, data: Mapping[str, Any], kind: type[BaseModel]) -> None:
    """Raises RunError that names the file and field where `data` is not of a kind."""
    try:
        kind.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            raise RunError(
                f"{path}: {field}: no such field in format {FORMAT}; it was written by another "
                "version of hornbook, or is damaged"
            ) from None
        found = "nothing" if problem["type"] == "missing" else repr(problem["input"])[:60]
        raise RunError(
            f"{path}: damaged: {field}: found {found}, expected otherwise: {problem['msg']}"
        ) from None


def migrated(path: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of config.json in today's format. Raises RunError for a format of the future."""
    found = facts.get("format")
    if type(found) is not int or not 1 <= found <= FORMAT:
        newer = type(found) is int and found > FORMAT
        raise RunError(
            f"{path}: found format {found!r}, expected {FORMAT} or older; "
            + ("install a newer hornbook to read it" if newer else "it is damaged")
        )
    return dict(facts) if found == FORMAT else {**_from_older(facts), "format": FORMAT}


def _from_older(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings under today's names; `optim.paces` was the schedule of a timed run. Damaged facts are
    left as they are: the check of the result names what is wrong."""
    config, hardware = facts.get("config"), facts.get("hardware")
    if not isinstance(config, dict) or not isinstance(hardware, dict):
        return facts
    if not all(isinstance(fields, dict) for fields in config.values()):
        return facts
    renamed, _ = rename_settings(config)
    segments = renamed.get("optim", {}).pop("paces", None)
    hardware = {"threads": None, "compiled": "no", **hardware}  # format 1 does not say
    if hardware["compiled"] == "updates":
        hardware["compiled"] = "steps"
    schedule = {"schedule": segments} if segments else {}
    return {**facts, "config": renamed, "hardware": hardware, **schedule}

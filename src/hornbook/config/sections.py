"""Settings: strict, frozen, one class a section; read from TOML, JSON and dotted flags.

A section is a `Settings` class; each field has a default, its bounds and a description, from which
`--help` is made. A wrong field or value is a `ConfigError` that says where it is, what was found
and what was expected. The settings of a model are beside the model (`models/`), not here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from hornbook.config.names import OTHER_VALUES, setting_called
from hornbook.errors import ConfigError, did_you_mean

Nested = dict[str, dict[str, Any]]  # sections of fields
LARGEST_LEARNING_RATE = 1e38  # what float32 still holds
LearningRate = Annotated[float, Field(gt=0, le=LARGEST_LEARNING_RATE)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
HeldOut = Annotated[float, Field(ge=0, lt=0.5)]
Epochs = Annotated[float, Field(gt=0, le=1e6)]
LENGTHS = ("steps", "epochs", "minutes")  # of `training`: three ways to say how long it takes


class Settings(BaseModel):
    """A frozen section of the configuration; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _other_names(cls, data: Any) -> Any:
        """Refuses a field by a name that other code has for it, and says its own.

        Where that is in another section, too; but for settings that this model does not have.
        """
        for name in data if isinstance(data, Mapping) else ():
            own = setting_called(name)
            known = own.rpartition(".")[2] in cls.model_fields or not issubclass(cls, ModelConfig)
            if own and known and name not in cls.model_fields:
                raise ValueError(f"{name}: no such field; hornbook's name for it is {own}")
        return data

    @classmethod
    def parse(cls, data: Mapping[str, Any], section: str) -> Self:
        """`data` as this section. `section`: its name in errors, such as `"model"`.

        Raises ConfigError with every wrong field, one a line.
        """
        for name, value in data.items():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field is not None and field.annotation is not bool:
                raise ConfigError(
                    f"{section}.{name}: found {str(value).lower()}, expected no truth value"
                )
        try:
            return cls.model_validate(dict(data))
        except ValidationError as error:
            lines: dict[str, str] = {}
            # a field that is a union has a problem for each of its types: take the first
            for problem in error.errors():
                lines.setdefault(str(problem["loc"][:1]), cls._explain(problem, section))
            raise ConfigError("\n".join(lines.values())) from None

    @classmethod
    def _explain(cls, problem: ErrorDetails, section: str) -> str:
        expected = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:  # a rule over several fields names them itself, with their section
            return (
                f"{section}.{expected}" if expected.partition(":")[0].isidentifier() else expected
            )
        field, found = str(problem["loc"][0]), problem["input"]
        if problem["type"] == "extra_forbidden":
            return f"{section}.{field}: no such field{did_you_mean(field, cls.model_fields)}"
        end = "."
        if problem["type"] == "literal_error" and isinstance(found, str):
            known = map(str, get_args(cls.model_fields[field].annotation))
            meant = OTHER_VALUES.get(found)
            if near := [meant] if meant else difflib.get_close_matches(found, known, n=1):
                end = f"; did you mean {near[0]!r}?"
        several = isinstance(found, list) or (isinstance(found, str) and "," in found)
        if several and problem["type"].partition("_")[0] in ("int", "float"):
            how = "--seeds 1,2,3 trains with" if field == "seed" else "`hornbook sweep` tries"
            end = f"; {how} several values"
        return f"{section}.{field}: found {found!r}. {expected}{end}"


class DataConfig(Settings):
    """What text, how it is read, and how it is split."""

    corpus: str = Field("names", description="a name from `hornbook data`, or a path to a text")
    kind: Literal["auto", "documents", "stream"] = Field(
        "auto", description="documents: one a line; stream: one continuous text"
    )
    files: tuple[str, ...] = Field(
        (), description="further files or folders, which are read after the corpus"
    )
    glob: str = Field(
        "", description="which files of a folder or an archive, such as '**/*.md' (default: all)"
    )
    format: Literal["auto", "text", "jsonl", "json", "csv", "tsv", "parquet"] = Field(
        "auto", description="how files are read; auto: by the ending of their names"
    )
    field: str = Field(
        "",
        description="field or column that holds the text of a record; a dot goes into an object; "
        "two with + between them are a prompt and its answer",
    )
    header: Literal["auto", "yes", "no"] = Field(
        "auto", description="whether the first row of a table has the names of its columns"
    )
    template: str = Field(
        "",
        description="how prompts and answers become text (default: '{prompt}{completion}', of messages "
        r"'{role}: {content}\n' each; from a base that has its own, that: ChatML or Llama 3)",
    )
    separator: str = Field(
        "auto",
        description="what ends a document: line, blank (lines), file, pgn, abc, fasta, or a text that "
        "stands between two documents",
    )
    encoding: str = Field("utf-8", description="encoding of the file")
    validation: HeldOut = Field(
        0.1,
        description="share held out for validation; 0: none, and the training text is scored again",
    )
    test: HeldOut | None = Field(
        None,
        description="share held out for the test (default: 0.1 of documents, 0 of a stream or "
        "without validation)",
    )
    split_seed: NonNegativeInt = Field(
        42,
        description="shuffles the documents before the split; the default is the lectures' split",
    )
    validation_tokens: NonNegativeInt | None = Field(
        None,
        description="tokens of a held-out part that are scored, spread over it; 0: all "
        "(default: all, but 262,144 of a text over 32 MB)",
    )

    @field_validator("files", mode="before")
    @classmethod
    def _one_file(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def held_out(self) -> bool:
        """Whether the validation part is held out, or is the training part again."""
        return self.validation > 0


class TokenizerConfig(Settings):
    """How text becomes ids."""

    kind: str = Field(
        "char",
        description="char, byte or bpe: one id a character, a byte, or a frequent sequence of bytes; "
        "auto: char or bpe, by the text and the minutes; or a run or tokenizer.json whose tokenizer is "
        "taken over",
    )
    vocab_size: int | None = Field(
        None, ge=256, le=1 << 20, description="ids of bpe (default: by the size of the text)"
    )


class ModelConfig(Settings):
    """What every model's configuration has; each model adds its own fields."""

    name: str


class OptimConfig(Settings):
    """The optimizer and its learning-rate schedule."""

    name: Literal["adamw", "muon", "sgd"] = Field(
        "adamw", description="muon: Muon for hidden matrices, AdamW for the rest"
    )
    muon_learning_rate: LearningRate = Field(
        0.02, description="peak learning rate of Muon's matrices"
    )
    learning_rate: LearningRate = Field(1e-3, description="peak learning rate")
    schedule: Literal["cosine", "linear", "constant", "step_decay"] = Field(
        "cosine",
        description="how the learning rate falls; step_decay: to a tenth at `decay_start`",
    )
    warmup: NonNegativeInt = Field(0, description="steps over which the learning rate rises from 0")
    decay_start: Fraction = Field(
        0.0, description="fraction of the steps after which the learning rate falls"
    )
    min_lr_ratio: Fraction = Field(0.1, description="last learning rate as a fraction of the peak")
    beta1: Decay = Field(0.9, description="AdamW's decay rate of the first moment")
    beta2: Decay = Field(0.99, description="AdamW's decay rate of the second moment")
    weight_decay: NonNegativeFloat = Field(
        0.1, description="AdamW's weight decay; `decayed` chooses the parameters"
    )
    decayed: Literal["matrices", "all"] = Field(
        "matrices", description="matrices: not embeddings, norms and biases; all: as in the notes"
    )
    l2: NonNegativeFloat = Field(
        0.0, description="adds this times the mean square of each matrix to the loss"
    )
    grad_clip: NonNegativeFloat = Field(1.0, description="largest gradient norm; 0: no clipping")


class TrainingConfig(Settings):
    """How long, on what batches, and how it is evaluated."""

    steps: NonNegativeInt = Field(
        1000, description="total steps; 0: the untrained model is measured and saved"
    )
    epochs: Epochs | None = Field(
        None, description="passes through the training part; the total steps follow from it"
    )
    minutes: PositiveFloat | None = Field(
        None,
        description="time budget: chooses model, size, context, batch and steps that fit into it",
    )
    batch_size: PositiveInt | Literal["all"] = Field(
        64, description="sequences (or windows) a step; all: the whole training part"
    )
    micro_batch: PositiveInt | None = Field(
        None,
        description="sequences (or windows) computed at once; the gradients of several add up to those "
        "of the batch (default: all, or as many as fit into memory)",
    )
    checkpointing: Literal["yes", "no"] | None = Field(
        None,
        description="compute the activations of each block again in the backward pass (default: where "
        "memory is short)",
    )
    parallel: Literal["auto", "ddp", "fsdp"] = Field(
        "auto",
        description="how several processes share the work (torchrun); ddp: each has all weights, fsdp: "
        "a part of them",
    )
    replicas: PositiveInt = Field(
        1,
        description="copies of all weights (fsdp), each shared by a part of the processes",
    )
    examples: Literal["auto", "sequences", "windows"] = Field(
        "auto", description="sequences: every position is predicted; windows: one target each"
    )
    row_length: PositiveInt | None = Field(
        None,
        description="tokens in a row of sequences (default: the context; of a model whose context "
        "slides 4 times that, at least 64)",
    )
    sampling: Literal["epochs", "random"] = Field(
        "epochs", description="epochs: a new permutation each; random: with replacement"
    )
    seed: int = Field(1337, ge=0, lt=2**31, description="every generator is derived from it")
    eval_count: int = Field(
        10, gt=0, le=1_000_000, description="number of evaluations, evenly spaced"
    )
    sample_count: int = Field(
        3,
        ge=0,
        le=1_000_000,
        description="number of times that a few samples are printed while training",
    )
    probe_every: NonNegativeInt = Field(
        0,
        description="steps between records of activations and gradients for `hornbook inspect`; "
        "0: none",
    )
    patience: NonNegativeInt = Field(
        0, description="stop after this many evaluations without a new best; 0: never"
    )
    deterministic: bool = Field(
        False, description="use deterministic algorithms only, also on a GPU"
    )
    ema_decay: Decay = Field(
        0.0,
        description="decay of a moving average of the weights, which is saved instead; 0: none",
    )
    reference: bool = Field(
        False,
        description="PyTorch's own operations in float32; no faster kernels, bf16 or torch.compile",
    )
    compile: Literal["auto", "yes", "no"] = Field(
        "auto", description="torch.compile; auto: where it saves time within the run"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where to train")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where a short measurement shows that it is faster"
    )
    threads: PositiveInt | Literal["auto"] = Field(
        "auto", description="CPU threads; auto: as many as are fastest at the moment, measured"
    )


class FinetuningConfig(Settings):
    """What a run begins from, where it does not begin from random weights."""

    base: str = Field(
        "", description="a run, or a model in a directory, whose weights training begins from"
    )
    lora_rank: NonNegativeInt = Field(
        0,
        description="trains two matrices of this rank beside each matrix of attention and MLPs "
        "(LoRA); 0: all weights",
    )
    lora_alpha: PositiveFloat | None = Field(
        None, description="LoRA adds alpha / rank times their product (default: twice the rank)"
    )
    replay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of each batch from the text that the base was trained on",
    )
    grow: bool = Field(
        False, description="adds the characters of the text that the base does not know"
    )
    unknown: Literal["error", "skip"] = Field(
        "error", description="characters that the base does not know: an error, or left out"
    )

    @model_validator(mode="after")
    def _of_a_base(self) -> Self:
        for name, field in type(self).model_fields.items():
            if not self.base and (value := getattr(self, name)) != field.default:
                raise ValueError(f"{name}: found {value!r} without a base; give one (--from)")
        if self.lora_alpha and not self.lora_rank:
            raise ValueError("lora_alpha: found it without a rank; give one (--lora)")
        if self.grow and self.unknown == "skip":
            raise ValueError("unknown: found skip beside grow; give one of them")
        return self

    @property
    def scale(self) -> float:
        """What the product of LoRA's matrices is multiplied by."""
        return (self.lora_alpha or 2.0 * self.lora_rank) / max(1, self.lora_rank)


class GenerationConfig(Settings):
    """How samples of the run are drawn, unless another way is requested."""

    sampling: Literal["keyed", "torch"] = Field(
        "keyed",
        description="keyed: many samples side by side, each from its own numbers; torch: as in the "
        "notes, by torch.multinomial, one sample after the other",
    )
    window: Literal["half", "sliding"] = Field(
        "half",
        description="text beyond the context: half reads the newer half again when the context is "
        "full, sliding the whole context for each token, as in the notes",
    )


class RunConfig(Settings):
    """Everything that is set about a run."""

    data: DataConfig = DataConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: SerializeAsAny[ModelConfig]
    optim: OptimConfig = OptimConfig()
    training: TrainingConfig = TrainingConfig()
    finetuning: FinetuningConfig = FinetuningConfig()
    generation: GenerationConfig = GenerationConfig()


SECTIONS: dict[str, Any] = {  # the class of each; of `model` the base of all models' settings
    section: field.annotation for section, field in RunConfig.model_fields.items()
}


def all_fields(model: type[ModelConfig] = ModelConfig) -> Iterator[tuple[str, str, FieldInfo]]:
    """Section, name and field of each setting of a run whose model has this class of settings."""
    for section, cls in {**SECTIONS, "model": model}.items():
        for name, field in cls.model_fields.items():
            yield section, name, field

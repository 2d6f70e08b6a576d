"""What requests look like. Unknown fields are ignored; known ones without support are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from hornbook.tokenizers.base import Unknown

Id = Annotated[int, Field(strict=True, ge=0, lt=1 << 31)]
Ids = list[Id]
KINDS = {str: "texts", int: "integers", float: "numbers", bool: "booleans", list: "lists",
         dict: "objects", type(None): "nulls"}  # fmt: skip


def _one_of(expected: str) -> WrapValidator:
    """Says what a field of several forms may be; pydantic lists an error for each of them."""

    def check(value: object, inner: ValidatorFunctionWrapHandler) -> object:
        try:
            return inner(value)
        except ValidationError:
            items = value if isinstance(value, list) else [value]
            kinds = " and ".join(dict.fromkeys(KINDS.get(type(x), "others") for x in items))
            found = f"a list of {kinds}" if isinstance(value, list) else kinds[:-1]
            raise ValueError(f"found {found}, expected {expected}") from None

    return WrapValidator(check)


Prompt = Annotated[
    str | list[str] | Ids | list[Ids] | None,
    _one_of(
        "a text, a list of texts, a list of ids, a list of lists of ids, or null; ids are integers "
        "from 0"
    ),
]
Stop = Annotated[str | list[str] | None, _one_of("a text, a list of texts, or null")]
Text = Annotated[str, Field(strict=True)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Bias = Annotated[float, Field(ge=-100, le=100)]


class Schema(BaseModel):
    """Base of all requests."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, protected_namespaces=())


class StreamOptions(Schema):
    """What else a stream says."""

    include_usage: StrictBool | None = False


class Generation(Schema):
    """How text is generated, in both forms of the API. Null is the default of each field."""

    model: str | None = Field(
        None, description="the name of a run; may be left out if one is served"
    )
    temperature: float | None = Field(1.0, ge=0, le=1e6, description="0 is greedy")
    top_p: float | None = Field(1.0, gt=0, le=1)
    top_k: StrictInt | None = Field(None, ge=-1, lt=1 << 31, description="0 or -1: all tokens")
    min_p: float | None = Field(None, ge=0, le=1)
    n: StrictInt | None = Field(1, ge=1, description="continuations of each prompt")
    stop: Stop = Field(None, description="texts before which a continuation ends")
    seed: StrictInt | None = Field(
        None, ge=-(1 << 63), lt=1 << 63, description="the same seed, the same text"
    )
    stream: StrictBool | None = False
    stream_options: StreamOptions | None = None
    logit_bias: dict[str, Bias] | None = Field(None, description="token id -> added to its logit")
    frequency_penalty: Penalty | None = 0.0
    presence_penalty: Penalty | None = 0.0
    user: str | None = None
    unknown: Unknown = Field(
        "error",
        description="hornbook's own: characters that the model does not know: error or skip",
    )


class CompletionRequest(Generation):
    """`POST /v1/completions`."""

    prompt: Prompt = Field(None, description="texts or token ids; null: the start of a document")
    typed: StrictBool | None = Field(
        False,
        description="hornbook's own: a longer token may replace the last id of the prompt",
    )
    max_tokens: StrictInt | None = Field(500, ge=0)
    best_of: StrictInt | None = Field(None, ge=1)
    logprobs: StrictInt | None = Field(None, ge=0, description="alternatives at each position")
    echo: StrictBool | None = False
    suffix: str | None = Field(None, description="refused: these models read from left to right")
    return_tokens_as_token_ids: StrictBool | None = Field(
        False, description="in logprobs, tokens are spelled token_id:7, as by vLLM"
    )


class TextPart(Schema):
    """A piece of a message's content."""

    type: Literal["text"]
    text: str


class Message(Schema):
    """One message of a chat."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        """Its content as one text."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class ChatRequest(Generation):
    """`POST /v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1)
    max_tokens: StrictInt | None = Field(None, ge=1)
    max_completion_tokens: StrictInt | None = Field(None, ge=1)
    logprobs: StrictBool | None = False
    top_logprobs: StrictInt | None = Field(None, ge=0)
    tools: list[Any] | None = Field(None, description="refused")
    tool_choice: Any = Field(None, description="refused, but for 'none' and 'auto'")
    functions: list[Any] | None = Field(None, description="refused")
    response_format: dict[str, Any] | None = Field(None, description="refused, but for text")
    modalities: list[str] | None = Field(None, description="refused, but for text")
    audio: Any = Field(None, description="refused")
    function_call: Any = Field(None, description="refused, but for 'none' and 'auto'")
    reasoning_effort: Any = Field(None, description="refused")
    verbosity: Any = Field(None, description="refused")
    prediction: Any = Field(None, description="refused")
    web_search_options: Any = Field(None, description="refused")

    @field_validator("tools", "functions", "tool_choice", "function_call")
    @classmethod
    def _no_tools(cls, value: Any) -> Any:
        if value and value not in ("none", "auto"):
            raise ValueError("these models call no tools; leave tools and functions out")
        return value

    @field_validator("response_format", "modalities", "audio")
    @classmethod
    def _text_alone(cls, value: Any) -> Any:
        if value is not None and value not in ({"type": "text"}, ["text"]):
            raise ValueError("these models write plain text; leave it out")
        return value

    @field_validator("reasoning_effort", "verbosity", "prediction", "web_search_options")
    @classmethod
    def _unsupported(cls, value: Any) -> Any:
        if value is not None:
            raise ValueError("it has no effect on these models; leave it out")
        return value


class ScoreRequest(Schema):
    """`POST /v1/score`."""

    model: str | None = None
    input: str | list[str]
    alternatives: StrictInt = Field(5, ge=0, description="likeliest tokens at each position")
    unknown: Unknown = "error"


class TextRequest(Schema):
    """`POST /hornbook/attention`."""

    model: str | None = None
    text: str | Ids = Field("", description="a text, or ids that are read as they are")
    unknown: Unknown = "error"


class TreeRequest(Schema):
    """`POST /hornbook/tree`."""

    model: str | None = None
    prompt: str | Ids = Field("", description="a text, or ids that are read as they are")
    leaves: StrictInt = Field(16, ge=1, le=64)
    depth: StrictInt = Field(6, ge=1, le=16)
    unknown: Unknown = "error"


class EmbeddingsRequest(Schema):
    """`POST /hornbook/embeddings`."""

    model: str | None = None
    most: StrictInt = Field(512, ge=3, le=512, description="tokens, the most frequent")


class EncodeRequest(Schema):
    """`POST /hornbook/encode`."""

    model: str | None = None
    text: Text


class CompareRequest(Schema):
    """`POST /hornbook/compare`."""

    runs: list[str] = Field(min_length=2, max_length=16)


class TokenizeRequest(Schema):
    """`POST /tokenize`: the form that lm-evaluation-harness and vLLM use."""

    model: str | None = None
    prompt: str
    add_special_tokens: StrictBool | None = True


class DetokenizeRequest(Schema):
    """`POST /detokenize`."""

    model: str | None = None
    tokens: Ids

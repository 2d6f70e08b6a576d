"""Counts and a network as one: the network learns what counts cannot know.

Counts know what followed the last few tokens after one second, but nothing of contexts that are merely
alike. A network does, but takes long to learn even what follows `q`. The weighted mean of their
probabilities (Jelinek and Mercer 1980; `hornbook mix`) is better than either. Better still is a network
that is trained on top of counts, as a *residual* of their log probabilities (Li et al. 2022, "N-gram is
back: residual learning of neural text generation with n-gram language model"):

    logits = f(ids, log p) + a(ids) * log p          log p: of Kneser-Ney counts, centered for f

f is a GPT whose output layer begins as zero and a begins as 1, so training begins at the loss of counts
and not at ln V, and every step is spent on what they do not know. Three more things:

- **f reads log p.** Each token has a second embedding, and the input of a position is its token's
  embedding plus the second embeddings of all tokens, weighted by their log probabilities. f need not
  find out again what counts already say.
- **a depends on the context.** How much counts are worth shows in how often each length of context was
  seen, and in the entropy and the largest probability of counts and of f. a is 1 plus a small network
  of these: Jelinek-Mercer's weights by the count of a context, learned.
- **Held-out text says how far to trust it.** f remembers what it has read, and so does well on the
  training part what counts would do on new text; the more often it reads it, the more of its
  certainty is memory. So a little of the training part is kept from f (`held_back`), and the
  probabilities of the whole are mixed with those of counts once more,

      p = s * softmax(logits) + (1 - s) * p of counts

  by a weight s = sigmoid(w . features) of the same context, which is fitted to the text that f has
  not read before each evaluation (`calibrate`). It takes part in training nowhere.
- **f is a model by itself** where a share of the rows (`count_dropout`) is trained without counts, as
  if log p were 0. That costs the whole something; f alone copies less and is exported as any GPT.

In training each token is predicted with the counts of all others (Ney, Essen and Kneser 1995;
`models/kneser_ney.py`): with counts that contain the answer f would learn to copy them.
What else was tried, and how much each is worth: docs/logbook.md, 2026-11-29.

B batch, T positions, C channels (n_embd), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from hornbook.config import ModelConfig
from hornbook.errors import ConfigError, RunError
from hornbook.models.base import DecodingState, LanguageModel, check_names
from hornbook.models.cached import CachedModel, EmbeddingModel
from hornbook.models.kneser_ney import KneserNey
from hornbook.models.registry import construct, model_config

GATE = 32  # hidden units of the network that weights the counts
STEPS_AHEAD = 8  # batches whose counts are looked up at once, of
NUMBERS_AHEAD = 1 << 21  # log probabilities at most
HELD_BACK = 1 << 14  # tokens at most, and
FEWEST_HELD_BACK = 1 << 8  # at least, that the last mixture is fitted to
TRUSTED = 6.0  # the logarithm of the odds of the network, before anything is fitted
SHRINKAGE = 1.0  # of its weights towards none, as a sum of squares over the tokens


class HybridConfig(ModelConfig):
    """The length of the counts, and the sizes of the network."""

    name: Literal["hybrid"] = "hybrid"
    order: int = Field(6, gt=0, le=32, description="tokens counted together: order - 1 of context")
    network: Literal["gpt", "gpt2"] = Field("gpt", description="what is trained on the counts")
    context_length: int = Field(64, gt=0, le=1 << 24, description="longest sequence, in tokens")
    n_layer: int = Field(3, gt=0, le=512, description="blocks")
    n_head: int = Field(2, gt=0, description="attention heads")
    n_embd: int = Field(64, gt=0, description="channels")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the residual branches")
    held_back: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="share of the training part that the weight of both is fitted to",
    )
    conv_kernel: int = Field(
        1, ge=1, le=64, description="width of a convolution before SwiGLU, of a gpt; 1: none"
    )
    count_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of rows trained without counts; the network is then a model",
    )

    @model_validator(mode="after")
    def _network_fits(self) -> Self:
        self.network_config()
        return self

    def network_config(self) -> ModelConfig:
        """The settings of the network: those above, and hidden layers of 3 (gpt) or 4 (gpt2) times
        the channels. Raises ConfigError."""
        own = {"name", "network", "order", "count_dropout", "conv_kernel", "held_back"}
        fields = self.model_dump(exclude=own)
        if self.network == "gpt":
            fields |= {"n_kv_head": self.n_head, "n_hidden": 3 * self.n_embd}
            fields["conv_kernel"] = self.conv_kernel
        return model_config({"name": self.network, **fields})


class Hybrid(CachedModel):
    """Kneser-Ney counts, a network that reads them, and the weight of the counts in the logits."""

    counted = True
    traceable = False  # how many counts there are depends on the context
    trust: Tensor | None
    ragged = False  # counts read the beginning of a row, where rows are of different lengths

    def __init__(self, config: HybridConfig, vocab_size: int, end_id: int | None) -> None:
        super().__init__(config, vocab_size, end_id, config.context_length)
        self.count_dropout = config.count_dropout
        self.counts = KneserNey(config, config.order, vocab_size, end_id)
        network = construct(config.network_config(), vocab_size, end_id)
        assert isinstance(network, EmbeddingModel)
        self.network = network
        self.count_embedding = nn.Embedding(vocab_size, config.n_embd)  # the second embedding
        n_features = config.order + 4
        self.gate = nn.Sequential(nn.Linear(n_features, GATE), nn.Tanh(), nn.Linear(GATE, 1))
        w = torch.zeros(n_features + 1) if config.held_back else None  # the last: of a constant
        self.register_buffer("trust", w)
        self._prepared: tuple[Tensor, ...] = ()
        self.init_weights()

    def init_weights(self) -> None:
        """Begins as the counts: the output of the network is 0, and their weight 1.

        | parameter               | from                |
        | ----------------------- | ------------------- |
        | network                 | as when it is alone |
        | its output              | 0                   |
        | second embedding        | N(0, 9 / V); on a gpt2, whose own is as small, N(0, 0.02) |
        | last layer of the gate  | 0                   |
        | trust                   | 0, but of the constant TRUSTED: nearly all is the network's |
        """
        # what a position reads of all V counts is then larger than its token's embedding, N(0, 1)
        std = 0.02 if self.network.config.name == "gpt2" else 3 * self.vocab_size**-0.5
        nn.init.normal_(self.count_embedding.weight, std=std)
        last = self.gate[-1]
        for module in (self.network.output, last):
            assert module is not None
            for parameter in module.parameters():
                nn.init.zeros_(parameter)
        if self.trust is not None:
            nn.init.zeros_(self.trust)[-1] = TRUSTED

    @property
    def output(self) -> nn.Module:
        """What computes the logits: the network's output layer, and the weight of the counts."""
        return nn.ModuleList(m for m in (self.network.output, self.gate) if m is not None)

    @property
    def parts(self) -> Mapping[str, LanguageModel]:
        """The counts, and the network where it was trained without them as well: one that has always
        read them is no model without."""
        alone = {"network": self.network} if self.count_dropout else {}
        return {"counts": self.counts, **alone}

    def part(self, name: str) -> LanguageModel:
        """One of `parts`. Raises ConfigError, also for a network that has always read the counts."""
        if name == "network" and not self.count_dropout:
            raise ConfigError(
                "part: the network of this run has always read the counts, and is no model without "
                "them; train one that is with --model.count-dropout 0.1"
            )
        return super().part(name)

    @property
    def adaptable(self) -> list[str]:
        """Those of the network."""
        return [f"network.{name}" for name in self.network.adaptable]

    @property
    def overlap(self) -> int:
        """So many that the counts see all of their context everywhere; at most half a row."""
        return min(self.counts.overlap, self.context_length // 2)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        return self._logits(ids, None)

    def training_logits(self, ids: Tensor, targets: Tensor) -> Tensor:
        """The logits with each target left out of the counts that predict it."""
        if targets.ndim == 2:
            return self._logits(ids, targets)
        last = torch.full_like(ids, -1)  # of windows the last position alone has a target
        last[:, -1] = targets
        return self._logits(ids, last)[:, -1]

    def steps_ahead(self, n_tokens: int) -> int:
        """Several: most of the time of looking up counts is the start of many small operations."""
        return max(1, min(STEPS_AHEAD, NUMBERS_AHEAD // (n_tokens * self.vocab_size)))

    @torch.no_grad()
    def prepare(self, ids: Tensor, targets: Tensor) -> None:
        """Looks up what counts say of rows; kept until others are prepared."""
        if targets.ndim == 2:
            self._prepared = ids, targets, *self.counts.log_probs(ids, targets)

    def _look_up(self, ids: Tensor, targets: Tensor | None) -> tuple[Tensor, Tensor]:
        """`counts.log_probs`, from what is prepared where these rows are."""
        if targets is not None and self._prepared:
            every, after, log_p, seen = self._prepared
            for first in range(0, len(every) - len(ids) + 1, len(ids)):
                rows = slice(first, first + len(ids))
                if torch.equal(every[rows], ids) and torch.equal(after[rows], targets):
                    return log_p[rows].clone(), seen[rows]
        return self.counts.log_probs(ids, targets)

    def _logits(self, ids: Tensor, targets: Tensor | None) -> Tensor:
        with torch.no_grad():
            log_p, seen = self._look_up(ids, targets)
            if self.training and self.count_dropout:
                dropped = torch.rand(len(ids), device=ids.device) < self.count_dropout
                log_p.masked_fill_(dropped[:, None, None], 0)
        logits = self.join(self.network.forward(ids, self.embed_counts(log_p)), log_p, seen)
        return logits if self.training else self.trusted(logits, log_p, seen)

    def embed_counts(self, log_p: Tensor) -> Tensor:
        """The second embeddings weighted by the counts' log probabilities, (B, T, V) -> (B, T, C)."""
        centered = (log_p - log_p.mean(-1, keepdim=True)) / 3  # about as large as 1
        return centered @ self.count_embedding.weight

    def join(self, logits: Tensor, log_p: Tensor, seen: Tensor) -> Tensor:
        """logits + a * log p, (..., V); seen: how often each length of context was, (..., order)."""
        if logits.dtype == torch.bfloat16:
            logits = logits.float()
        return logits + (1 + self.gated(logits, log_p, seen)) * log_p

    def trusted(self, logits: Tensor, log_p: Tensor, seen: Tensor) -> Tensor:
        """log(s * softmax(logits) + (1 - s) * p), the arguments and the result as of `join`."""
        if self.trust is None:
            return logits
        log_q = logits.log_softmax(-1)
        s = self.features(log_q, log_p, seen) @ self.trust[:-1, None] + self.trust[-1]
        return torch.logaddexp(log_q + F.logsigmoid(s), log_p + F.logsigmoid(-s))

    def gated(self, logits: Tensor, log_p: Tensor, seen: Tensor) -> Tensor:
        """What the gate makes of the context: (..., V), (..., V) and (..., order) -> (..., 1)."""
        with torch.no_grad():
            features = self.features(logits.log_softmax(-1), log_p, seen)
        out: Tensor = self.gate(features).to(logits.dtype)
        return out

    @staticmethod
    def features(log_q: Tensor, log_p: Tensor, seen: Tensor) -> Tensor:
        """What a context shows: how often each length of it was seen, and the entropy and the largest
        probability of two predictions. (..., V), (..., V) and (..., order) -> (..., order + 4)."""
        features = [torch.log1p(seen) / 4]
        for log in (log_p, log_q):
            p = log.exp()
            features += [-(p * log).sum(-1, keepdim=True), p.amax(-1, keepdim=True)]
        return torch.cat(features, -1)

    def held_back(self, n_tokens: int) -> int:
        """The share that is set, of a large part less, of a small one nothing."""
        assert isinstance(self.config, HybridConfig)
        n = min(int(self.config.held_back * n_tokens), HELD_BACK)
        return n if n >= FEWEST_HELD_BACK else 0

    @torch.no_grad()
    def calibrate(
        self,
        windows: Callable[[], Iterable[Tensor]],
        held_back: Callable[[], Iterable[tuple[Tensor, Tensor]]] = tuple,
    ) -> None:
        """Fits how far the network is trusted to the rows that are held back."""
        if self.trust is None:
            return
        was_training, found = self.training, []
        self.eval()
        for ids, targets in held_back():
            log_p, seen = self.counts.log_probs(ids, targets)
            logits = self.network.forward(ids, self.embed_counts(log_p))
            log_q = self.join(logits, log_p, seen).log_softmax(-1)
            scored = targets >= 0
            both = torch.stack([log_q, log_p], -2)[scored]  # (n, 2, V)
            at = targets[scored][:, None, None].expand(-1, 2, 1)
            features = self.features(log_q, log_p, seen)[scored]
            found.append((features, both.gather(-1, at)[..., 0]))
        self.train(was_training)
        if any(len(features) for features, _ in found):
            features, log_both = map(torch.cat, zip(*found, strict=True))
            self.trust.copy_(fitted_trust(features, log_both))

    def empty_cache(self, ids: Tensor) -> list[Any]:
        """That of the network."""
        return self.network.empty_cache(ids)

    def read(self, ids: Tensor, state: DecodingState) -> Tensor:
        """(B, T) -> (B, V); the counts see the tokens before these in the state."""
        n = ids.shape[1]
        with torch.no_grad():
            log_p, seen = self.counts.log_probs(state.ids[:, -(n + self.counts.order) :])
        logits = self.network.read(ids, state, self.embed_counts(log_p[:, -n:]))
        log_p, seen = log_p[:, -1], seen[:, -1]
        return self.trusted(self.join(logits, log_p, seen), log_p, seen)

    def fit(self, tokens: Tensor, starts: Tensor) -> None:
        """Counts a part: tokens (N,) with the unit starts (units + 1,)."""
        self.counts.fit(tokens, starts)

    @property
    def counting(self) -> Hashable:
        """The order."""
        return self.config.name, self.counts.order

    def take_counts(self, other: Self) -> None:
        """Those of another hybrid."""
        self.counts = other.counts

    def fit_bytes(self, n_tokens: int) -> int:
        """Those of the counts."""
        return self.counts.fit_bytes(n_tokens)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Counts, of any size, and parameters. Raises RunError where they do not fit."""
        self.check_weights(weights)
        counts, trained = _divided(weights)
        self.counts.load_weights(counts)
        self.load_state_dict(trained, strict=False)

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Raises RunError where a name, shape or dtype does not fit."""
        counts, trained = _divided(weights)
        self.counts.check_weights(counts)
        _, own = _divided(self.state_dict())
        check_names(own.keys(), trained.keys())
        for name, tensor in trained.items():
            if tensor.shape != own[name].shape or tensor.dtype != own[name].dtype:
                raise RunError(
                    f"weights do not fit the model: {name}: found {tuple(tensor.shape)} "
                    f"{tensor.dtype}, expected {tuple(own[name].shape)} {own[name].dtype}"
                )


def _divided(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of the counts, by their own names, and those that are trained."""
    prefix = "counts."
    counts = {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)}
    return counts, {n: t for n, t in weights.items() if not n.startswith(prefix)}


@torch.inference_mode(False)
@torch.enable_grad()
def fitted_trust(features: Tensor, log_both: Tensor) -> Tensor:
    """The weights w, (F + 1,), of the most likely mixture of two predictions by sigmoid(w . features).

    features: (n, F), in any units. log_both: the logarithms of both probabilities of each target,
    (n, 2). Logistic regression: convex but for the mixture, a dozen numbers, a tenth of a second.
    """
    features, log_both = features.double().clone(), log_both.double().clone()
    mean, std = features.mean(0), features.std(0, correction=0)
    scale = torch.where(std > 1e-3, 1 / std.clamp_min(1e-3), 0)
    x = torch.cat(
        [(features - mean) * scale, torch.ones(len(features), 1, dtype=features.dtype)], 1
    )
    w = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([w], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        s = x @ w
        log = torch.logaddexp(log_both[:, 0] + F.logsigmoid(s), log_both[:, 1] + F.logsigmoid(-s))
        total = -log.mean() + SHRINKAGE * w[:-1].square().sum() / len(x)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    w = w.detach()
    own = w[:-1] * scale
    return torch.cat([own, (w[-1] - own @ mean)[None]]).float()

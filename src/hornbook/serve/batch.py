"""The continuations of one model that are generated side by side, one token of each at a time.

B batch, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hornbook.generate.rows import Rows
from hornbook.generate.sampling import Sampling, uniforms
from hornbook.models.base import LanguageModel, Window
from hornbook.serve.choice import Choice, Logprob, Piece
from hornbook.serve.job import Job

Member = tuple[Job, Choice]
MOST_FED = (
    4  # tokens of a prompt up to which it is read one token at a time, in the steps of the others
)


class Batch:
    """Continuations of one model: `tick` as long as there are any."""

    def __init__(self, model: LanguageModel, window: Window) -> None:
        self.rows = Rows(model, window)
        self.members: list[Member] = []
        self.logits = torch.empty(0, model.vocab_size)

    def tick(self, now: float, new: Sequence[Member] = ()) -> list[tuple[Job, Choice, Piece]]:
        """Appends a token to each continuation and returns what became certain of them; then lets new
        ones join, whose first token comes when their prompt is read, mostly with the next tick.

        Those that ended have left, as have those whose job was cancelled.
        """
        self._leave([i for i, (job, _) in enumerate(self.members) if job.cancelled])
        found, ended, tokens = [], [], torch.empty(0, dtype=torch.int64)
        if self.members:
            tokens = self._draw()
            drawn, logprobs = tokens.tolist(), self._logprobs(tokens)
            for i, (job, choice) in enumerate(self.members):
                if choice.unread:
                    tokens[i] = choice.unread.pop()
                    continue
                piece = choice.push(drawn[i], logprobs.get(i), now)
                if piece is not None:
                    found.append((job, choice, piece))
                    if piece.finish is not None:
                        ended.append(i)
            tokens = self._leave(ended, tokens)
        together = bool(self.members) or len(new) > 1
        self.members += new
        if self.members:
            prompts = [self._begin(choice, together) for _, choice in new]
            self.logits = self.rows.step(tokens.to(self.rows.device), prompts)
        return found

    def _begin(self, choice: Choice, together: bool) -> list[int]:
        """The ids that a new member reads at once. Of a short prompt beside others only the first: a
        step of all takes hardly longer for one row more, reading by itself nearly as long as a step."""
        prompt = _last_document(self.rows.model, choice.read)
        if together and self.rows.ragged and len(prompt) <= MOST_FED:
            choice.unread = prompt[:0:-1]
            return prompt[:1]
        return prompt

    def _leave(self, leaving: list[int], tokens: Tensor | None = None) -> Tensor:
        """Removes continuations, and their entries of `tokens`."""
        tokens = torch.zeros(len(self.members), dtype=torch.int64) if tokens is None else tokens
        if not leaving:
            return tokens
        compaction = self.rows.remove(leaving)
        for hole, mover in zip(compaction.holes.tolist(), compaction.movers.tolist(), strict=True):
            self.members[hole] = self.members[mover]
        del self.members[compaction.n :]
        self.logits = compaction(self.logits)
        return compaction(tokens)

    def _draw(self) -> Tensor:
        """The next token of each, (B,)."""
        logits, choices = self.logits, [choice for _, choice in self.members]
        adjusted = [i for i, choice in enumerate(choices) if choice.adjusts]
        if adjusted:
            logits = logits.clone()
            for i in adjusted:
                choices[i].adjust(logits[i])
        tokens = torch.empty(len(choices), dtype=torch.int64)
        alike: dict[Sampling, list[int]] = {}
        for i, choice in enumerate(choices):
            if choice.generator is not None:
                own = choice.options.sampling.choose(logits[i : i + 1], choice.generator)
                tokens[i] = own[0]
            else:
                alike.setdefault(choice.options.sampling, []).append(i)
        for sampling, chosen in alike.items():
            draws = [(choices[i].key, choices[i].number, len(choices[i].tokens)) for i in chosen]
            key, number, position = torch.tensor(draws).T
            own = logits if len(chosen) == len(choices) else logits[chosen]
            tokens[chosen] = sampling.pick(own, uniforms(key, number, position)).cpu()
        return tokens

    def _logprobs(self, tokens: Tensor) -> dict[int, Logprob]:
        """By number in the batch, of those that record them: of the model itself, before bias,
        penalties and temperature."""
        asked = [i for i, (_, c) in enumerate(self.members) if c.options.alternatives is not None]
        if not asked:
            return {}
        log_p = self.logits[asked].log_softmax(-1)
        own = log_p.gather(1, tokens[asked].to(log_p.device)[:, None])[:, 0].tolist()
        most = max(self.members[i][1].options.alternatives or 0 for i in asked)
        best = log_p.topk(min(most, log_p.shape[1]))
        found = {}
        rows = zip(asked, own, best.indices.tolist(), best.values.tolist(), strict=True)
        for i, logprob, ids, values in rows:
            n = self.members[i][1].options.alternatives
            pairs = tuple(zip(ids[:n], values[:n], strict=True))
            found[i] = Logprob(int(tokens[i]), logprob, pairs)
        return found


def _last_document(model: LanguageModel, prompt: list[int]) -> list[int]:
    """A prompt of ids from the last start of a document on: what is before does not matter."""
    if model.end_id is None or model.end_id not in prompt[1:]:
        return prompt
    return prompt[len(prompt) - 1 - prompt[::-1].index(model.end_id) :]

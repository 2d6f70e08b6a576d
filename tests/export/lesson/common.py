"""Compares a lesson with the model that it is about."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

from hornbook.export.base import relative_difference
from hornbook.export.lesson.model import MODELS, BoundedModel, Model
from hornbook.export.numpy import LESSON, PACKAGE, contents
from hornbook.models.base import LanguageModel, Window

for file in sorted(LESSON.glob("[a-z]*.py")):  # each registers its models
    importlib.import_module(f"{PACKAGE}.{file.stem}")

VOCAB_SIZE = 12
WITHIN = 1e-5  # of the spread of the logits: float32, added in another order


def lesson_of(model: LanguageModel) -> Model:
    """The lesson with the weights of a model."""
    weights, config = contents(model)
    arrays = {name: tensor.detach().numpy() for name, tensor in weights.items()}
    return MODELS[config["name"]](arrays, config, model.vocab_size, model.end_id)


@torch.no_grad()
def assert_same_logits(model: LanguageModel, window: Window = "half") -> None:
    """A text read at once, then token by token beyond any context, and the same again afterwards."""
    lesson = lesson_of(model.eval())
    torch.manual_seed(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BoundedModel, "window", window)
        for length in (1, 7):
            row = torch.randint(1, VOCAB_SIZE, (1, length))
            if model.end_id is not None:
                row[0, 0] = model.end_id
            logits, state = model.start(row, window)
            expected, found = [logits], [lesson.start(row[0].tolist())]
            for token in torch.randint(1, VOCAB_SIZE, (40,)):
                expected.append(model.step(token[None], state))
                found.append(lesson.step(int(token)))
            stacked = torch.tensor([each.tolist() for each in found])
            assert relative_difference(torch.cat(expected), stacked) < WITHIN


def saved_tokenizer(folder: Path, kind: str, text: str, *, documents: bool) -> Path:
    """A tokenizer.json that hornbook wrote."""
    from hornbook.tokenizers import build_tokenizer

    path = folder / "tokenizer.json"
    build_tokenizer(kind, text, documents=documents).save(path)
    return path

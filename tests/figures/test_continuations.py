"""The figure of continuations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hornbook.api import Run
from hornbook.figures.continuations import Continuation, continuations, most_probable_tree
from hornbook.generate.decoder import prompt_ids


def test_boxes_of_the_tree_hide_no_number(names_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(names_run.tokenizer), "symbol", lambda self, token: "<end>")
    figure = continuations(names_run, "em")
    figure.canvas.draw()
    texts = figure.axes[0].texts
    boxes = [b.get_window_extent() for t in texts if (b := t.get_bbox_patch()) is not None]
    numbers = [t.get_window_extent() for t in texts if t.get_text().endswith("%")]
    assert len(numbers) > 4
    assert not any(box.overlaps(number) for box in boxes for number in numbers)


@torch.inference_mode()
def test_the_tree_holds_the_most_probable_ends(names_run: Run) -> None:
    root = most_probable_tree(names_run, "em", leaves=8, depth=2)  # of 32 beginnings: all symbols

    def ends(node: Continuation) -> list[Continuation]:
        return [e for c in node.children for e in ends(c)] if node.children else [node]

    model, start = names_run.model, prompt_ids(names_run.tokenizer, "em")
    first = model.next_logits(torch.tensor([start]))[0].softmax(-1)
    every = {(0,): float(first[0])}
    for token in range(1, 27):
        second = model.next_logits(torch.tensor([[*start, token]]))[0].softmax(-1)
        every |= {(token, t): float(first[token] * second[t]) for t in range(27)}
    best = sorted(every.values(), reverse=True)[:8]
    found = sorted((e.p for e in ends(root)), reverse=True)
    assert len(found) == 8
    np.testing.assert_allclose(found, best, rtol=1e-4)

"""What is said of overfitting and patience, and that it is said after the record."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from hornbook.training.callbacks.early_stopping import EarlyStopping
from hornbook.training.history import ValidationHistory


def test_overfitting_and_the_end_of_patience_are_said() -> None:
    said: list[str] = []
    history = ValidationHistory(patience=2)
    callback = EarlyStopping()
    callback.trainer = SimpleNamespace(  # type: ignore[assignment]
        state=SimpleNamespace(history=history), notify=said.append
    )

    def evaluated(step: int, loss: float, val_loss: float) -> None:
        history.add(step, loss, val_loss)
        callback.on_log({"step": step, "loss": loss, "val_loss": val_loss})

    evaluated(4, 2.0, 2.0)
    evaluated(8, 1.8, 2.1)
    callback.on_log({"step": 9, "loss": 1.7})
    assert not said
    evaluated(12, 1.6, 2.2)
    overfitting, stopped = said
    assert "overfitting since step 4" in overfitting
    assert stopped == (
        "stopped at step 12: 2 evaluations without a better validation loss than that of step 4"
    )


def test_messages_follow_the_record_that_they_are_about(tmp_path: Any) -> None:
    import hornbook
    from hornbook.training.callbacks.base import Callback
    from tests.training.helpers import small

    heard: list[str] = []

    class Order(Callback):
        def on_log(self, record: Mapping[str, Any]) -> None:
            heard.append(f"record {record['step']}")

        def on_message(self, message: str) -> None:
            heard.append(message)

    settings = small("bigram", patience=1, eval_count=12)
    settings["optim"] = {"name": "sgd", "learning_rate": 300.0, "schedule": "constant"}
    hornbook.train(
        "names", model="bigram", out=tmp_path / "r", settings=settings, callbacks=[Order()]
    )
    assert heard[-1].startswith("stopped at step")
    assert heard[-2] == f"record {heard[-1].split()[3].rstrip(':')}"

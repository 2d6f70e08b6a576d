"""A task of lm-evaluation-harness's own runner, from files alone, against the server."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import pytest

from hornbook.api import Run
from tests.serve.conftest import Live

pytest.importorskip("lm_eval", reason="needs lm_eval[api]")
pytest.importorskip("fastapi", reason="needs the extra serve")

TASK = """
task: endings
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: multiple_choice
doc_to_text: "END{{start}}"
doc_to_choice: "{{endings}}"
doc_to_target: "{{label}}"
target_delimiter: ""
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""
DOCUMENTS = [
    {"start": "em", "endings": ["ma", "xq"], "label": 0},
    {"start": "oliv", "endings": ["ia", "zz", "er"], "label": 0},
]


def test_a_task_of_its_own(names_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    lines = "".join(json.dumps(document) + "\n" for document in DOCUMENTS)
    (tmp_path / "endings.jsonl").write_text(lines)
    (tmp_path / "endings.yaml").write_text(
        TASK.replace("FILE", json.dumps(str(tmp_path / "endings.jsonl"))).replace(
            "END",
            names_run.tokenizer.end,  # with which a document begins
        )
    )
    live = Live([names_run])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from lm_eval import simple_evaluate
            from lm_eval.tasks import TaskManager

            logging.getLogger("lm_eval").setLevel(logging.ERROR)
            found = simple_evaluate(
                model="local-completions",
                model_args={
                    "base_url": f"{live.url}/v1/completions", "model": "names",
                    "tokenizer_backend": "remote", "num_concurrent": 1,
                    "max_length": names_run.model.context_length,
                },
                tasks=["endings"],
                task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
                log_samples=True, bootstrap_iters=0,
            )  # fmt: skip
    finally:
        live.stop()
    assert found is not None
    assert found["results"]["endings"]["acc,none"] == 1.0
    samples = sorted(found["samples"]["endings"], key=lambda sample: sample["doc_id"])
    for document, sample in zip(DOCUMENTS, samples, strict=True):
        start, endings = str(document["start"]), document["endings"]
        assert isinstance(endings, list)
        for (value, _), ending in zip(sample["filtered_resps"], endings, strict=True):
            (scored,) = names_run.score([start + ending])
            expected = -sum(scored.token_nats[len(start) : len(start) + len(ending)])
            assert value == pytest.approx(expected, abs=1e-5)

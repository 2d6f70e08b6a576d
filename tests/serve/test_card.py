"""What the page knows of a model."""

from __future__ import annotations

import json

import pytest

from hornbook.api import Run
from tests.serve.conftest import Live

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_a_model_is_described(live: Live, names_run: Run, stream_run: Run) -> None:
    for name, run in (("names", names_run), ("run", stream_run)):
        status, _, content = live.request("GET", f"/hornbook/models/{name}")
        assert status == 200
        found = json.loads(content)
        tokenizer = run.tokenizer
        spelled = [token.encode("latin-1") for token in found["tokens"]]
        assert spelled == [tokenizer.decode_bytes([i]) for i in range(tokenizer.vocab_size)]
        assert (found["start_id"], found["end_id"]) == (tokenizer.start_id, tokenizer.end_id)
        assert found["attention"] is True
        assert found["documents"] is run.documents
        sizes = {part: n for part, _, n in found["sizes"]}
        assert sizes.keys() == run.model.state_dict().keys()
        assert str(run.path) not in content.decode()
    assert live.request("GET", "/hornbook/models/none")[0] == 404


def test_a_text_is_encoded_without_what_is_unknown(live: Live, names_run: Run) -> None:
    found = live.post("/hornbook/encode", {"model": "names", "text": "em1ma1?"})
    assert found == {"ids": names_run.tokenizer.encode("emma").tolist(), "unknown": ["1", "?"]}
    assert live.post("/hornbook/encode", {"model": "names", "text": ""})["ids"] == []

"""hornbook's own endpoints, as the page uses them."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from hornbook.api import Run
from tests.serve.conftest import Live

pytest.importorskip("fastapi", reason="needs the extra serve")


def test_score(live: Live, names_run: Run) -> None:
    found = live.post("/v1/score", {"model": "names", "input": ["emma", "mia"]})["data"]
    for one, own in zip(found, names_run.score(["emma", "mia"]), strict=True):
        expected = json.loads(json.dumps(names_run.score_data(own, tokens=True)))
        assert {name: one[name] for name in expected} == expected
        assert one["surprisal"] == pytest.approx([n / math.log(2) for n in own.token_nats])
        assert len(one["alternatives"]) == own.tokens
        for nats, symbol, best in zip(
            one["nats"], one["symbols"], one["alternatives"], strict=True
        ):
            assert len(best) == 5
            assert best[0]["logprob"] == max(other["logprob"] for other in best)
            same = [other["logprob"] for other in best if other["token"] == symbol]
            assert same == pytest.approx([-nats] * len(same), abs=1e-5)
    single = live.post("/v1/score", {"model": "run", "input": "green", "alternatives": 0})["data"]
    assert "alternatives" not in single[0]
    assert live.request("POST", "/v1/score", {"model": "names", "input": "É"})[0] == 400
    assert live.request("POST", "/v1/score", {"model": "run", "input": ""})[0] == 400


def test_attention(live: Live, names_run: Run) -> None:
    found = live.post("/hornbook/attention", {"model": "names", "text": "emma"})
    assert found["tokens"] == [names_run.tokenizer.end, *"emma"]
    assert len(found["layers"]) == 1
    for layer in found["layers"]:
        weights = np.array(layer["heads"])
        assert weights.shape == (2, 5, 5)
        assert weights.sum(-1) == pytest.approx(np.ones((2, 5)), abs=1e-3)
        assert not np.triu(weights, 1).any()
    long = live.post("/hornbook/attention", {"model": "run", "text": "green " * 60})
    assert len(long["tokens"]) == 32
    assert long["total_tokens"] == 360


def test_tree(live: Live, names_run: Run) -> None:
    root = live.post("/hornbook/tree", {"model": "names", "prompt": "an", "leaves": 5, "depth": 3})[
        "root"
    ]
    assert root["text"] == "an"
    assert root["p"] == 1

    def leaves(node: dict) -> list[dict]:  # type: ignore[type-arg]
        children = node["children"]
        assert sum(child["p"] for child in children) <= node["p"] + 1e-6
        return [leaf for child in children for leaf in leaves(child)] or [node]

    assert len(leaves(root)) == 5
    assert live.request("POST", "/hornbook/tree", {"model": "names", "leaves": 1000})[0] == 400


def test_ids_are_read_as_they_are(live: Live, names_run: Run) -> None:
    ids = names_run.tokenizer.encode("em").tolist()
    started = [names_run.tokenizer.start_id, *ids]
    for path, field in (("/hornbook/attention", "text"), ("/hornbook/tree", "prompt")):
        by_text = live.post(path, {"model": "names", field: "em"})
        assert live.post(path, {"model": "names", field: started}) == by_text
        assert live.post(path, {"model": "names", field: ids}) != by_text
        assert live.post(path, {"model": "names", field: []}) == live.post(path, {"model": "names"})
        status, _, content = live.request("POST", path, {"model": "names", field: [27]})
        assert status == 400
        assert "expected ids below 27" in json.loads(content)["error"]["message"]


def test_the_most_frequent_tokens_are_embedded(live: Live) -> None:
    found = live.post("/hornbook/embeddings", {"model": "names", "most": 4})["tokens"]
    assert {token["token"] for token in found} >= {"a", "e", "n"}
    assert len(found) == 4


def test_embeddings(live: Live, names_run: Run) -> None:
    found = live.post("/hornbook/embeddings", {"model": "names"})
    assert len(found["tokens"]) == names_run.tokenizer.vocab_size
    assert found["tokens"][0]["kind"] == "mark"
    assert found["variance"] == sorted(found["variance"], reverse=True)


def test_runs(live: Live, names_run: Run) -> None:
    status, _, content = live.request("GET", "/hornbook/runs")
    assert status == 200
    (row,) = [r for r in json.loads(content)["runs"] if r["name"] == "names"]
    validation = names_run.report["validation"]
    assert (row["nats"], row["standard_error"]) == (
        validation["nats"],
        validation["standard_error"],
    )
    assert str(names_run.path.parent).encode() not in content  # paths stay here
    status, _, content = live.request("GET", "/hornbook/runs/names")
    details = json.loads(content)
    assert details["baselines"]["uniform_nats"] == pytest.approx(math.log(details["vocab_size"]))
    assert details["config"]["model"]["n_layer"] == 1
    _, _, content = live.request("GET", "/hornbook/runs/names/log")
    assert json.loads(content)["records"] == names_run.log
    _, _, content = live.request("GET", "/hornbook/runs/names/samples")
    samples = json.loads(content)
    assert samples["report"] == names_run.report["samples"]
    assert len(samples["live"]) == 10
    for path in ("nothing", "nothing/log", "nothing/log/events", "nothing/samples"):
        assert live.request("GET", f"/hornbook/runs/{path}")[0] == 404


def test_the_log_of_a_finished_run_as_events(live: Live, names_run: Run) -> None:
    _, headers, content = live.request("GET", "/hornbook/runs/names/log/events")
    assert headers["content-type"].startswith("text/event-stream")
    records = [json.loads(m) for m in re.findall(rb"event: record\ndata: (.*)\n", content)]
    assert records == names_run.log
    assert b"event: end" in content
    ids = re.findall(rb"id: (\d+)", content)
    rest = live.request(
        "GET", "/hornbook/runs/names/log/events", headers={"Last-Event-ID": ids[-2].decode()}
    )[2]
    assert rest.count(b"event: record") == 1
    wrong = {"Last-Event-ID": "-1"}
    assert live.request("GET", "/hornbook/runs/names/log/events", headers=wrong)[0] == 400


def test_compare(live: Live) -> None:
    status, _, content = live.request("POST", "/hornbook/compare", {"runs": ["names", "run"]})
    assert status == 400  # of different texts
    assert b"validation text" in content
    assert live.request("POST", "/hornbook/compare", {"runs": ["names"]})[0] == 400
    assert live.request("POST", "/hornbook/compare", {"runs": ["names", "../x"]})[0] == 404


def test_compare_says_a_sentence(small_pair: Live) -> None:
    found = small_pair.post("/hornbook/compare", {"runs": ["a", "b"]})
    assert found["sentences"]
    assert len(found["standings"]) == 2
    assert "path" not in found["standings"][0]


@pytest.fixture
def small_pair(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    from tests.conftest import WORDS, train_small

    folder = tmp_path_factory.mktemp("pair")
    (folder / "words.txt").write_text("\n".join(WORDS * 3), "utf-8")
    runs = [
        train_small(model, folder, folder / name) for name, model in (("a", "mlp"), ("b", "bigram"))
    ]
    server = Live(runs)
    yield server
    server.stop()


def test_health_and_metrics(live: Live) -> None:
    assert live.request("GET", "/health")[0] == 200
    status, headers, content = live.request("GET", "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    for line in content.decode().strip().splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) hornbook_\w+ .+|hornbook_\w+ [\d.]+", line), line
    live.service.stopping = True
    try:
        assert live.request("GET", "/health")[0] == 503
        assert live.request("POST", "/v1/completions", {"model": "names"})[0] == 503
    finally:
        live.service.stopping = False

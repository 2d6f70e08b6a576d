"""Vocabularies that grow: old ids keep their weights, new ones begin as the mean."""

from __future__ import annotations

import pytest
import torch

from hornbook.errors import ConfigError
from hornbook.models.registry import MODELS, build_model, model_config
from hornbook.pretrained.growing import grown
from tests.conftest import TINY

TRAINED = [
    name for name, entry in MODELS.items() if entry.trained and name not in ("ngram", "hybrid")
]


def settings(name: str, **more: object) -> dict[str, object]:
    fields = MODELS[name].config.model_fields
    sizes = {k: v for k, v in TINY.items() if k in fields}
    return {"name": name, **sizes, **more}


@pytest.mark.parametrize("name", TRAINED)
def test_old_tokens_are_predicted_as_before_but_for_the_share_of_the_new(name: str) -> None:
    torch.manual_seed(2)
    before = build_model(model_config(settings(name)), 9, 0).eval()
    for parameter in before.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    after = build_model(model_config(settings(name)), 11, 0).eval()
    after.load_weights(grown(before.state_dict(), after, 9))
    ids = torch.randint(1, 9, (2, 4))
    found, expected = after(ids)[..., :9], before(ids)
    torch.testing.assert_close(found, expected)  # of the bigram, too: rows of old ids stay


@pytest.mark.parametrize("more", [{"tie_embeddings": True}, {"pair_embedding": True}])
def test_other_forms_of_a_gpt_grow_too(more: dict[str, bool]) -> None:
    torch.manual_seed(2)
    before = build_model(model_config(settings("gpt", **more)), 9, 0).eval()
    for parameter in before.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    after = build_model(model_config(settings("gpt", **more)), 12, 0).eval()
    after.load_weights(grown(before.state_dict(), after, 9))
    ids = torch.randint(0, 9, (2, 6))
    torch.testing.assert_close(after(ids)[..., :9], before(ids))


def test_a_new_row_is_the_mean_of_the_others() -> None:
    before = build_model(model_config(settings("gpt")), 9, 0)
    after = build_model(model_config(settings("gpt")), 11, 0)
    found = grown(before.state_dict(), after, 9)["token_embedding.weight"]
    mean = before.state_dict()["token_embedding.weight"].mean(0)
    torch.testing.assert_close(found[9:], mean.expand(2, -1))


def test_dropout_that_is_a_layer_of_its_own_cannot_be_added() -> None:
    before = build_model(model_config(settings("mlp", dropout=0.0)), 9, 0)
    other = build_model(model_config(settings("mlp", dropout=0.5)), 9, 0)
    with pytest.raises(ConfigError, match="found other layers than those of the base"):
        grown(before.state_dict(), other, 9)


def test_what_cannot_grow_is_said() -> None:
    before = build_model(model_config(settings("gpt")), 9, 0)
    other = build_model(model_config(settings("gpt", n_embd=24)), 11, 0)
    with pytest.raises(ConfigError, match="cannot become"):
        grown(before.state_dict(), other, 9)

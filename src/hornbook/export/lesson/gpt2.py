"""The GPT-2 form: learned positions, LayerNorm, ReLU or GELU. T new positions, C channels."""

from __future__ import annotations

import numpy as np

from hornbook.export.lesson.arithmetic import gelu, gelu_tanh, layer_norm, linear
from hornbook.export.lesson.attention import attend
from hornbook.export.lesson.model import MODELS, BoundedModel
from hornbook.export.lesson.weights import Array

HIDDEN = {"relu": lambda x: np.maximum(x, 0), "gelu": gelu, "gelu_tanh": gelu_tanh}


class GPT2(BoundedModel):
    """Embeddings of token and position, blocks of attention and an MLP, a last norm, a head."""

    def reset(self) -> None:
        """Forgets the keys and values of each block."""
        super().reset()
        heads, C = self.config["n_head"], self.config["n_embd"]  # noqa: N806
        empty = np.zeros((0, heads, C // heads), np.float32)
        self.keys = [empty] * self.config["n_layer"]
        self.values = [empty] * self.config["n_layer"]

    def forward(self, ids: Array, added: Array | None = None) -> Array:
        """(T,) -> (T, V); added (T, C): something more that the network reads."""
        w, positions = self.weights, len(self.ids) + np.arange(len(ids))
        x = w["token_embedding.weight"][ids] + w["position_embedding.weight"][positions]  # (T, C)
        if added is not None:
            x = x + added
        for i in range(self.config["n_layer"]):
            x = self.block(i, x)
        x = layer_norm(x, w["ln_f.weight"], w["ln_f.bias"], self.config["norm_eps"])
        if self.config["tie_embeddings"]:
            return linear(x, w["token_embedding.weight"])
        return linear(x, w["head.weight"], w["head.bias"])

    def block(self, i: int, x: Array) -> Array:
        """Attention, then an MLP, each on the normalized stream and added to it, (T, C) -> (T, C)."""
        w, b, eps = self.weights, f"blocks.{i}.", self.config["norm_eps"]
        y = layer_norm(x, w[b + "ln1.weight"], w[b + "ln1.bias"], eps)
        qkv = linear(y, w[b + "attn.qkv.weight"], w.get(b + "attn.qkv.bias"))
        qkv = qkv.reshape(len(x), 3, self.config["n_head"], -1)
        self.keys[i] = np.concatenate([self.keys[i], qkv[:, 1]])
        self.values[i] = np.concatenate([self.values[i], qkv[:, 2]])
        y = attend(qkv[:, 0], self.keys[i], self.values[i])
        x = x + linear(y, w[b + "attn.proj.weight"], w[b + "attn.proj.bias"])
        y = layer_norm(x, w[b + "ln2.weight"], w[b + "ln2.bias"], eps)
        y = linear(y, w[b + "mlp.0.weight"], w[b + "mlp.0.bias"])
        y = HIDDEN[self.config["activation"]](y)
        return x + linear(y, w[b + "mlp.2.weight"], w[b + "mlp.2.bias"])


MODELS["gpt2"] = GPT2

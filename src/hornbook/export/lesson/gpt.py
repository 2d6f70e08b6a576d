"""A modern GPT: RMSNorm, rotary positions, normalized queries and keys (not in Llama), SwiGLU.

T new positions, C channels, H heads, D channels of a head.
"""

from __future__ import annotations

import numpy as np

from hornbook.export.lesson.arithmetic import linear, rms_norm, sigmoid
from hornbook.export.lesson.attention import attend
from hornbook.export.lesson.model import MODELS, BoundedModel
from hornbook.export.lesson.weights import Array


def rotate(x: Array, positions: Array, base: float) -> Array:
    """Turns the channels i and i + D/2 of each head as a pair, by position * base^(-2 i / D).

    So the product of a query and a key depends on how far they are apart. (T, H, D) -> (T, H, D).
    """
    half = x.shape[-1] // 2
    frequency = np.float32(base) ** -(np.arange(half, dtype=np.float32) / np.float32(half))
    angle = (positions.astype(np.float32)[:, None] * frequency)[:, None]  # (T, 1, D/2)
    cos, sin = np.cos(angle), np.sin(angle)
    first, second = x[..., :half], x[..., half:]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


class GPT(BoundedModel):
    """Embedding, blocks of attention and SwiGLU, a last norm, a head."""

    def reset(self) -> None:
        """Forgets the keys, values and convolution inputs of each block."""
        super().reset()
        n, C = self.config["n_layer"], self.config["n_embd"]  # noqa: N806
        self.channels = self.config["head_dim"] or C // self.config["n_head"]
        shape = (0, self.config["n_kv_head"], self.channels)
        self.keys = [np.zeros(shape, np.float32)] * n
        self.values = [np.zeros(shape, np.float32)] * n
        self.inputs = [np.zeros((self.config["conv_kernel"] - 1, C), np.float32)] * n

    def forward(self, ids: Array, added: Array | None = None) -> Array:
        """(T,) -> (T, V); added (T, C): something more that the network reads."""
        x = self.embed(ids)  # (T, C)
        if added is not None:
            x = x + added
        for i in range(self.config["n_layer"]):
            x = self.block(i, x)
        x = rms_norm(x, self.weights["norm.weight"], self.config["norm_eps"])
        tied = self.config["tie_embeddings"]
        return linear(x, self.weights["token_embedding.weight" if tied else "head.weight"])

    def embed(self, ids: Array) -> Array:
        """A vector for each token, and maybe one for it and the token before it together."""
        x: Array = self.weights["token_embedding.weight"][ids]
        if self.config["pair_embedding"]:
            before = np.array([self.ids[-1] if self.ids else self.vocab_size, *ids[:-1]])
            before[ids == self.end_id] = self.vocab_size  # nothing is before a document
            x = x + self.weights["pair_embedding.weight"][before * self.vocab_size + ids]
        return x

    def block(self, i: int, x: Array) -> Array:
        """Attention, then SwiGLU, each on the normalized stream and added to it, (T, C) -> (T, C)."""
        w, c, b, eps = self.weights, self.config, f"blocks.{i}.", self.config["norm_eps"]
        positions = len(self.ids) + np.arange(len(x))
        y = rms_norm(x, w[b + "input_norm.weight"], eps)
        q, k, v = (
            linear(y, w[f"{b}attention.{part}_proj.weight"]).reshape(len(x), -1, self.channels)
            for part in "qkv"
        )
        if c["qk_norm"]:
            q = rms_norm(q, w[b + "attention.q_norm.weight"], eps)
            k = rms_norm(k, w[b + "attention.k_norm.weight"], eps)
        q, k = rotate(q, positions, c["rope_base"]), rotate(k, positions, c["rope_base"])
        self.keys[i] = np.concatenate([self.keys[i], k])
        self.values[i] = np.concatenate([self.values[i], v])
        y = attend(q, self.keys[i], self.values[i])
        x = x + linear(y, w[b + "attention.o_proj.weight"])
        y = rms_norm(x, w[b + "hidden_norm.weight"], eps)
        if c["conv_kernel"] > 1:
            y = self.convolve(i, y)
        gate = linear(y, w[b + "mlp.gate_proj.weight"])
        y = gate * sigmoid(gate) * linear(y, w[b + "mlp.up_proj.weight"])
        return x + linear(y, w[b + "mlp.down_proj.weight"])

    def convolve(self, i: int, x: Array) -> Array:
        """Adds something of the few positions before each, channel by channel, (T, C) -> (T, C)."""
        weight = self.weights[f"blocks.{i}.convolution.weight"]  # (kernel - 1, 1, C)
        n, joined = len(weight), np.concatenate([self.inputs[i], x])
        self.inputs[i] = joined[-n:]
        for back in range(1, n + 1):
            x = x + weight[-back] * joined[n - back : len(joined) - back]
        return x


MODELS["gpt"] = GPT

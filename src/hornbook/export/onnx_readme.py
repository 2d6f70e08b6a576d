"""The README of a model for ONNX Runtime: what lies there, and programs that run as printed."""

from __future__ import annotations

from hornbook.runs.directory import StoredRun

HEAD = """# A language model for ONNX Runtime

Written by hornbook: `{model}` with {parameters:,} parameters and {vocab_size:,} tokens{nats}.

| file | inputs | outputs |
| --- | --- | --- |
| `forward.onnx` | `input_ids` (batch, sequence) int64 | `logits` (batch, sequence, {vocab_size}) |
{cached_row}| `tokenizer.json` | text | ids, read by the package `tokenizers` and others |

`logits[b, t]` predict the token after position t. {start} {length}

The programs below need `pip install onnxruntime tokenizers` and run in this folder.

## Whole rows

```python
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("tokenizer.json")
session = onnxruntime.InferenceSession("forward.onnx")
random = np.random.default_rng(1)
prompt = ""
{ids}
for _ in range(100):
    logits = session.run(["logits"], {{"input_ids": np.array([ids[-{context}:]])}})[0][0, -1]
    p = np.exp(logits.astype(np.float64) - logits.max())
    token = int(random.choice(len(p), p=p / p.sum()))
{stop}    ids.append(token)
print(tokenizer.decode(ids))
```
"""
CACHED_ROW = """\
| `onnx/model.onnx` | `input_ids`, then `past_*` | `logits` (batch, 1, {vocab_size}), then `present_*` |
"""
CACHED = """
## Token by token

Each `present` is the `past` of the next call, in the same order; a new text begins with zeros.{one}
{limit}
```python
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("tokenizer.json")
session = onnxruntime.InferenceSession("onnx/model.onnx")
random = np.random.default_rng(1)
past = {{
    value.name: np.zeros(
        [n if isinstance(n, int) else 1 if n == "batch_size" else 0 for n in value.shape],
        np.int64 if value.type == "tensor(int64)" else np.float32,
    )
    for value in session.get_inputs()[1:]
}}
prompt = ""
{ids}
unread = list(ids)
for _ in range({most}):
{read}
    p = np.exp(logits[0, -1].astype(np.float64) - logits.max())
    token = int(random.choice(len(p), p=p / p.sum()))
{stop}    ids.append(token)
    unread = [token]
print(tokenizer.decode(ids))
```
"""
READ = """\
    logits, *present = session.run(None, {"input_ids": np.array([unread]), **past})
    past = dict(zip(past, present))"""
READ_ONE = """\
    for token in unread:
        logits, *present = session.run(None, {"input_ids": np.array([[token]]), **past})
        past = dict(zip(past, present))"""

BROWSER = """
## transformers.js

`config.json` says the shape of the cache, in the form that a `qwen3` has; the graph is the model.
In a web page this folder is served beside it, as `model`:

```js
import {{ env, pipeline }} from "@huggingface/transformers";

env.allowRemoteModels = false;
env.localModelPath = "./";
const generate = await pipeline("text-generation", "model", {{ dtype: "fp32" }});
const [{{ generated_text }}] = await generate("{prompt}", {{ max_new_tokens: {most} }});
console.log(generated_text);
```
"""


def readme(run: StoredRun, several: bool | None, *, browser: bool = False) -> str:
    """The README of an export. several: whether the graph with a cache reads more than one token at a
    time; None where there is no such graph. browser: whether transformers.js reads it."""
    model, tokenizer = run.model, run.tokenizer
    context, start_id = model.context_length, tokenizer.start_id
    nats = run.report.get("validation", {}).get("nats")
    length, limit = f"Each prediction sees the last {context:,} tokens.", ""
    if not model.sliding:
        length = f"A row has at most {context:,} tokens."
        limit = (
            f"Past and new tokens are at most {context:,} in all; then begin again with the last.\n"
        )
    if tokenizer.end_id is None:
        start = "The text is a stream: a row may begin anywhere in it."
        ids, stop = f"ids = tokenizer.encode(prompt).ids or [{start_id}]", ""
    else:
        start = (
            f"The id {tokenizer.end_id} ends a document and starts the next: a row begins with it (the "
            "tokenizer puts it there), and may hold several documents."
        )
        ids = "ids = tokenizer.encode(prompt).ids"
        stop = f"    if token == {tokenizer.end_id}:\n        break\n"
    cached = several is not None
    text = HEAD.format(
        model=run.config.model.name, parameters=model.n_parameters, vocab_size=model.vocab_size,
        nats="" if nats is None else f"; {nats:.4f} nats per token on held-out text",
        cached_row=CACHED_ROW.format(vocab_size=model.vocab_size) if cached else "",
        start=start, length=length, ids=ids, stop=stop, context=context,
    )  # fmt: skip
    if not cached:
        return text
    most = min(100, max(1, context - 1))
    text += CACHED.format(
        one="" if several else " It reads one token at a time.", limit=limit if several else "",
        ids=ids, stop=stop, read=READ if several else READ_ONE, most=most,
    )  # fmt: skip
    prompt = "" if run.documents else "\\n"
    return text + BROWSER.format(prompt=prompt, most=most) if browser else text

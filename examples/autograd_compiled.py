"""The same loss, eager and compiled: the same bits, and the generated code.

python examples/autograd_compiled.py
"""

import time

from hornbook.autograd import MLP, Value, compile, squared_error

XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
YS = [1.0, -1.0, -1.0, 1.0]


def train(compiled: bool, steps: int = 200) -> tuple[list[float], float]:
    """The losses, and the seconds they took."""
    n = MLP(3, [4, 4, 1], activation="tanh", output="tanh", seed=0)

    def loss_of(xs: list[list[float]], ys: list[float]) -> Value:
        return squared_error([n(x) for x in xs], ys)

    loss_function = compile(loss_of) if compiled else loss_of
    losses = []
    start = time.perf_counter()
    for _ in range(steps):
        loss = loss_function(XS, YS)
        n.zero_grad()
        loss.backward()
        for p in n.parameters():
            p.data -= 0.1 * p.grad
        losses.append(loss.data)
    return losses, time.perf_counter() - start


def main() -> None:
    eager, eager_seconds = train(compiled=False)
    fast, fast_seconds = train(compiled=True)
    print(f"eager    {eager_seconds * 1e3:6.1f} ms for {len(eager)} steps, loss {eager[-1]:.6f}")
    print(f"compiled {fast_seconds * 1e3:6.1f} ms, tracing included, loss {fast[-1]:.6f}")
    print(f"the same bits in every step: {eager == fast}\n")
    w, b = Value(0.5, label="w"), Value(-1.0, label="b")
    neuron = compile(lambda x: (w * x + b).tanh())
    neuron(2.0)
    print("the code for tanh(w x + b) and its gradients:\n")
    print(next(iter(neuron.traces.values())).source)


if __name__ == "__main__":
    main()

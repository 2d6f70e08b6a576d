"""A classifier of two moons, and its decision boundary.

    python examples/autograd_moons.py [folder]

Writes moons.png. The loss is that of micrograd's demo: hinge with weight decay.
"""

import sys
from pathlib import Path

from hornbook.autograd import MLP, SGD, Value, compile, hinge, two_moons
from hornbook.figures.style import Figure

POINTS = 100
WIDTH = 80  # of the grid on which the scores are drawn


def train(steps: int = 200) -> tuple[MLP, float]:
    """The trained model and its accuracy on the points it was trained on."""
    points, labels = two_moons(POINTS, noise=0.1, seed=1)
    model = MLP(2, [16, 16, 1], seed=1337)
    optimizer = SGD(model.parameters(), lr=0.2)

    @compile
    def loss_of(points: list[list[float]], labels: list[float]) -> Value:
        decay = sum(p * p for p in model.parameters())
        return hinge([model(x) for x in points], labels) + 1e-4 * decay

    for k in range(steps):
        if k % 20 == 0:
            print(f"step {k} / {steps} ...", file=sys.stderr, flush=True)
        optimizer.lr = 0.2 * (1 - 0.9 * k / steps)
        loss = loss_of(points, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = [(model(x) > 0) == (y > 0) for x, y in zip(points, labels, strict=True)]
    return model, sum(right) / len(right)


def picture(model: MLP) -> Figure:
    """The scores as colors, the boundary where they are 0, and the points."""
    points, labels = two_moons(POINTS, noise=0.1, seed=1)
    xs = [-1.5 + 4.0 * i / (WIDTH - 1) for i in range(WIDTH)]
    ys = [-1.0 + 2.5 * i / (WIDTH - 1) for i in range(WIDTH)]
    score = compile(lambda x, y: model([x, y]))
    scores = [[score(x, y).data for x in xs] for y in ys]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.contourf(xs, ys, scores, levels=20, cmap="RdBu", vmin=-4, vmax=4, alpha=0.6)
    axes.contour(xs, ys, scores, levels=[0.0], colors="black")
    for label, color in ((-1.0, "tab:red"), (1.0, "tab:blue")):
        mine = [point for point, y in zip(points, labels, strict=True) if y == label]
        axes.scatter(*zip(*mine, strict=True), c=color, edgecolors="white", label=f"{label:+.0f}")
    axes.set(title="Two moons and the decision boundary of a 2-16-16-1 network", xlabel="x")
    axes.set_ylabel("y")
    axes.legend(loc="upper right")
    return figure


def main(folder: str = ".") -> None:
    model, accuracy = train()
    path = Path(folder) / "moons.png"
    picture(model).savefig(path, dpi=120)
    print(f"accuracy {accuracy:.0%}; the decision boundary is in {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])

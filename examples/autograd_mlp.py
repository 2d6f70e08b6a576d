"""The notes' network of 3-4-4-1 neurons learns the notes' four points.

python examples/autograd_mlp.py
"""

from hornbook.autograd import MLP, SGD, squared_error

XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
YS = [1.0, -1.0, -1.0, 1.0]


def main() -> None:
    n = MLP(3, [4, 4, 1], activation="tanh", output="tanh", seed=0)
    optimizer = SGD(n.parameters(), lr=0.1)
    for k in range(100):
        ypred = [n(x) for x in XS]
        loss = squared_error(ypred, YS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if k % 10 == 9:
            print(f"{k + 1:3} loss {loss.data:.4f}")
    print("targets  ", YS)
    print("predicted", [round(float(n(x)), 2) for x in XS])


if __name__ == "__main__":
    main()

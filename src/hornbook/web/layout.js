// Where tokens stand in the plane: their vectors in the first two principal components.

/** vectors: n of the same length -> {points: n pairs, share: of the variance, two numbers}. */
export function principal(vectors) {
  const n = vectors.length;
  const mean = vectors[0].map((_, c) => vectors.reduce((sum, v) => sum + v[c], 0) / n);
  const centered = vectors.map((v) => Float64Array.from(v, (x, c) => x - mean[c]));
  // the products of the vectors with each other: n is small, and their length is not
  const products = centered.map((a) =>
    Float64Array.from(centered, (b) => a.reduce((sum, x, c) => sum + x * b[c], 0)),
  );
  const trace = products.reduce((sum, row, i) => sum + row[i], 0);
  const components = [0, 1].map(() => {
    const { vector, value } = leading(products);
    products.forEach((row, i) => row.forEach((_, j) => (row[j] -= value * vector[i] * vector[j])));
    return { along: vector.map((x) => x * Math.sqrt(Math.max(0, value))), value };
  });
  return {
    points: vectors.map((_, i) => components.map(({ along }) => along[i])),
    share: components.map(({ value }) => Math.max(0, value) / Math.max(trace, 1e-30)),
  };
}

/** The largest eigenvalue of a symmetric matrix and its vector, by power iteration. */
function leading(matrix) {
  let vector = matrix.map((_, i) => 1 + Math.sin(i)); // any that is not orthogonal to it
  let value = 0;
  for (let round = 0; round < 300; round++) {
    const next = matrix.map((row) => row.reduce((sum, x, j) => sum + x * vector[j], 0));
    value = Math.hypot(...next);
    if (value < 1e-20) return { vector: vector.map(() => 0), value: 0 };
    vector = next.map((x) => x / value);
  }
  return { vector, value };
}

/** The same points, pushed apart until no label hides another; in units of the picture (1 by 0.7). */
export function spreadApart(points, least) {
  const [width, height] = [0, 1].map((axis) => {
    const values = points.map((p) => p[axis]);
    return [Math.min(...values), Math.max(1e-12, Math.max(...values) - Math.min(...values))];
  });
  const at = points.map(([x, y], i) => [
    (x - width[0]) / width[1] + 1e-6 * Math.sin(i),
    (0.7 * (y - height[0])) / height[1] + 1e-6 * Math.cos(i),
  ]);
  for (let round = 0; round < 200; round++) {
    let moved = 0;
    for (let i = 0; i < at.length; i++) {
      for (let j = 0; j < i; j++) {
        const [dx, dy] = [at[i][0] - at[j][0], at[i][1] - at[j][1]];
        const distance = Math.hypot(dx, dy) || 1e-9;
        const push = Math.max(0, least - distance) / distance / 2;
        moved = Math.max(moved, push);
        at[i][0] += dx * push;
        at[i][1] += dy * push;
        at[j][0] -= dx * push;
        at[j][1] -= dy * push;
      }
    }
    if (moved < 1e-4) break;
  }
  return at;
}

// What models are made of beside linear layers: norms, activations, attention, softmax.

/** x / sqrt(mean(x^2) + eps) * weight over each stretch of weight.length values, in a new array. */
export function rmsNorm(x, weight, eps) {
  const width = weight.length;
  const out = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += width) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += x[start + i] * x[start + i];
    const scale = 1 / Math.sqrt(sum / width + eps);
    for (let i = 0; i < width; i++) out[start + i] = x[start + i] * scale * weight[i];
  }
  return out;
}

/** (x - mean) / sqrt(variance + eps) * weight + bias, in a new array. */
export function layerNorm(x, weight, bias, eps = 1e-5) {
  const n = x.length;
  let mean = 0;
  for (let i = 0; i < n; i++) mean += x[i] / n;
  let variance = 0;
  for (let i = 0; i < n; i++) variance += (x[i] - mean) ** 2 / n;
  const scale = 1 / Math.sqrt(variance + eps);
  return Float32Array.from(x, (value, i) => (value - mean) * scale * weight[i] + bias[i]);
}

/** The error function, to 1.2e-7 (Numerical Recipes, erfc by a Chebyshev fit). */
export function erf(x) {
  const t = 1 / (1 + Math.abs(x) / 2);
  const fit = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398,
    1.48851587, -0.82215223, 0.17087277,
  ];
  const sum = fit.reduceRight((total, c) => total * t + c, 0);
  const erfc = t * Math.exp(-x * x + sum);
  return x >= 0 ? 1 - erfc : erfc - 1;
}

const SELU_SCALE = 1.0507009873554805;
const SELU_ALPHA = 1.6732632423543772;

export const sigmoid = (x) => 1 / (1 + Math.exp(-x));
export const silu = (x) => x / (1 + Math.exp(-x));

/** The activations of the settings, by name. */
export const ACTIVATIONS = {
  tanh: Math.tanh,
  relu: (x) => (x > 0 ? x : 0),
  leaky_relu: (x) => (x > 0 ? x : 0.01 * x),
  elu: (x) => (x > 0 ? x : Math.expm1(x)),
  selu: (x) => SELU_SCALE * (x > 0 ? x : SELU_ALPHA * Math.expm1(x)),
  gelu: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
  gelu_tanh: (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
};

/** Applies a function to each value, in place. */
export function mapped(x, f) {
  for (let i = 0; i < x.length; i++) x[i] = f(x[i]);
  return x;
}

/** x += y, in place. */
export function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
  return x;
}

/** log(softmax(x)), in a new array of float64. */
export function logSoftmax(x) {
  let largest = -Infinity;
  for (const value of x) if (value > largest) largest = value;
  let sum = 0;
  for (const value of x) sum += Math.exp(value - largest);
  const shift = largest + Math.log(sum);
  return Float64Array.from(x, (value) => value - shift);
}

/** The keys and values of one attention layer, position by position; plain data, so that a state can
 * be copied. */
export function emptyCache() {
  return { keys: new Float32Array(0), values: new Float32Array(0) };
}

function store(cache, name, row, position) {
  const end = (position + 1) * row.length;
  if (end > cache[name].length) {
    const larger = new Float32Array(Math.max(2 * cache[name].length, 16 * row.length, end));
    larger.set(cache[name]);
    cache[name] = larger;
  }
  cache[name].set(row, position * row.length);
}

/** softmax(q k^T / sqrt(D)) v of the newest position over all positions up to it.
 *
 * q (heads * D); k and v (groups * D), which are stored at `position`; heads share groups evenly.
 * seen: takes the weights, (heads * (position + 1)), where somebody looks at them. */
export function attend(q, k, v, cache, position, heads, seen) {
  store(cache, "keys", k, position);
  store(cache, "values", v, position);
  const { keys, values } = cache;
  const D = q.length / heads;
  const width = k.length;
  const perGroup = (heads * D) / width; // heads
  const n = position + 1;
  const out = new Float32Array(q.length);
  const weights = new Float32Array(n);
  for (let head = 0; head < heads; head++) {
    const query = q.subarray(head * D, (head + 1) * D);
    const start = Math.floor(head / perGroup) * D;
    let largest = -Infinity;
    for (let t = 0; t < n; t++) {
      weights[t] = product(query, keys, t * width + start) / Math.sqrt(D);
      if (weights[t] > largest) largest = weights[t];
    }
    let total = 0;
    for (let t = 0; t < n; t++) total += weights[t] = Math.exp(weights[t] - largest);
    for (let t = 0; t < n; t++) weights[t] /= total;
    addWeighted(out.subarray(head * D, (head + 1) * D), weights, values, start, width);
    if (seen) seen.push(weights.slice());
  }
  return out;
}

/** x times as many values of an array from `start` on; two sums, so that neither waits for the other. */
function product(x, array, start) {
  const even = x.length & ~1;
  let [a, b] = [0, 0];
  for (let i = 0; i < even; i += 2) {
    a += x[i] * array[start + i];
    b += x[i + 1] * array[start + i + 1];
  }
  return x.length > even ? a + b + x[even] * array[start + even] : a + b;
}

/** Adds rows of an array, from `start` on and `width` apart, by their weights; four rows at a time. */
function addWeighted(out, weights, array, start, width) {
  const n = weights.length;
  let t = 0;
  for (; t + 4 <= n; t += 4) {
    const [a, b, c, d] = [weights[t], weights[t + 1], weights[t + 2], weights[t + 3]];
    const row = start + t * width;
    for (let i = 0; i < out.length; i++) {
      const at = row + i;
      const first = a * array[at] + b * array[at + width];
      out[i] += first + (c * array[at + 2 * width] + d * array[at + 3 * width]);
    }
  }
  for (; t < n; t++)
    for (let i = 0; i < out.length; i++) out[i] += weights[t] * array[start + t * width + i];
}

/** Rotary positions: rotates channels i and i + D/2 of each head by position * base^(-2i / D). */
export class Rotation {
  constructor(D, base) {
    const half = D / 2;
    this.frequency = Float32Array.from({ length: half }, (_, i) =>
      Math.fround(base ** -((2 * i) / D)),
    );
  }

  /** In place; x (heads * D). */
  apply(x, position) {
    const half = this.frequency.length;
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(position * this.frequency[i]);
      const cos = Math.cos(angle);
      const sin = Math.sin(angle);
      for (let start = i; start < x.length; start += 2 * half) {
        const a = x[start];
        const b = x[start + half];
        x[start] = a * cos - b * sin;
        x[start + half] = b * cos + a * sin;
      }
    }
    return x;
  }
}

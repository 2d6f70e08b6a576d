// From logits to the next token, as `hornbook sample` does it: the same seed draws the same text,
// as long as the logits are equal but for rounding.

import { logSoftmax } from "./layers.js";

/** softmax(x) in float32, summed in float64. */
export function softmax(x) {
  return Float32Array.from(logSoftmax(x), Math.exp);
}

/** Temperature, then top-k, top-p and min-p: -Infinity for tokens that are left out.
 *
 * topK: samples from the k most probable. topP: from the fewest whose probabilities sum to p. minP: from
 * those at least minP times as probable as the best. null: no such filter. */
export function filtered(logits, { temperature = 1, topK = null, topP = null, minP = null }) {
  let x = Float32Array.from(logits);
  if (temperature !== 0 && temperature !== 1) {
    const largest = maximum(x);
    x = x.map((value) => Math.fround(value - largest) / temperature);
  }
  if (topK !== null) x = atLeast(x, x.slice().sort().at(-Math.min(topK, x.length)));
  if (topP !== null) x = nucleus(x, topP);
  if (minP) x = atLeast(x, maximum(x) + Math.log(minP));
  return x;
}

function maximum(x) {
  return x.reduce((a, b) => Math.max(a, b), -Infinity);
}

function atLeast(x, least) {
  return x.map((value) => (value < least ? -Infinity : value));
}

function nucleus(x, p) {
  const order = Array.from(x.keys()).sort((a, b) => x[b] - x[a]);
  const probability = softmax(order.map((i) => x[i]));
  let sum = 0;
  const out = x.slice();
  order.forEach((i, rank) => {
    if (sum >= p) out[i] = -Infinity;
    sum += probability[rank];
  });
  return out;
}

/** The token at quantile u of the filtered distribution; at temperature 0 the best. */
export function pick(logits, sampling, u) {
  if (sampling.temperature === 0) return logits.indexOf(maximum(logits));
  const p = softmax(filtered(logits, sampling));
  const total = p.reduce((sum, q) => sum + q, 0);
  const mass = u * total;
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    sum += p[i];
    if (sum > mass) return i;
  }
  return p.length - 1; // only if logits are NaN
}

const BITS = (1n << 64n) - 1n;
const GOLDEN = 0x9e3779b97f4a7c15n;

/** The draws of a seed: `uniform(sample, position)` in [0, 1), of hornbook's keyed sampling: SplitMix64,
 * counted instead of run, from a key that torch's generator draws. */
export class Draws {
  constructor(seed) {
    this.key = mix(keyOf(BigInt(seed)));
  }

  uniform(sample, position) {
    const base = mix((this.key + BigInt(position) * GOLDEN) & BITS);
    const mixed = mix((BigInt(sample) * GOLDEN + base) & BITS);
    return Number(mixed >> 12n) * 2 ** -52;
  }
}

function mix(z) {
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & BITS;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & BITS;
  return z ^ (z >> 31n);
}

/** What torch.randint(2^63 - 1) draws first from this seed: two words of MT19937. */
function keyOf(seed) {
  const [high, low] = twister(Number(seed & 0xffffffffn));
  return ((BigInt(high) << 32n) | BigInt(low)) % ((1n << 63n) - 1n);
}

/** The first two 32-bit numbers of MT19937 (Matsumoto and Nishimura 1998). */
function twister(seed) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) {
    const last = state[i - 1] ^ (state[i - 1] >>> 30);
    state[i] = Math.imul(1812433253, last) + i;
  }
  return [0, 1].map((i) => {
    const joined = (state[i] & 0x80000000) | (state[i + 1] & 0x7fffffff);
    let y = state[i + 397] ^ (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  });
}

// Products of matrices with vectors: by SIMD instructions of WebAssembly, or in plain JavaScript.

import { SIMD_MODULE } from "./simd_module.js";
import { fromBase64 } from "./bytes.js";

const FLOAT = 4; // bytes
const PAGE = 65536; // bytes of WebAssembly memory
const padded = (n) => Math.ceil(n / 4) * 4;

/** The plain form: y = W x, sum by sum. values: (rows * columns), row by row. */
class PlainMatrix {
  constructor(rows, columns, values) {
    this.rows = rows;
    this.columns = columns;
    this.values = values;
    this.output = new Float32Array(rows);
  }

  /** x (columns) -> (rows); the array is the matrix's own, and the next product overwrites it. */
  multiply(x) {
    const { rows, columns, values, output } = this;
    for (let i = 0, at = 0; i < rows; i++) {
      let sum = 0;
      for (let j = 0; j < columns; j++) sum += values[at++] * x[j];
      output[i] = sum;
    }
    return output;
  }
}

/** The memory that matrices of the fast form share with the WebAssembly module, and its function. */
class Heap {
  constructor() {
    this.memory = new WebAssembly.Memory({ initial: 1 });
    const module = new WebAssembly.Module(fromBase64(SIMD_MODULE));
    const instance = new WebAssembly.Instance(module, { env: { memory: this.memory } });
    this.run = instance.exports.multiply;
    this.end = 0;
  }

  /** The address of n floats, all 0. */
  allocate(n) {
    const start = this.end;
    this.end += padded(n) * FLOAT;
    const missing = this.end - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    return start;
  }

  view(start, n) {
    return new Float32Array(this.memory.buffer, start, n);
  }
}

/** The fast form: rows and columns are padded with zeros to multiples of four. */
class SimdMatrix {
  constructor(heap, rows, columns, values) {
    const width = padded(columns);
    this.heap = heap;
    this.rows = rows;
    this.columns = columns;
    this.width = width * FLOAT;
    this.w = heap.allocate(padded(rows) * width);
    this.x = heap.allocate(width);
    this.y = heap.allocate(padded(rows));
    const stored = heap.view(this.w, rows * width);
    for (let i = 0; i < rows; i++)
      stored.set(values.subarray(i * columns, (i + 1) * columns), i * width);
    this.output = new Float32Array(0);
  }

  /** As in the plain form. */
  multiply(x) {
    if (this.output.length === 0) {
      // first, or the memory has grown and all its views are gone
      this.input = this.heap.view(this.x, this.columns);
      this.output = this.heap.view(this.y, this.rows);
    }
    this.input.set(x);
    this.heap.run(this.w, this.x, this.y, this.y + padded(this.rows) * FLOAT, this.width);
    return this.output;
  }
}

let heap = null;
try {
  heap = new Heap();
} catch {
  // no WebAssembly here, or none with SIMD: the plain form computes the same
}

/** Whether products are computed by SIMD instructions. */
export const isFast = heap !== null;

/** A matrix of rows * columns values, row by row, with `multiply(x)`. */
export function makeMatrix(rows, columns, values) {
  if (heap === null || rows * columns === 0) return new PlainMatrix(rows, columns, values);
  return new SimdMatrix(heap, rows, columns, values);
}

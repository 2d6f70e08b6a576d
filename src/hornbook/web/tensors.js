// The tensors of a model: safetensors, as hornbook writes them, and the smaller forms of a page.
//
// A file begins with the length of its header, 8 bytes; the header, JSON, says for each tensor its
// dtype, shape and place. Smaller forms, told by what follows a colon in the name:
//   name:blocks  int8, with name:scale, one number for each 32 of them: value = int8 * scale
//   name:steps   integers in ascending order, each as the difference from the one before

import { fromBlocks, fromHalf } from "./bytes.js";
import { makeMatrix } from "./matrix.js";

const BLOCK = 32; // int8 values that share a scale
const TYPES = {
  F32: Float32Array,
  F16: Uint16Array,
  U8: Uint8Array,
  U16: Uint16Array,
  U32: Uint32Array,
  I8: Int8Array,
  I32: Int32Array,
  I64: BigInt64Array,
};

/** The tensors of a safetensors file: name -> {shape, data}; data are float32, or integers of any
 * type but 64 bits, which become float64. Throws an Error for a damaged file. */
export function readTensors(bytes) {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const stored = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [start, end] = entry.data_offsets.map((at) => 8 + length + at);
    const Type = TYPES[entry.dtype];
    if (!Type || end > bytes.length) throw new Error(`the weights are damaged: ${name}`);
    let data = new Type(bytes.slice(start, end).buffer); // a copy: places need not be aligned
    if (entry.dtype === "F16") data = fromHalf(data);
    if (entry.dtype === "I64") data = Float64Array.from(data, Number); // exact up to 2^53
    stored.set(name, { shape: entry.shape, data });
  }
  const tensors = new Map();
  for (const [name, { shape, data }] of stored) {
    const [plain, form] = name.split(":");
    if (form === "blocks") {
      const scale = stored.get(`${plain}:scale`).data;
      tensors.set(plain, { shape, data: fromBlocks(data, scale, BLOCK) });
    } else if (form === "steps") {
      let sum = 0;
      tensors.set(plain, { shape, data: Float64Array.from(data, (step) => (sum += step)) });
    } else if (form !== "scale") tensors.set(plain, { shape, data });
  }
  return tensors;
}

/** The tensors whose names begin with a prefix, as what models are made of. */
export class Weights {
  constructor(tensors, prefix = "") {
    this.tensors = tensors;
    this.prefix = prefix;
  }

  /** The weights of a part. */
  at(part) {
    return new Weights(this.tensors, `${this.prefix}${part}.`);
  }

  has(name) {
    return this.tensors.has(this.prefix + name);
  }

  tensor(name) {
    const found = this.tensors.get(this.prefix + name);
    if (!found) throw new Error(`the weights have no ${this.prefix}${name}`);
    return found;
  }

  /** A tensor as one array. */
  vector(name) {
    return this.tensor(name).data;
  }

  /** The table of an embedding. */
  table(name) {
    const { shape, data } = this.tensor(name);
    return {
      rows: shape[0],
      width: shape[1],
      row: (i) => data.subarray(i * shape[1], (i + 1) * shape[1]),
    };
  }

  /** A linear layer, x -> W x + b, W (out, in) as in torch; the bias is optional. */
  linear(part) {
    const { shape, data } = this.tensor(`${part}.weight`);
    return new Linear(makeMatrix(shape[0], shape[1], data), this.bias(part));
  }

  /** A linear layer of the notes, whose W is (in, out). */
  notesLinear(part) {
    return new Linear(this.transposed(`${part}.weight`), this.bias(part));
  }

  /** A tensor (in, out) as a matrix (out, in). */
  transposed(name) {
    const { shape, data } = this.tensor(name);
    const [rows, columns] = shape;
    const turned = new Float32Array(data.length);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) turned[j * rows + i] = data[i * columns + j];
    return makeMatrix(columns, rows, turned);
  }

  bias(part) {
    return this.has(`${part}.bias`) ? this.vector(`${part}.bias`) : null;
  }
}

/** x -> W x + b. The array that it returns is overwritten by its next product. */
class Linear {
  constructor(matrix, bias) {
    this.matrix = matrix;
    this.bias = bias;
  }

  apply(x) {
    const y = this.matrix.multiply(x);
    if (this.bias) for (let i = 0; i < y.length; i++) y[i] += this.bias[i];
    return y;
  }
}

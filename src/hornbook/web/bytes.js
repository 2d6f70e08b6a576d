// Bytes out of a page: base64, gzip, half precision.

/** The bytes of a text in base64. */
export function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text); // browsers before September 2025
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** The contents of a gzip file; other bytes as they are. */
export async function unzipped(bytes) {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Numbers in half precision (1 bit of sign, 5 of exponent, 10 of fraction) as float32 (1, 8, 23). */
export function fromHalf(halves) {
  const bits = new Uint32Array(halves.length);
  const out = new Float32Array(bits.buffer);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i];
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 0) out[i] = (sign ? -1 : 1) * fraction * 2 ** -24;
    else if (exponent === 31) bits[i] = sign | 0x7f800000 | (fraction << 13);
    else bits[i] = sign | ((exponent + 112) << 23) | (fraction << 13);
  }
  return out;
}

/** Integers with a scale for each `block` of them, as float32. */
export function fromBlocks(integers, scale, block) {
  const out = new Float32Array(integers.length);
  for (let i = 0, b = 0; i < out.length; b++)
    for (const end = Math.min(i + block, out.length); i < end; i++) out[i] = integers[i] * scale[b];
  return out;
}

"""Writes src/hornbook/web/simd_module.js: the product of a matrix and a vector as a WebAssembly module.

    python tools/build_simd.py [--check]

The module has one function, `multiply`, assembled here instruction by instruction. In C:

    void multiply(float *w, float *x, float *y, float *end, int width) {
        do {                               // four rows at a time, four columns at a time
            y[0..3] = the products of the rows w, w + width, w + 2 width, w + 3 width with x
            w += 4 width;  y += 4;
        } while (y != end);
    }

Addresses and `width` (of a row) are in bytes; a row has a multiple of four columns, and there are a
multiple of four rows (`simd.js` pads them with zeros). SIMD128 is in all browsers since 2023.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable
from pathlib import Path

TARGET = Path(__file__).parent.parent / "src" / "hornbook" / "web" / "simd_module.js"
HEAD = """// Made by `python tools/build_simd.py`, which has the source of these bytes.
export const SIMD_MODULE =
"""

W, X, Y, END, WIDTH = range(5)  # parameters
W1, W2, W3, P, STOP = range(5, 10)  # i32: the other three rows, the place in x, its end
A0, A1, A2, A3, V = range(10, 15)  # v128: four sums, four columns of x
I32, V128 = 0x7F, 0x7B
BLOCK, RETURN_NOTHING, IF_NOT_ZERO, CLOSE = 0x03, 0x40, 0x0D, 0x0B

ADD_I32, NOT_EQUAL = bytes([0x6A]), bytes([0x47])
LOAD, STORE = bytes([0xFD, 0x00, 4, 0]), bytes([0xFD, 0x0B, 4, 0])  # aligned to 16 bytes
ADD, MULTIPLY = bytes([0xFD, 0xE4, 0x01]), bytes([0xFD, 0xE6, 0x01])
ZEROS = bytes([0xFD, 0x0C, *[0] * 16])


def get(local: int) -> bytes:
    return bytes([0x20, local])


def put(local: int) -> bytes:
    return bytes([0x21, local])


def constant(value: int) -> bytes:
    return bytes([0x41, value])  # below 64: one byte


def moved(local: int, by: bytes) -> bytes:
    """local += by"""
    return get(local) + by + ADD_I32 + put(local)


def loop(body: bytes, again: bytes) -> bytes:
    """do body while (again)"""
    return bytes([BLOCK, RETURN_NOTHING]) + body + again + bytes([IF_NOT_ZERO, 0, CLOSE])


def lanes(first: int, second: int, picked: Iterable[int]) -> bytes:
    """Four floats out of eight, those of two locals."""
    places = [4 * lane + byte for lane in picked for byte in range(4)]
    return get(first) + get(second) + bytes([0xFD, 0x0D, *places])


def halved(first: int, second: int, a: Iterable[int], b: Iterable[int]) -> bytes:
    return lanes(first, second, a) + lanes(first, second, b) + ADD


def program() -> bytes:
    """The body of `multiply`."""
    rows, sums = (W, W1, W2, W3), (A0, A1, A2, A3)
    column = get(P) + LOAD + put(V)
    for row, total in zip(rows, sums, strict=True):
        column += get(total) + get(row) + LOAD + get(V) + MULTIPLY + ADD + put(total)
        column += moved(row, constant(16))
    column += moved(P, constant(16))

    body = b""
    for row, before in zip(rows[1:], rows, strict=False):
        body += get(before) + get(WIDTH) + ADD_I32 + put(row)
    for total in sums:
        body += ZEROS + put(total)
    body += get(X) + put(P) + get(X) + get(WIDTH) + ADD_I32 + put(STOP)
    body += loop(column, get(P) + get(STOP) + NOT_EQUAL)
    # each sum has four lanes; added up, the four sums are the four lanes of one
    body += halved(A0, A1, (0, 4, 1, 5), (2, 6, 3, 7)) + put(A0)
    body += halved(A2, A3, (0, 4, 1, 5), (2, 6, 3, 7)) + put(A2)
    body += get(Y) + halved(A0, A2, (0, 1, 4, 5), (2, 3, 6, 7)) + STORE
    body += get(W3) + put(W)  # the fourth row has moved to its end, where the next four begin
    body += moved(Y, constant(16))
    return loop(body, get(Y) + get(END) + NOT_EQUAL)


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + size(len(content)) + content


def size(n: int) -> bytes:
    """A number in LEB128."""
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + size(n >> 7)


def name(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def module() -> bytes:
    """The WebAssembly module; it imports `env.memory`."""
    code = bytes([2, 5, I32, 5, V128]) + program() + bytes([CLOSE])
    return b"".join(
        [
            b"\0asm\1\0\0\0",
            section(1, bytes([1, 0x60, 5, *[I32] * 5, 0])),  # type: five i32, no result
            section(2, bytes([1]) + name("env") + name("memory") + bytes([2, 0, 1])),
            section(3, bytes([1, 0])),  # one function of that type
            section(7, bytes([1]) + name("multiply") + bytes([0, 0])),
            section(10, bytes([1]) + size(len(code)) + code),
        ]
    )


def source() -> str:
    """The JavaScript file."""
    text = base64.b64encode(module()).decode()
    pieces = [text[i : i + 96] for i in range(0, len(text), 96)]
    return HEAD + " +\n".join(f'  "{piece}"' for piece in pieces) + ";\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(TARGET.read_text("utf-8") != source())
    TARGET.write_text(source(), "utf-8")
    print(f"{TARGET}: {len(module())} bytes")

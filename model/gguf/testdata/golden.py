"""Makes golden.gguf: random blocks of each type, and what gguf.quants has them for.

    pip install gguf==0.19.0 numpy && python golden.py

Tensor NAME is in the type under test, want.NAME in F32. The metadata has a value of every kind.
"""

import numpy as np
from gguf import GGMLQuantizationType as Type, GGUFWriter, quants
from gguf.constants import GGML_QUANT_SIZES

# Where each type's half floats lie in a block.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
SPECIAL = [0x0000, 0x8000, 0x0001, 0x03FF, 0x7BFF, 0xFBFF]  # zeros, subnormals, the largest


def blocks(rng, name, rows, per_row):
    """Random bytes; half floats that are finite, the special ones among them."""
    _, size = GGML_QUANT_SIZES[Type[name]]
    raw = rng.integers(0, 256, (rows * per_row, size), dtype=np.uint8)
    for place in HALVES[name]:
        h = rng.normal(0, 0.02, len(raw)).astype(np.float16).view(np.uint16)
        n = min(len(SPECIAL), len(h) // 2)
        h[:n] = rng.permutation(SPECIAL)[:n]
        raw[:, place : place + 2] = h.reshape(-1, 1).view(np.uint8)
    return raw.reshape(rows, per_row * size)


def main():
    rng = np.random.default_rng(1)
    w = GGUFWriter("golden.gguf", "llama")
    w.add_uint8("k.uint8", 200)
    w.add_int8("k.int8", -100)
    w.add_uint16("k.uint16", 60000)
    w.add_int16("k.int16", -30000)
    w.add_uint32("k.uint32", 4000000000)
    w.add_int32("k.int32", -2000000000)
    w.add_uint64("k.uint64", 2**64 - 1)
    w.add_int64("k.int64", -(2**62))
    w.add_float32("k.float32", 1e-5)
    w.add_float64("k.float64", 0.1)
    w.add_bool("k.bool", True)
    w.add_string("k.string", "안녕, ñ")
    w.add_array("k.strings", ["a", "", "日本"])
    w.add_array("k.ints", [1, -2, 3])
    w.add_array("k.bools", [True, False])
    for name in HALVES:
        block, _ = GGML_QUANT_SIZES[Type[name]]
        rows, per_row = (3, 4) if block == 32 else (2, 3)
        raw = blocks(rng, name, rows, per_row)
        w.add_tensor(name, raw, raw_dtype=Type[name])
        w.add_tensor("want." + name, quants.dequantize(raw, Type[name]))
    bits = rng.integers(0, 2**16, (2, 50)).astype(np.uint16)
    bits[0, :8] = [0x0000, 0x8000, 0x0001, 0x03FF, 0x7BFF, 0x7C00, 0xFC00, 0x3C00]
    half = bits.view(np.float16)
    half[np.isnan(half)] = 1
    w.add_tensor("F16", half)
    w.add_tensor("want.F16", quants.dequantize(half, Type.F16))
    raw = bits.view(np.uint8)
    want = quants.dequantize(raw, Type.BF16)
    bits[np.isnan(want)] = 0x3F80
    w.add_tensor("BF16", raw, raw_dtype=Type.BF16)
    w.add_tensor("want.BF16", quants.dequantize(raw, Type.BF16))
    w.add_tensor("IQ4_NL", rng.integers(0, 256, (1, 18), dtype=np.uint8), raw_dtype=Type.IQ4_NL)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    main()

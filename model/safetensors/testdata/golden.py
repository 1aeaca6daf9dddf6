"""Writes golden.safetensors with the reference library, and golden.json beside
it: what the library reads back. Random numbers and edge values, no weights.

Run in this directory: python golden.py  (safetensors 0.8.0, torch 2.15.0)
"""

import json

import torch
from safetensors import safe_open
from safetensors.torch import save_file

gen = torch.Generator().manual_seed(42)


def ints(dtype, *shape):
    info = torch.iinfo(dtype)
    t = torch.randint(max(info.min, -(2**62)), min(info.max, 2**62), shape, generator=gen)
    t = t.to(dtype).flatten()
    t[0], t[1] = info.min, info.max
    return t.reshape(shape)


def floats(dtype, *shape):
    info = torch.finfo(dtype)
    t = torch.randn(shape, generator=gen, dtype=torch.float64).to(dtype).flatten()
    edges = [info.max, -info.max, info.smallest_normal, 0.0, -0.0]
    if dtype not in (torch.float8_e4m3fn,):
        edges += [float("inf"), float("-inf")]
    t[: len(edges)] = torch.tensor(edges, dtype=torch.float64).to(dtype)
    return t.reshape(shape)


tensors = {
    "bool": torch.tensor([True, False, True]),
    "u8": ints(torch.uint8, 5),
    "i8": ints(torch.int8, 7),
    "f8_e5m2": floats(torch.float8_e5m2, 9),
    "f8_e4m3": floats(torch.float8_e4m3fn, 3, 3),
    "i16": ints(torch.int16, 2, 3),
    "u16": torch.arange(65533, 65536).to(torch.uint16),
    "f16": floats(torch.float16, 3, 4),
    "bf16": floats(torch.bfloat16, 4, 3),
    "i32": ints(torch.int32, 2),
    "u32": torch.arange(2**32 - 3, 2**32).to(torch.uint32),
    "f32": floats(torch.float32, 2, 2, 3),
    "f64": floats(torch.float64, 8),
    "i64": ints(torch.int64, 3),
    "u64": torch.arange(2**53 - 3, 2**53).to(torch.uint64),
    "c64": torch.complex(floats(torch.float32, 8), floats(torch.float32, 8)),
    "scalar": torch.tensor(1.5),
    "empty": torch.zeros(0, 3),
    'model.layers.0.가\n"quoted"': torch.tensor([1.0, -2.0]),
}
save_file(tensors, "golden.safetensors", metadata={"format": "pt", "언어": "한국어 & <more>"})

out = {"metadata": {}, "tensors": {}}
with safe_open("golden.safetensors", "pt") as f:
    out["metadata"] = f.metadata()
    for name in sorted(f.keys()):
        t = f.get_tensor(name)
        entry = {
            "dtype": f.get_slice(name).get_dtype(),
            "shape": list(t.shape),
            "hex": t.contiguous().view(-1).view(torch.uint8).numpy().tobytes().hex(),
        }
        if t.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            # The bits of the nearest float32: JSON has no infinities.
            entry["f32"] = t.to(torch.float32).flatten().view(torch.int32).tolist()
        out["tensors"][name] = entry
with open("golden.json", "w", encoding="utf-8") as f:
    json.dump(out, f, indent=1, ensure_ascii=False)
    f.write("\n")

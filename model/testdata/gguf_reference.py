"""Writes FILE.crc32.json beside a GGUF file: CRC-32 sums of its tensors as Transformers reads them.

    python3 model/testdata/gguf_reference.py FILE.gguf && GRAFT_GGUF=FILE.gguf go test ./model -run TestGGUFReference
"""

import json
import sys
import zlib
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

path = Path(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
print(f"{path.name}: {model.config.model_type}, {sum(p.numel() for p in model.parameters())} parameters")
sums = {name: zlib.crc32(t.float().contiguous().numpy().tobytes()) for name, t in model.state_dict().items()}
Path(f"{path}.crc32.json").write_text(json.dumps(sums, indent=1, sort_keys=True) + "\n")

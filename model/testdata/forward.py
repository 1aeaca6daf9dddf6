"""Makes stories260K_forward.json with the float64 decoder of testdata/pytorch.

    python3 model/testdata/forward.py elo/demo/base > model/testdata/stories260K_forward.json
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "testdata" / "pytorch"))

import torch

import llama

config, params = llama.load(sys.argv[1])


def forward(ids):
    """Logits (T, V) of one sequence."""
    tokens = torch.tensor([ids])
    positions = torch.arange(len(ids))[None]
    return llama.logits(config, params, tokens, positions, torch.zeros_like(tokens))[0]


ids = [config["bos_token_id"]]
for _ in range(200):
    ids.append(forward(ids)[-1].argmax().item())
scores = forward(ids[:32])
loss = torch.nn.functional.cross_entropy(scores[:-1], torch.tensor(ids[1:32]))
json.dump(
    {
        "greedy_ids": ids,
        "prefix32_mean_nll": loss.item(),
        "logits_last_of_prefix32": [round(x, 6) for x in scores[-1].tolist()],
    },
    sys.stdout,
)
print()

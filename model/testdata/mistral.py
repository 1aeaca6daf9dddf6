"""Makes mistral-random: a tiny random Mistral with a sliding window, and its references.

    python3 model/testdata/mistral.py

The directory is written by Transformers. The references come from the float64 decoder in
testdata/pytorch/llama.py with the window added to its mask; they are held against
Transformers on a batch without packing, in float32, before anything is written.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "testdata" / "pytorch"))

import torch
from safetensors.torch import load_file, save_file
from transformers import MistralConfig, MistralForCausalLM

import llama

WINDOW, B, T, DOC = 5, 2, 24, 9  # the second sequence holds documents of DOC and T - DOC tokens
DIR = HERE / "mistral-random"


def windowed(first, rows):
    k = torch.arange(rows)
    return (k <= k[:, None]) & (k > k[:, None] - WINDOW) & (k >= first[:, :, None])


llama.visible = windowed
torch.manual_seed(7)
config = MistralConfig(
    vocab_size=61, hidden_size=32, intermediate_size=44, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, head_dim=12, max_position_embeddings=128, sliding_window=WINDOW,
    rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 300.0},
    rms_norm_eps=1e-4, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
    initializer_range=0.3, attn_implementation="eager")
model = MistralForCausalLM(config).eval()
with torch.no_grad():
    for name, p in model.named_parameters():
        if name.endswith("norm.weight"):
            p.copy_(1 + 0.3 * torch.randn_like(p))
model.save_pretrained(DIR)
params = {name: t.double().requires_grad_() for name, t in load_file(DIR / "model.safetensors").items()}
plain = {**config.to_dict(), "rope_theta": 300.0, "rope_scaling": None}


def linear_freq(_, dtype):
    dim = config.head_dim
    return 1.0 / 300.0 ** (torch.arange(0, dim, 2, dtype=dtype) / dim) / 2.0


llama.inv_freq = linear_freq
tokens = torch.randint(3, config.vocab_size, (B, T))
line = torch.arange(T).expand(B, T)
with torch.no_grad():
    ours = llama.logits(plain, params, tokens, line, torch.zeros_like(tokens))
    theirs = model(tokens).logits.double()
error = ((ours - theirs).norm() / theirs.norm()).item()
assert error < 1e-5, f"llama.py with a window and Transformers differ by {error:.1e}"

first = torch.zeros(B, T, dtype=torch.long)
end = torch.full((B, T), T)
first[1, DOC:], end[1, :DOC] = DOC, DOC
positions = line - first
targets = torch.where(line + 1 < end, tokens.roll(-1, 1), -1)
loss = llama.token_loss(llama.logits(plain, params, tokens, positions, first), targets).sum() / (targets >= 0).sum()
loss.backward()
save_file({name: p.grad.float().contiguous() for name, p in params.items()}, DIR / "gradients.safetensors")

ids = tokens[0, :3].tolist()
with torch.no_grad():
    for _ in range(40):
        row = torch.tensor([ids])
        ids.append(llama.logits(plain, params, row, torch.arange(len(ids))[None], torch.zeros_like(row))[0, -1].argmax().item())
(DIR / "golden.json").write_text(json.dumps({
    "batch": {"tokens": tokens.tolist(), "positions": positions.tolist(), "targets": targets.tolist(),
              "first": first.tolist(), "end": end.tolist()},
    "full": {"layers": [0, 1, 2], "loss": loss.item(), "target_count": int((targets >= 0).sum())},
    "greedy": {"prompt": ids[:3], "ids": ids[3:]},
}) + "\n")

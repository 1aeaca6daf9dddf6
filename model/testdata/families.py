"""Makes NAME-random for every family of models: a tiny random model and its references.

    python3 model/testdata/families.py [NAME...]

The directories are written by Transformers. The references come from the decoder written
out below in plain PyTorch in float64, held against Transformers on a batch without packing,
in float32, before anything is written: Transformers itself computes norms, softmax and
rotary angles in float32 whatever the model's type.

Letters in shape comments: B sequences, T positions, C width, H heads, K kv heads, D head size.
"""

import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers import Gemma2Config, Gemma3TextConfig, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

HERE = Path(__file__).resolve().parent
WINDOW, B, T, DOC = 5, 2, 24, 9  # the second sequence holds documents of DOC and T - DOC tokens

tiny = dict(
    vocab_size=61, hidden_size=24, intermediate_size=28, num_hidden_layers=4, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-4, bos_token_id=1, eos_token_id=2,
    pad_token_id=0, initializer_range=0.3)
yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 300.0}
MODELS = {
    # A window, and linear scaling.
    "mistral": MistralConfig(**tiny, head_dim=12, sliding_window=WINDOW, tie_word_embeddings=False,
                             rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 300.0}),
    # Biases everywhere, and yarn with its bounds not rounded and an amplitude of its own.
    "llama": LlamaConfig(**tiny, attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
                         rope_parameters={**yarn, "truncate": False, "attention_factor": 1.3, "beta_fast": 4.0, "beta_slow": 0.5}),
    # Biases on queries, keys and values, windows in the upper two layers, yarn.
    "qwen2": Qwen2Config(**tiny, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=2,
                         tie_word_embeddings=True, rope_parameters=yarn),
    # Normed queries and keys, heads that do not divide the width.
    "qwen3": Qwen3Config(**tiny, head_dim=10, tie_word_embeddings=False,
                         rope_parameters={"rope_type": "default", "rope_theta": 300.0}),
    # Caps low enough to bend the scores, windows in every other layer.
    "gemma2": Gemma2Config(**tiny, head_dim=8, query_pre_attn_scalar=10, sliding_window=WINDOW,
                           attn_logit_softcapping=1.5, final_logit_softcapping=2.5,
                           rope_parameters={"rope_type": "default", "rope_theta": 300.0}),
    # One layer in three sees everything, with a base and a scaling of its own.
    "gemma3_text": Gemma3TextConfig(**tiny, head_dim=8, query_pre_attn_scalar=10, sliding_window=WINDOW,
                                    layer_types=["sliding_attention"] * 2 + ["full_attention", "sliding_attention"],
                                    rope_parameters={
                                        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 3000.0},
                                        "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}),
}


def head_size(c):
    return getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads


def frequencies(c, layer):
    """(D/2) radians per position of a layer, and the factor of what is rotated."""
    head, kind = head_size(c), getattr(c, "layer_types", None)
    p = c.rope_parameters
    nested = kind is not None and kind[layer] in p
    if nested:
        p = p[kind[layer]]
    plain = 1.0 / p["rope_theta"] ** (torch.arange(0, head, 2, dtype=torch.float64) / head)
    if p["rope_type"] == "default":
        return plain, 1.0
    if p["rope_type"] == "linear":
        return plain / p["factor"], 1.0
    # Yarn, in float64; ROPE_INIT_FUNCTIONS does it in float32 and serves as a check.
    def index(turns):
        return head * math.log(p["original_max_position_embeddings"] / (turns * 2 * math.pi)) / (2 * math.log(p["rope_theta"]))
    lo, hi = index(p.get("beta_fast") or 32), index(p.get("beta_slow") or 1)
    if p.get("truncate", True):
        lo, hi = math.floor(lo), math.ceil(hi)
    lo, hi = max(lo, 0), min(hi, head - 1)
    stretch = ((torch.arange(head // 2) - lo) / (hi - lo)).clamp(0, 1).double()
    out = plain / p["factor"] * stretch + plain * (1 - stretch)
    want, amplitude = ROPE_INIT_FUNCTIONS["yarn"](c, "cpu")
    assert torch.allclose(out.float(), want, rtol=1e-5), (out, want)
    return out, amplitude


def rope(x, positions, freq, amplitude):
    """Rotates x (B, T, H, D); halves are paired, not neighbours."""
    angle = positions.to(x.dtype)[..., None] * freq.to(x.dtype)
    cos, sin = (t[:, :, None] * amplitude for t in (angle.cos(), angle.sin()))
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def capped(x, limit):
    return limit * torch.tanh(x / limit) if limit else x


class Decoder:
    def __init__(self, config, params):
        self.c, self.p = config, params
        self.gemma = config.model_type.startswith("gemma")

    def norm(self, x, name):
        w = self.p[name + ".weight"]
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.c.rms_norm_eps) * (1 + w if self.gemma else w)

    def linear(self, x, name):
        return F.linear(x, self.p[name + ".weight"], self.p.get(name + ".bias"))

    def attention(self, layer, x, positions, first):
        c, p = self.c, f"model.layers.{layer}.self_attn."
        b, t, _ = x.shape
        H, K, D = c.num_attention_heads, c.num_key_value_heads, head_size(c)
        q, k, v = (self.linear(x, p + n + "_proj").view(b, t, -1, D) for n in "qkv")
        if p + "q_norm.weight" in self.p:
            q, k = self.norm(q, p + "q_norm"), self.norm(k, p + "k_norm")
        freq, amplitude = frequencies(c, layer)
        q, k = (rope(y, positions, freq, amplitude) for y in (q, k))
        k, v = (y.repeat_interleave(H // K, dim=2) for y in (k, v))
        row = torch.arange(t)
        seen = (row <= row[:, None]) & (row >= first[:, :, None])
        kind = getattr(c, "layer_types", None)
        if c.model_type == "mistral" or kind and kind[layer] == "sliding_attention":
            seen = seen & (row > row[:, None] - c.sliding_window)
        scale = getattr(c, "query_pre_attn_scalar", D) ** -0.5
        score = capped(torch.einsum("bqhd,bkhd->bhqk", q, k) * scale, c.attn_logit_softcapping if c.model_type == "gemma2" else None)
        weight = score.masked_fill(~seen[:, None], -math.inf).softmax(-1)
        return self.linear(torch.einsum("bhqk,bkhd->bqhd", weight, v).reshape(b, t, H * D), p + "o_proj")

    def mlp(self, layer, x):
        p = f"model.layers.{layer}.mlp."
        gate = self.linear(x, p + "gate_proj")
        gate = F.gelu(gate, approximate="tanh") if self.gemma else F.silu(gate)
        return self.linear(gate * self.linear(x, p + "up_proj"), p + "down_proj")

    def logits(self, tokens, positions, first, layers=None):
        """Logits (B, T, V) of the decoder made of the given layers, all of them by default."""
        x = self.p["model.embed_tokens.weight"][tokens]
        if self.gemma:
            x = x * self.c.hidden_size ** 0.5
        for layer in range(self.c.num_hidden_layers) if layers is None else layers:
            p = f"model.layers.{layer}."
            if self.gemma:
                x = x + self.norm(self.attention(layer, self.norm(x, p + "input_layernorm"), positions, first), p + "post_attention_layernorm")
                x = x + self.norm(self.mlp(layer, self.norm(x, p + "pre_feedforward_layernorm")), p + "post_feedforward_layernorm")
            else:
                x = x + self.attention(layer, self.norm(x, p + "input_layernorm"), positions, first)
                x = x + self.mlp(layer, self.norm(x, p + "post_attention_layernorm"))
        head = self.p.get("lm_head.weight", self.p["model.embed_tokens.weight"])
        return capped(F.linear(self.norm(x, "model.norm"), head), getattr(self.c, "final_logit_softcapping", None))


def make(name, config):
    torch.manual_seed(7)
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            if key.endswith("norm.weight"):
                p.copy_((0 if name.startswith("gemma") else 1) + 0.3 * torch.randn_like(p))
            elif key.endswith(".bias"):
                p.copy_(0.3 * torch.randn_like(p))
    folder = HERE / f"{name}-random"
    model.bfloat16().save_pretrained(folder)
    # The weights as they are stored; float() would keep frequencies that bfloat16() rounded.
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    params = {key: t.double().requires_grad_() for key, t in load_file(folder / "model.safetensors").items()}
    ours = Decoder(model.config, params)

    tokens = torch.randint(3, config.vocab_size, (B, T))
    line = torch.arange(T).expand(B, T)
    with torch.no_grad():
        mine, theirs = ours.logits(tokens, line, torch.zeros_like(tokens)), model(tokens).logits.double()
    error = ((mine - theirs).norm() / theirs.norm()).item()
    assert error < 1e-5, f"{name}: this file and Transformers differ by {error:.1e}"

    first, end = torch.zeros(B, T, dtype=torch.long), torch.full((B, T), T)
    first[1, DOC:], end[1, :DOC] = DOC, DOC
    positions = line - first
    targets = torch.where(line + 1 < end, tokens.roll(-1, 1), -1)

    def losses(layers=None, decoder=ours):
        z = decoder.logits(tokens, positions, first, layers)
        flat = F.cross_entropy(z.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="none")
        return z, flat.view(targets.shape)

    count = int((targets >= 0).sum())
    z, each = losses()
    (each.sum() / count).backward()
    save_file({key: p.grad.float().contiguous() for key, p in params.items()}, folder / "gradients.safetensors")
    save_file({"logits": z.detach().float()}, folder / "logits.safetensors")
    # What float32 costs PyTorch itself; the gradient of a key's bias nearly cancels.
    single = {key: p.detach().float().requires_grad_() for key, p in params.items()}
    (losses(decoder=Decoder(model.config, single))[1].sum() / count).backward()
    f32 = {key: ((p.grad - params[key].grad).norm() / params[key].grad.norm()).item() for key, p in single.items()}
    pair = [0, config.num_hidden_layers - 1]
    with torch.no_grad():
        small = losses(pair)[1]
        ids = tokens[0, :3].tolist()
        for _ in range(40):
            row = torch.tensor([ids])
            ids.append(ours.logits(row, torch.arange(len(ids))[None], torch.zeros_like(row))[0, -1].argmax().item())
    describe = lambda layers, x: {"layers": layers, "loss": x.sum().item() / count, "target_count": count, "token_loss": x.tolist()}
    (folder / "golden.json").write_text(json.dumps({
        "batch": {"tokens": tokens.tolist(), "positions": positions.tolist(), "targets": targets.tolist(),
                  "first": first.tolist(), "end": end.tolist()},
        "full": {**describe(list(range(config.num_hidden_layers)), each.detach()), "f32_error": {"gradients": f32}}, "elo": describe(pair, small),
        "greedy": {"prompt": ids[:3], "ids": ids[3:]},
    }) + "\n")
    print(f"{name}: Transformers within {error:.1e}, loss {each.sum().item() / count:.4f}")


for name, config in MODELS.items():
    if not sys.argv[1:] or name in sys.argv[1:]:
        make(name, config)

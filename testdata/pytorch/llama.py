"""The Llama decoder written out in plain PyTorch, in any floating-point type.

Transformers computes norms, softmax and rotary angles in float32 whatever the
model's type, so it cannot serve as a float64 reference by itself. This file can,
and make.py holds it against Transformers with those three places lifted.

Letters in shape comments: B sequences, T positions, C width, H heads, K kv heads,
D head size, F feed-forward width, V vocabulary.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

EMBED, NORM, HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"


def load(directory):
    """Returns (config, parameters in float64 by Hugging Face name) of a directory."""
    directory = Path(directory)
    config = json.loads((directory / "config.json").read_text())
    stored = load_file(directory / "model.safetensors")
    return config, {name: t.double() for name, t in sorted(stored.items())}


def layer_prefix(layer):
    return f"model.layers.{layer}."


def inv_freq(config, dtype):
    """Rotary frequencies in radians per position, (D/2), with llama3 scaling if configured."""
    dim = config["head_dim"]
    freq = 1.0 / config["rope_theta"] ** (torch.arange(0, dim, 2, dtype=dtype) / dim)
    scaling = config.get("rope_scaling")
    if scaling is None:
        return freq
    if scaling["rope_type"] != "llama3":
        raise ValueError(f"rope_scaling {scaling['rope_type']!r} is not written out here")
    factor, low, high = scaling["factor"], scaling["low_freq_factor"], scaling["high_freq_factor"]
    # Turns of each frequency within the original context: below `low` the frequency
    # is divided by factor, above `high` it stays, in between it moves linearly.
    turns = scaling["original_max_position_embeddings"] * freq / (2 * math.pi)
    keep = ((turns - low) / (high - low)).clamp(0, 1)
    return keep * freq + (1 - keep) * freq / factor


def rope(x, positions, freq):
    """Rotates x (B, T, H, D) by its positions (B, T); halves are paired, not neighbours."""
    angle = positions.to(freq.dtype)[..., None] * freq  # (B, T, D/2)
    cos, sin = angle.cos()[:, :, None], angle.sin()[:, :, None]
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def rms_norm(x, weight, eps):
    return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps))


def visible(first, rows):
    """Mask (B, T, T): query t sees key k where first[t] <= k <= t, so only its own document."""
    k = torch.arange(rows)
    return (k <= k[:, None]) & (k >= first[:, :, None])


def decoder_layer(config, p, prefix, x, positions, mask, freq):
    """One block on x (B, T, C): attention and gated feed-forward, each with its residual."""
    B, T, _ = x.shape
    H, K, D = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    eps = config["rms_norm_eps"]

    def linear(h, name):
        return F.linear(h, p[prefix + name + ".weight"], p.get(prefix + name + ".bias"))

    h = rms_norm(x, p[prefix + "input_layernorm.weight"], eps)
    q = rope(linear(h, "self_attn.q_proj").view(B, T, H, D), positions, freq)
    k = rope(linear(h, "self_attn.k_proj").view(B, T, K, D), positions, freq)
    v = linear(h, "self_attn.v_proj").view(B, T, K, D)
    k, v = (t.repeat_interleave(H // K, dim=2) for t in (k, v))
    score = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(D)
    weight = score.masked_fill(~mask[:, None], -math.inf).softmax(-1)
    o = torch.einsum("bhqk,bkhd->bqhd", weight, v).reshape(B, T, H * D)
    x = x + linear(o, "self_attn.o_proj")

    h = rms_norm(x, p[prefix + "post_attention_layernorm.weight"], eps)
    h = F.silu(linear(h, "mlp.gate_proj")) * linear(h, "mlp.up_proj")
    return x + linear(h, "mlp.down_proj")


def logits(config, p, tokens, positions, first, layers=None):
    """Logits (B, T, V) of the decoder made of the given layers, all of them by default."""
    if layers is None:
        layers = range(config["num_hidden_layers"])
    x = p[EMBED][tokens]
    freq = inv_freq(config, x.dtype)
    mask = visible(first, tokens.shape[1])
    for layer in layers:
        x = decoder_layer(config, p, layer_prefix(layer), x, positions, mask, freq)
    x = rms_norm(x, p[NORM], config["rms_norm_eps"])
    return F.linear(x, p[EMBED if config["tie_word_embeddings"] else HEAD])


def token_loss(scores, targets):
    """Negative log-likelihood in nats of each target (B, T); 0 where the target is -1."""
    flat = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="none")
    return flat.view(targets.shape)

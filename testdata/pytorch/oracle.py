"""Transformers as the independent witness for llama.py.

Its Llama rounds to float32 inside norms and rotary embeddings. `float64()` lifts those
two places, so that both implementations can be compared to 1e-12; the scaled rotary
frequencies themselves are compared with its own, which exist in float32 only.
"""

import contextlib

import torch
from transformers import AutoModelForCausalLM
from transformers.models.llama import modeling_llama

import llama


def _norm64(self, x):
    return llama.rms_norm(x, self.weight, self.variance_epsilon)


def _rotary64(self, x, position_ids):
    angle = position_ids[..., None].double() * self.inv_freq.double()
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos() * self.attention_scaling, angle.sin() * self.attention_scaling


@contextlib.contextmanager
def float64():
    """While open, Transformers' Llama keeps float64 throughout (with SDPA attention)."""
    norm, rotary = modeling_llama.LlamaRMSNorm, modeling_llama.LlamaRotaryEmbedding
    kept = norm.forward, rotary.forward
    norm.forward, rotary.forward = _norm64, torch.no_grad()(_rotary64)
    try:
        yield
    finally:
        norm.forward, rotary.forward = kept


def open_model(directory, dtype):
    """Loads a directory and insists that every tensor in it was used and none was made up."""
    model, info = AutoModelForCausalLM.from_pretrained(
        directory, dtype=dtype, attn_implementation="sdpa", output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], f"{directory}: {kind}: {info[kind]}"
    return model.eval()


def _close(what, got, want, bound):
    error = ((got - want).norm() / want.norm()).item()
    assert error <= bound, f"llama.py and Transformers differ in {what} by {error:.2e}, more than {bound:.0e}"


def _masked_mean(scores, targets):
    losses = llama.token_loss(scores, targets)
    return losses.sum() / (targets >= 0).sum()


def verify(directory, config, params, batch):
    """Asserts that llama.py computes what Transformers does on this directory: frequencies,
    an unpacked batch through its own loss, and the packed batch with gradients."""
    model = open_model(directory, torch.float64)
    rotary = model.model.rotary_emb
    freq = llama.inv_freq(config, torch.float64)
    _close("rotary frequencies", rotary.inv_freq.double(), freq, 1e-6)
    rotary.inv_freq = freq

    with float64():
        tokens = batch["tokens"]
        got = model(input_ids=tokens, labels=tokens)
        plain = torch.arange(tokens.shape[1]).expand_as(tokens)
        scores = llama.logits(config, params, tokens, plain, torch.zeros_like(tokens))
        _close("unpacked logits", got.logits, scores, 1e-12)
        shifted = torch.cat((tokens[:, 1:], torch.full_like(tokens[:, :1], -1)), dim=1)
        # Its cross-entropy casts the logits to float32.
        _close("unpacked loss", got.loss, _masked_mean(scores, shifted), 1e-7)

        mask = llama.visible(batch["first"], tokens.shape[1])[:, None]
        got = model(input_ids=tokens, position_ids=batch["positions"], attention_mask=mask).logits
        p = {name: t.clone().requires_grad_() for name, t in params.items()}
        scores = llama.logits(config, p, tokens, batch["positions"], batch["first"])
        _close("packed logits", got, scores, 1e-12)
        _masked_mean(got, batch["targets"]).backward()
        _masked_mean(scores, batch["targets"]).backward()
        for name, parameter in model.named_parameters():
            _close(f"the gradient of {name}", parameter.grad, p[name].grad, 1e-11)

    # As users run it, with nothing lifted.
    with torch.no_grad():
        got = open_model(directory, torch.float32)(
            input_ids=tokens, position_ids=batch["positions"], attention_mask=mask).logits
    _close("float32 logits", got.double(), scores.detach(), 1e-5)


def generate(directory, prompt, count):
    """Greedy continuation of a prompt by Transformers in float64, through its KV cache."""
    model = open_model(directory, torch.float64)
    ids = torch.tensor([prompt])
    with float64():
        out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False,
                             max_new_tokens=count, pad_token_id=0)
    return out[0, len(prompt):].tolist()

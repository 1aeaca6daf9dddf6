"""Makes gguf/NAME.gguf, tiny random models of each architecture, and gguf/golden.json.

    pip install gguf==0.19.0 transformers==5.23.0 torch && python3 model/testdata/gguf_models.py

The files are laid out as llama.cpp's convert_hf_to_gguf.py does it: names by the gguf package's
own map, llama's rows of q and k permuted, gemma's norms stored as w + 1. golden.json has, for
each tensor, the CRC-32 of its F32 bytes as Transformers loads it from that GGUF file, and the
config of the model that the file was made from.
"""

import json
import math
import zlib
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from transformers import AutoModelForCausalLM
from transformers import Gemma2Config, Gemma3TextConfig, LlamaConfig, Qwen2Config, Qwen3Config

OUT = Path(__file__).resolve().parent / "gguf"
tiny = dict(
    vocab_size=61, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
    pad_token_id=0, initializer_range=0.3)
LLAMA3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192, "rope_theta": 500000.0}
MODELS = {  # the config, and the type of matrices
    "llama": (LlamaConfig(**tiny, tie_word_embeddings=False, attention_bias=True, rope_parameters=LLAMA3), Type.Q8_0),
    "qwen2": (Qwen2Config(**tiny, tie_word_embeddings=True,
                          rope_parameters={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 300.0}), Type.Q4_1),
    "qwen3": (Qwen3Config(**tiny, tie_word_embeddings=False, head_dim=16, rope_parameters={"rope_type": "default", "rope_theta": 1e6}), Type.Q4_0),
    "gemma2": (Gemma2Config(**tiny, head_dim=16, query_pre_attn_scalar=16, sliding_window=5, attn_logit_softcapping=40.0,
                            final_logit_softcapping=20.0, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}), Type.BF16),
    "gemma3": (Gemma3TextConfig(**tiny, head_dim=16, query_pre_attn_scalar=16, sliding_window=5,
                                layer_types=["sliding_attention"] * 2,
                                rope_parameters={"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                                                 "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}), Type.F16),
}


def permute(w, heads):
    """LlamaModel.permute of the converter."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def rope_factors(p, d):
    """LlamaModel.generate_extra_tensors of the converter."""
    factors = []
    for f in 1.0 / (p["rope_theta"] ** (torch.arange(0, d, 2, dtype=torch.float32) / d)):
        wave = 2 * math.pi / f
        old = p["original_max_position_embeddings"]
        if wave < old / p["high_freq_factor"]:
            factors.append(1)
        elif wave > old / p["low_freq_factor"]:
            factors.append(p["factor"])
        else:
            smooth = (old / wave - p["low_freq_factor"]) / (p["high_freq_factor"] - p["low_freq_factor"])
            factors.append(1 / ((1 - smooth) / p["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


def write(path, arch, c, model, quant):
    w = gguf.GGUFWriter(path, arch)
    w.add_vocab_size(c.vocab_size)
    w.add_context_length(c.max_position_embeddings)
    w.add_embedding_length(c.hidden_size)
    w.add_block_count(c.num_hidden_layers)
    w.add_feed_forward_length(c.intermediate_size)
    w.add_head_count(c.num_attention_heads)
    w.add_head_count_kv(c.num_key_value_heads)
    w.add_layer_norm_rms_eps(c.rms_norm_eps)
    d = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    if arch in ("qwen3", "gemma2", "gemma3"):
        w.add_key_length(d)
        w.add_value_length(d)
    else:
        w.add_rope_dimension_count(d)
    rope = c.rope_parameters.get("full_attention", c.rope_parameters)
    w.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] in ("linear", "yarn"):
        w.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        w.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if rope["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", rope_factors(rope, d))
    if arch.startswith("gemma"):
        w.add_sliding_window(c.sliding_window)
    if arch == "gemma2":
        w.add_attn_logit_softcapping(c.attn_logit_softcapping)
        w.add_final_logit_softcapping(c.final_logit_softcapping)
    w.add_bos_token_id(c.bos_token_id)
    w.add_eos_token_id(c.eos_token_id)
    w.add_pad_token_id(c.pad_token_id)
    names = gguf.get_tensor_name_map(next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == arch), c.num_hidden_layers)
    for name, t in model.state_dict().items():
        if name == "lm_head.weight" and c.tie_word_embeddings:
            continue
        x = t.float().numpy()
        if arch == "llama" and ".q_proj." in name:
            x = permute(x, c.num_attention_heads)
        if arch == "llama" and ".k_proj." in name:
            x = permute(x, c.num_key_value_heads)
        if arch.startswith("gemma") and name.endswith("norm.weight"):
            x = x + 1
        kind = quant if x.ndim > 1 else Type.F32
        w.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), gguf.quants.quantize(x, kind), raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    OUT.mkdir(exist_ok=True)
    torch.manual_seed(1)
    golden = {}
    for arch, (c, quant) in MODELS.items():
        model = AutoModelForCausalLM.from_config(c, dtype=torch.float32)
        for name, p in model.named_parameters():
            if p.ndim == 1:  # norms and biases begin as ones and zeros
                torch.nn.init.normal_(p, 0.0, 0.25)
        path = OUT / f"{arch}.gguf"
        write(str(path), arch, c, model, quant)
        loaded = AutoModelForCausalLM.from_pretrained(
            OUT, gguf_file=path.name, config=c, dtype=torch.float32).state_dict()
        crcs = {}
        for name, was in model.state_dict().items():
            if name == "lm_head.weight" and c.tie_word_embeddings:
                continue
            t = loaded[name]
            if (t - was).abs().max() > 0.2:
                raise SystemExit(f"{arch}: {name}: Transformers loads something else than was written")
            crcs[name] = zlib.crc32(t.float().contiguous().numpy().tobytes())
        config = c.to_dict()
        config["architectures"] = [type(model).__name__]
        golden[arch] = {"config": config, "crc32": crcs}
    (OUT / "golden.json").write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

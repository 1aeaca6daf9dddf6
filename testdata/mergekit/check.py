"""Compares what graft split and graft reassemble write with mergekit's passthrough.

    python check.py GRAFT [MODEL...]

GRAFT is the program. For random Llamas made here, and for every MODEL directory, both cut
out the same layers and put changed ones back; every tensor must be the same bytes. One line
for each comparison goes to standard output. The exit status is 1 if anything differs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from huggingface_hub.errors import StrictDataclassClassValidationError
from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM


def tensors(directory):
    """All tensors of a directory by name, a head that repeats the embedding left out."""
    out = {}
    for path in sorted(Path(directory).glob("*.safetensors")):
        with safe_open(path, framework="pt") as f:
            for name in f.keys():
                assert name not in out, f"{name} is in two files of {directory}"
                out[name] = f.get_tensor(name)
    if not out:
        raise ValueError(f"{directory}: no tensors")
    if config(directory)["tie_word_embeddings"] and "lm_head.weight" in out:
        if not same(out.pop("lm_head.weight"), out["model.embed_tokens.weight"]):
            raise ValueError(f"{directory}: the tied head is not the embedding")
    return out


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))


def config(directory):
    value = json.loads((Path(directory) / "config.json").read_text())
    value.setdefault("tie_word_embeddings", False)
    return value


def compare(what, got, want):
    """Holds graft's directory against mergekit's."""
    g, w = tensors(got), tensors(want)
    if g.keys() != w.keys():
        raise ValueError(f"{what}: graft alone has {sorted(g.keys() - w.keys())}, mergekit alone {sorted(w.keys() - g.keys())}")
    wrong = [name for name in w if not same(g[name], w[name])]
    if wrong:
        raise ValueError(f"{what}: {len(wrong)} tensors differ, first {wrong[0]}")
    layers = [config(d)["num_hidden_layers"] for d in (got, want)]
    if layers[0] != layers[1]:
        raise ValueError(f"{what}: num_hidden_layers is {layers[0]}, mergekit has {layers[1]}")
    print(f"{what}: {len(w)} tensors equal, {layers[0]} layers", flush=True)


def passthrough(sources, dtype, out):
    """mergekit's model of layers: sources lists (directory, layer)."""
    merged = []
    for directory, layer in sources:
        if merged and merged[-1][0] == directory and merged[-1][2] == layer:
            merged[-1][2] = layer + 1
        else:
            merged.append([directory, layer, layer + 1])
    recipe = {"merge_method": "passthrough", "dtype": dtype,
              "slices": [{"sources": [{"model": str(d), "layer_range": [a, b]}]} for d, a, b in merged]}
    try:
        run_merge(MergeConfiguration.model_validate(recipe), str(out),
                  options=MergeOptions(quiet=True, copy_tokenizer=False, lazy_unpickle=True))
    except StrictDataclassClassValidationError:
        # The tensors are written by now. mergekit does not cut layer_types, and then
        # Transformers refuses to save the config.
        value = config(sources[0][0])
        value["num_hidden_layers"] = len(sources)
        (out / "config.json").write_text(json.dumps(value))


def change_layers(directory):
    """Stands in for training: every layer's tensors change, nothing else does."""
    torch.manual_seed(7)
    for path in Path(directory).glob("*.safetensors"):
        with safe_open(path, framework="pt") as f:
            metadata, values = f.metadata(), {name: f.get_tensor(name) for name in f.keys()}
        for name, x in values.items():
            if ".layers." in name:
                values[name] = (x.float() + 0.05 * torch.randn(x.shape)).to(x.dtype)
        save_file(values, path, metadata=metadata)


def graft(*args):
    subprocess.run([str(a) for a in args], check=True, stdout=subprocess.DEVNULL)


def check(program, model, layers, tmp):
    depth = config(model)["num_hidden_layers"]
    chosen = sorted(l % depth for l in layers)
    dtypes = {x.dtype for x in tensors(model).values()}
    if len(dtypes) != 1:
        raise ValueError(f"{model}: has tensors of {len(dtypes)} types; mergekit writes one")
    dtype = str(dtypes.pop()).removeprefix("torch.")
    what = f"{model.name}, layers {chosen} of {depth}, {dtype}"
    small, cut = tmp / "small", tmp / "cut"
    graft(program, "split", model, "-o", small, "--layers", ",".join(map(str, chosen)))
    passthrough([(model, l) for l in chosen], dtype, cut)
    compare(what + ": split", small, cut)

    change_layers(small)
    grafted, whole = tmp / "grafted", tmp / "whole"
    graft(program, "reassemble", model, small, "-o", grafted)
    passthrough([(small, chosen.index(l)) if l in chosen else (model, l) for l in range(depth)], dtype, whole)
    compare(what + ": reassemble", grafted, whole)
    if all(same(x, y) for x, y in zip(tensors(grafted).values(), tensors(model).values())):
        raise ValueError(f"{what}: the changed layers were not taken over")


def random_models(tmp):
    """Llamas whose tensors are all different; without biases, which mergekit's Llama lacks."""
    for i, (tied, dtype, shard) in enumerate([(False, "float32", "50GB"), (True, "bfloat16", "50GB"), (False, "float16", "60KB")]):
        torch.manual_seed(i)
        c = LlamaConfig(hidden_size=48, intermediate_size=96, num_hidden_layers=6, num_attention_heads=6, num_key_value_heads=2,
                        vocab_size=97, tie_word_embeddings=tied, max_position_embeddings=128)
        m = LlamaForCausalLM(c)
        for p in m.parameters():
            torch.nn.init.normal_(p, std=0.3)
        out = tmp / f"{'tied' if tied else 'untied'}-{dtype}"
        m.to(getattr(torch, dtype)).save_pretrained(out, max_shard_size=shard)
        yield out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graft", type=Path, help="the program")
    parser.add_argument("models", nargs="*", type=Path, help="further model directories")
    args = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        work = [(m, layers) for m in random_models(root) for layers in ([0, -1], [0, 2, -1], [1, 2, 3], [3])]
        work += [(m.resolve(), layers) for m in args.models for layers in ([0, -1], [0, config(m)["num_hidden_layers"] // 2, -1])]
        for i, (model, layers) in enumerate(work):
            with tempfile.TemporaryDirectory(dir=root) as tmp:
                check(args.graft.resolve(), model, layers, Path(tmp))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, AssertionError, subprocess.CalledProcessError) as error:
        sys.exit(f"check: {error}")

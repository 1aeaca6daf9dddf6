"""Makes the float64 references that Graft's tests compare with; see README.md.

    python make.py --stories DIR     # DIR holds stories260K; writes beside this file
    python make.py --check           # makes them again elsewhere and compares
"""

import argparse
import json
import math
import os
import re
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

import llama
import oracle
import schedules

HERE = Path(__file__).resolve().parent
RANDOM = "tinyllama-random"
STORIES = "stories260K"

ADAMW = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1, "steps": 10}
# stories260K is clipped in every step, the random model in its first ones only.
MAX_GRAD_NORM = {STORIES: 1.0, RANDOM: 2.05}

RANDOM_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 48,
    "intermediate_size": 61,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 97,
    "max_position_embeddings": 256,
    # Large enough that leaving it out shows in float32.
    "rms_norm_eps": 1e-3,
    # Of the eight frequencies one stays, two are blended and five are divided by the factor.
    "rope_theta": 500.0,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    },
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "attention_bias": True,
    "mlp_bias": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.02,
    "torch_dtype": "float32",
}


# ---- the random model ----------------------------------------------------------------


def make_random_model(directory, seed=20260103):
    """Writes a random Llama whose every tensor matters: no zero bias, no norm weight of one."""
    c, g = RANDOM_CONFIG, torch.Generator().manual_seed(seed)
    C, Fw, V, D = c["hidden_size"], c["intermediate_size"], c["vocab_size"], c["head_dim"]
    q, kv = c["num_attention_heads"] * D, c["num_key_value_heads"] * D

    def normal(*shape, std, mean=0.0):
        return mean + std * torch.randn(*shape, generator=g)

    t = {llama.EMBED: normal(V, C, std=0.3)}
    for layer in range(c["num_hidden_layers"]):
        prefix = llama.layer_prefix(layer)
        for name, rows, cols in (("self_attn.q_proj", q, C), ("self_attn.k_proj", kv, C),
                                 ("self_attn.v_proj", kv, C), ("self_attn.o_proj", C, q),
                                 ("mlp.gate_proj", Fw, C), ("mlp.up_proj", Fw, C), ("mlp.down_proj", C, Fw)):
            t[prefix + name + ".weight"] = normal(rows, cols, std=1 / math.sqrt(cols))
            t[prefix + name + ".bias"] = normal(rows, std=0.1)
        for name in ("input_layernorm", "post_attention_layernorm"):
            t[prefix + name + ".weight"] = normal(C, std=0.2, mean=1.0)
    t[llama.NORM] = normal(C, std=0.2, mean=1.0)
    t[llama.HEAD] = normal(V, C, std=1 / math.sqrt(C))

    directory.mkdir(parents=True, exist_ok=True)
    save_file(t, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "config.json").write_text(json.dumps(RANDOM_CONFIG, indent=2) + "\n")


# ---- the batch -----------------------------------------------------------------------

# Document lengths of each sequence; the last number is padding. One sequence is a single
# document, one holds a document of one token (which has no target), one ends in padding.
DOCUMENTS = (((48,), 0), ((17, 1, 30), 0), ((11, 22, 9), 6))


def make_batch(config, params, seed):
    """A packed batch. Documents alternate between noise and text sampled from the model
    itself, so that both confident and surprised predictions give gradients."""
    g = torch.Generator().manual_seed(seed)
    rows = {key: [] for key in ("tokens", "positions", "first", "end", "targets")}
    count = 0
    for lengths, padding in DOCUMENTS:
        row = {key: [] for key in rows}
        for length in lengths:
            ids = torch.randint(3, config["vocab_size"], (length,), generator=g).tolist()
            if count % 2 == 0:
                ids = sample(config, params, length, g)
            append_document(row, ids, ids[1:] + [-1])
            count += 1
        if padding:
            append_document(row, [0] * padding, [-1] * padding)
        for key, values in row.items():
            rows[key].append(values)
    return {key: torch.tensor(values) for key, values in rows.items()}


def append_document(row, ids, targets):
    first = len(row["tokens"])
    row["tokens"] += ids
    row["targets"] += targets
    row["positions"] += range(len(ids))
    row["first"] += [first] * len(ids)
    row["end"] += [first + len(ids)] * len(ids)


def single_document(ids):
    """Tokens, positions and first rows of one unpacked sequence, each (1, T)."""
    tokens = torch.tensor([ids])
    return tokens, torch.arange(len(ids))[None], torch.zeros_like(tokens)


def sample(config, params, length, generator):
    ids = [config["bos_token_id"]]
    while len(ids) < length:
        scores = llama.logits(config, params, *single_document(ids))[0, -1]
        ids.append(torch.multinomial(scores.softmax(-1), 1, generator=generator).item())
    return ids


# ---- losses, gradients, training -----------------------------------------------------


def forward(config, params, batch, layers):
    """Returns logits, per-token losses and their mean over the targets."""
    scores = llama.logits(config, params, batch["tokens"], batch["positions"], batch["first"], layers)
    losses = llama.token_loss(scores, batch["targets"])
    return scores, losses, losses.sum() / (batch["targets"] >= 0).sum()


def leaves(params, trainable, dtype):
    """Fresh copies of the parameters in dtype; only the trainable ones want a gradient."""
    return {name: t.to(dtype, copy=True).requires_grad_(name in trainable) for name, t in params.items()}


def differentiate(config, params, batch, layers, trainable, dtype):
    p = leaves(params, trainable, dtype)
    scores, losses, loss = forward(config, p, batch, layers)
    loss.backward()
    return scores.detach(), losses.detach(), loss.item(), {name: p[name].grad for name in trainable}


def train(config, params, batch, layers, trainable, max_norm, dtype):
    """Takes the AdamW steps; returns [{loss, grad_norm}] and each tensor's change.

    A step's loss and norm are those before its update, the norm before clipping."""
    p = leaves(params, trainable, dtype)
    matrices = [p[name] for name in trainable if p[name].dim() == 2]
    vectors = [p[name] for name in trainable if p[name].dim() != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": ADAMW["weight_decay"]}, {"params": vectors, "weight_decay": 0.0}],
        lr=ADAMW["learning_rate"], betas=(ADAMW["beta1"], ADAMW["beta2"]), eps=ADAMW["eps"])
    steps = []
    for _ in range(ADAMW["steps"]):
        optimizer.zero_grad()
        loss = forward(config, p, batch, layers)[2]
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(matrices + vectors, max_norm)
        optimizer.step()
        steps.append({"loss": loss.item(), "grad_norm": norm.item()})
    # The float32 run starts from the same values, so the subtraction may be done in float64.
    return steps, {name: p[name].detach().double() - params[name] for name in trainable}


def relative(got, want):
    return ((got.double() - want).norm() / want.norm()).item()


def errors(got, want):
    return {name: relative(got[name], want[name]) for name in want}


def reference(config, params, batch, layers, trainable, max_norm):
    """Everything recorded about one set of layers; returns (JSON section, tensors)."""
    args = (config, params, batch, layers, trainable)
    scores, losses, loss, grads = differentiate(*args, torch.float64)
    scores32, _, loss32, grads32 = differentiate(*args, torch.float32)
    steps, change = train(*args, max_norm, torch.float64)
    _, change32 = train(*args, max_norm, torch.float32)
    for name, grad in grads.items():
        assert grad.norm() > 0, f"{name} has no gradient: it would not be tested"
    section = {
        "layers": list(layers),
        "loss": loss,
        "target_count": int((batch["targets"] >= 0).sum()),
        "token_loss": losses.tolist(),
        "steps": steps,
        "f32_error": {
            "loss": abs(loss32 - loss) / abs(loss),
            "logits": relative(scores32, scores),
            "gradients": errors(grads32, grads),
            "change": errors(change32, change),
        },
    }
    return section, {"logits": scores, "gradients": grads, "change": change}


def greedy(config, params, directory):
    """Thirty-two greedy tokens whose choice float32 cannot tip over, and their prompt."""
    best = None
    for seed in range(200):
        g = torch.Generator().manual_seed(seed)
        prompt = torch.randint(3, config["vocab_size"], (7,), generator=g).tolist()
        ids, margin = list(prompt), math.inf
        for _ in range(32):
            top = llama.logits(config, params, *single_document(ids))[0, -1].topk(2)
            margin = min(margin, (top.values[0] - top.values[1]).item())
            ids.append(top.indices[0].item())
        new = ids[len(prompt):]
        # A short cycle would hide errors that grow with the position.
        if config["eos_token_id"] not in new and len(set(new)) >= 12 and (best is None or margin > best["min_margin"]):
            best = {"prompt": prompt, "ids": new, "min_margin": margin}
    assert best and best["min_margin"] > 1e-3, best
    assert oracle.generate(directory, best["prompt"], 32) == best["ids"], "Transformers generates otherwise"
    return best


# ---- writing -------------------------------------------------------------------------


def make_golden(out, directory, batch_seed, logit_stride, with_greedy):
    """Writes the references of one model directory into out, whose name is the model's."""
    config, params = llama.load(directory)
    assert config["tie_word_embeddings"] != (llama.HEAD in params), "a tied head must not be stored"
    batch = make_batch(config, params, batch_seed)
    oracle.verify(directory, config, params, batch)

    depth = config["num_hidden_layers"]
    max_norm = MAX_GRAD_NORM[out.name]
    full, tensors = reference(config, params, batch, range(depth), list(params), max_norm)
    ends = (0, depth - 1)
    kept = tuple(llama.layer_prefix(layer) for layer in ends)
    trainable = [name for name in params if name.startswith(kept)]
    elo, elo_tensors = reference(config, params, batch, ends, trainable, max_norm)

    B, T = batch["tokens"].shape
    rows = list(range(0, B * T, logit_stride))
    golden = {
        "model": out.name,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "batch": {key: value.tolist() for key, value in batch.items()},
        "adamw": ADAMW | {"max_grad_norm": max_norm},
        "logit_rows": rows,
        "full": full,
        "elo": elo,
    }
    if with_greedy:
        golden["greedy"] = greedy(config, params, directory)

    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "golden.json", golden)
    write_tensors(out / "gradients.safetensors", tensors["gradients"], torch.float32)
    # float16 rounds the change by 2e-4 of itself, far below the bound of 1e-3 on it.
    write_tensors(out / "change.safetensors", tensors["change"], torch.float16)
    write_tensors(out / "elo_gradients.safetensors", elo_tensors["gradients"], torch.float32)
    write_tensors(out / "logits.safetensors", {"full": tensors["logits"].flatten(0, 1)[rows],
                                               "elo": elo_tensors["logits"].flatten(0, 1)[rows]}, torch.float32)


def write_tensors(path, tensors, dtype):
    stored = {name: t.to(dtype).contiguous() for name, t in tensors.items()}
    # Changes below 6e-5 are subnormal in float16: make sure that none of them counts.
    worst = max(errors(stored, tensors).values())
    assert worst < (1e-7 if dtype == torch.float32 else 3e-4), f"{path}: rounding costs {worst:.1e}"
    save_file(stored, path)


def write_json(path, value):
    """Indented JSON with every list of numbers on one line."""
    text = json.dumps(value, indent=1)
    text = re.sub(r"\[[^][{}]*\]", lambda m: " ".join(m.group().split()).replace("[ ", "[").replace(" ]", "]"), text)
    path.write_text(text + "\n")


def make_all(testdata, stories):
    """Writes the whole tree: testdata/models/tinyllama-random and testdata/pytorch/*."""
    model = testdata / "models" / RANDOM
    make_random_model(model)
    out = testdata / "pytorch"
    # Logits of every row of the small vocabulary, of every eighth of the large one.
    make_golden(out / RANDOM, model, batch_seed=1, logit_stride=1, with_greedy=True)
    make_golden(out / STORIES, stories, batch_seed=2, logit_stride=8, with_greedy=False)
    write_json(out / "schedules.json", schedules.references())


# ---- comparing -----------------------------------------------------------------------


def compare(made, kept, tolerance=1e-6):
    """Yields a line for every difference between two trees beyond rounding."""
    for path in sorted(p for p in made.rglob("*") if p.is_file()):
        name, other = path.relative_to(made), kept / path.relative_to(made)
        if not other.is_file():
            yield f"{name}: missing"
        elif path.suffix == ".safetensors":
            a, b = load_file(path), load_file(other)
            if a.keys() != b.keys():
                yield f"{name}: different tensors"
                continue
            for key in a:
                error = relative(a[key], b[key].double())
                # float16 rounds a value beside a tie either way.
                if not error <= (1e-4 if a[key].dtype == torch.float16 else tolerance):
                    yield f"{name}: {key}: relative difference {error:.2e}"
        else:
            yield from compare_json(json.loads(path.read_text()), json.loads(other.read_text()), str(name), tolerance)


def compare_json(a, b, where, tolerance):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            # Versions and float32 rounding belong to the machine that made the file.
            if key not in ("versions", "f32_error"):
                yield from compare_json(a.get(key), b.get(key), f"{where}: {key}", tolerance)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            yield from compare_json(x, y, f"{where}[{i}]", tolerance)
    elif isinstance(a, float) and isinstance(b, float):
        if not math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-15):
            yield f"{where}: {a} and {b}"
    elif a != b:
        yield f"{where}: {a} and {b}"


def main():
    data = os.environ.get("GRAFT_DATA")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stories", type=Path, default=Path(data, "models", STORIES) if data else None,
                        help="directory of stories260K (default: $GRAFT_DATA/models/stories260K)")
    parser.add_argument("--check", action="store_true", help="write nothing here; compare with what is here")
    args = parser.parse_args()
    if args.stories is None or not (args.stories / "model.safetensors").is_file():
        parser.error(f"--stories: no model.safetensors in {args.stories or 'the directory not given'}")

    # One thread: the recorded float32 errors then depend on the processor alone.
    torch.set_num_threads(1)
    if not args.check:
        make_all(HERE.parent, args.stories)
        return 0
    with tempfile.TemporaryDirectory() as made:
        make_all(Path(made), args.stories)
        differences = list(compare(Path(made), HERE.parent))
    print("\n".join(differences) or "the references are what these scripts make")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())

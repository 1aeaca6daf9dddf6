"""Holds Graft to Transformers on real models: losses of every token, greedy text, both stages of ELO.

    python real_models.py convert FILE.gguf OUT [--tokenizer tokenizer.json[.gz]]
    python real_models.py check MODEL --graft bin/graft --corpora DIR [--device cpu]

convert writes what Transformers reads from a GGUF file as a bfloat16 directory, beside the
tokenizer that it finds in the file, or the one that is given.

check takes 20 documents, English, Korean and Japanese, from DIR's react_docs_en_ko_ja.jsonl.gz,
the first 600 characters of each. It prints a line for each of:

 - losses: Graft's loss of every token against Transformers' in float32, at most 1e-3 apart;
 - greedy: 64 tokens after the beginning of three documents, equal;
 - elo: `graft run`, both stages on some thousand tokens, then the loss of what it wrote, in Transformers
   and in Graft, at most 1e-5 apart, relative.

The exit status is 1 if one does not hold.
"""

import argparse
import gzip
import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

LANGUAGES = ("en", "ko", "ja")
DOCUMENTS, CHARACTERS, GREEDY = 20, 600, 64


def convert(args):
    source = Path(args.gguf)
    model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(model.state_dict())
    plain.to(torch.bfloat16).save_pretrained(args.out)
    if not args.tokenizer:
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(args.out)
        return
    opener = gzip.open if args.tokenizer.endswith(".gz") else open
    with opener(args.tokenizer, "rb") as src, open(Path(args.out) / "tokenizer.json", "wb") as dst:
        shutil.copyfileobj(src, dst)


def documents(corpora):
    """The same page in three languages in turn, DOCUMENTS in all."""
    texts = []
    with gzip.open(Path(corpora) / "react_docs_en_ko_ja.jsonl.gz", "rt", encoding="utf-8") as f:
        for line in f:
            page = json.loads(line)
            texts += [page[lang][:CHARACTERS].strip() for lang in LANGUAGES if page.get(lang)]
            if len(texts) >= DOCUMENTS:
                return texts[:DOCUMENTS]
    raise ValueError(f"{corpora}: {len(texts)} documents, want {DOCUMENTS}")


class Graft:
    def __init__(self, binary, device):
        self.binary, self.device = binary, device

    def __call__(self, *args, device=True, text=None):
        command = [self.binary, *map(str, args)] + (["--device", self.device] if device else [])
        done = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8")
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout


@torch.no_grad()
def reference_losses(model, ids):
    scores = model(input_ids=torch.tensor([ids])).logits[0, :-1].double()
    return torch.nn.functional.cross_entropy(scores, torch.tensor(ids[1:]), reduction="none").tolist()


def scored(graft, directory, texts, tmp):
    """Graft's documents, with the ids and losses of their tokens, for texts as one corpus."""
    path = tmp / "documents.jsonl"
    path.write_text("".join(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in texts), encoding="utf-8")
    return json.loads(graft("eval", directory, path, "--json", "--per-token", "--sequence-len", 2048))["documents"]


def tokens(graft, directory, text):
    return json.loads(graft("tokenize", directory, "--json", device=False, text=text))["ids"]


def check_losses(graft, directory, model, texts, tmp):
    worst, total, count = 0.0, 0.0, 0
    for text, got in zip(texts, scored(graft, directory, texts, tmp), strict=True):
        ids = tokens(graft, directory, text)
        if got["targets"] != ids[1:]:
            raise ValueError(f"document {got['document']}: eval's ids are not tokenize's")
        want = reference_losses(model, ids)
        worst = max(worst, max(abs(a - b) for a, b in zip(got["losses"], want, strict=True)))
        total, count = total + sum(want), count + len(want)
    print(f"losses: {count} tokens of {len(texts)} documents, {total / count:.4f} nats a token, at most {worst:.2g} apart")
    return worst <= 1e-3


@torch.no_grad()
def check_greedy(graft, directory, model, texts):
    good = True
    for text in texts[:len(LANGUAGES)]:
        prompt = text[:200]
        ids = tokens(graft, directory, prompt)
        want = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), max_new_tokens=GREEDY,
                              do_sample=False, repetition_penalty=1.0, pad_token_id=0)[0, len(ids):].tolist()
        got = json.loads(graft("generate", directory, prompt, "--max-tokens", GREEDY, "--json"))["ids"]
        ends = model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        while want and want[-1] in ends:  # Graft leaves the token that ends the text out
            want.pop()
        same = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
        print(f"greedy: {same} of {len(want)} tokens equal")
        good = good and got == want
    return good


def check_elo(graft, directory, texts, tmp):
    corpora = {"ko": texts[1::3], "en": texts[0::3]}
    lines = [f"base_model: {directory}", f"output_dir: {tmp / 'elo'}", "sequence_len: 256", "micro_batch_size: 1",
             "gradient_accumulation_steps: 2", "max_tokens: 4096", "pretrain: {learning_rate: 1.0e-4}", "datasets:"]
    for lang, docs in corpora.items():
        path = tmp / f"{lang}.jsonl"
        path.write_text("".join(json.dumps({"text": t}) + "\n" for t in docs), encoding="utf-8")
        lines.append(f"  - {{path: {path}, lang: {lang}{', role: source' if lang == 'en' else ''}}}")
    recipe = tmp / "recipe.yaml"
    recipe.write_text("\n".join(lines) + "\n")
    graft("run", recipe)
    good = True
    for name in ("elo", "elo.small"):
        model = open_model(tmp / name)
        docs = scored(graft, tmp / name, texts[:3], tmp)
        got = [loss for d in docs for loss in d["losses"]]
        want = [loss for t in texts[:3] for loss in reference_losses(model, tokens(graft, tmp / name, t))]
        mean, expected = sum(got) / len(got), sum(want) / len(want)
        good = good and math.isclose(mean, expected, rel_tol=1e-5)
        print(f"elo: {name}: {len(model.model.layers)} layers, {mean:.6f} nats a token, Transformers {expected:.6f}")
    return good


def open_model(directory):
    model, info = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", local_files_only=True, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[kind]:
            raise ValueError(f"{directory}: {kind.replace('_', ' ')}: {sorted(map(str, info[kind]))}")
    return model.eval()


def check(args):
    graft, texts = Graft(args.graft, args.device), documents(args.corpora)
    with tempfile.TemporaryDirectory() as name:
        tmp, model = Path(name), open_model(args.model)
        results = [check_losses(graft, args.model, model, texts, tmp), check_greedy(graft, args.model, model, texts),
                   check_elo(graft, args.model, texts, tmp)]
    return 0 if all(results) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("convert")
    verb.add_argument("gguf")
    verb.add_argument("out")
    verb.add_argument("--tokenizer")
    verb.set_defaults(run=convert)
    verb = verbs.add_parser("check")
    verb.add_argument("model")
    verb.add_argument("--graft", required=True)
    verb.add_argument("--corpora", required=True)
    verb.add_argument("--device", default="cpu")
    verb.set_defaults(run=check)
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    sys.exit(args.run(args))


if __name__ == "__main__":
    main()

"""Loads a model directory with Transformers and prints its mean loss on given tokens.

    python check_transformers.py DIR --loss-file tokens.json [--expect 2.345]

tokens.json: {"sequences": [[1, 403, 407], ...], "texts": ["Once", ...]}

Every sequence is a document of its own, at least two tokens long; the loss is the mean
negative log-likelihood, in nats, of all tokens but each document's first. "texts" may be
left out; if present, text i must tokenize to sequence i with DIR's tokenizer. One line of
JSON goes to standard output. The exit status is 1 if a weight is missing, left over or of
the wrong shape, a text tokenizes otherwise, or the loss is not the expected one.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def read_tokens(path):
    value = json.loads(Path(path).read_text())
    sequences, texts = value.get("sequences"), value.get("texts")
    if not sequences or any(len(s) < 2 for s in sequences):
        raise ValueError(f'{path}: "sequences" must be lists of at least two tokens')
    if texts is not None and len(texts) != len(sequences):
        raise ValueError(f'{path}: {len(texts)} "texts" for {len(sequences)} "sequences"')
    return sequences, texts


def open_model(directory, dtype):
    model, info = AutoModelForCausalLM.from_pretrained(
        directory, dtype=dtype, local_files_only=True, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[kind]:
            raise ValueError(f"{directory}: {kind.replace('_', ' ')}: {sorted(map(str, info[kind]))}")
    return model.eval()


@torch.no_grad()
def mean_loss(model, sequences):
    total, count = 0.0, 0
    for ids in sequences:
        if max(ids) >= model.config.vocab_size or min(ids) < 0:
            raise ValueError(f"token {max(ids)} or {min(ids)} is outside a vocabulary of {model.config.vocab_size}")
        scores = model(input_ids=torch.tensor([ids])).logits[0, :-1].double()
        total += torch.nn.functional.cross_entropy(scores, torch.tensor(ids[1:]), reduction="sum").item()
        count += len(ids) - 1
    return total / count, count


def check_texts(tokenizer, texts, sequences):
    for i, (text, want) in enumerate(zip(texts, sequences)):
        got = tokenizer(text)["input_ids"]
        if got != want:
            raise ValueError(f"text {i}: the tokenizer gives {got}, the file says {want}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", help="model directory with config.json and safetensors")
    parser.add_argument("--loss-file", required=True, help="JSON with the tokens, as above")
    parser.add_argument("--expect", type=float, help="fail unless the loss is this, within the tolerance")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="relative (default: %(default)s)")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()

    sequences, texts = read_tokens(args.loss_file)
    model = open_model(args.directory, getattr(torch, args.dtype))
    tokenizer = None
    if texts is not None or (Path(args.directory) / "tokenizer.json").is_file():
        tokenizer = AutoTokenizer.from_pretrained(args.directory, local_files_only=True)
    if texts is not None:
        check_texts(tokenizer, texts, sequences)
    loss, count = mean_loss(model, sequences)
    print(json.dumps({"model": args.directory, "loss": loss, "target_count": count, "dtype": args.dtype,
                      "layers": model.config.num_hidden_layers,
                      "tokenizer": type(tokenizer).__name__ if tokenizer else None,
                      "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}))
    if args.expect is not None and not math.isclose(loss, args.expect, rel_tol=args.tolerance):
        raise ValueError(f"{args.directory}: loss {loss:.8g}, want {args.expect:.8g} within {args.tolerance:g}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"check_transformers: {error}")

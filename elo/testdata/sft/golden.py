"""Writes golden.json: three optimizer steps on chats.jsonl, by PyTorch in float64.

    python golden.py        (torch, transformers 5.23)

The model is the one that graft demo embeds, its tokens and the template's text
come from Transformers. Each conversation goes through the model alone; the loss
of a step is the mean over the assistant's tokens of all of them. What the
assistant says is found as package model/chat says, see its golden.py.
"""
import json
import sys
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "testdata" / "pytorch"))
import llama  # noqa: E402

BASE = ROOT / "elo" / "demo" / "base"
LEARNING_RATE, MAX_NORM, STEPS = 1e-3, 1.0, 3


def labels(tok, template, messages):
    def render(n, prompt=False):
        return tok.apply_chat_template(messages[:n], chat_template=template, tokenize=False, add_generation_prompt=prompt)

    text = render(len(messages))
    e = tok(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, targets = e["input_ids"], [-1] * len(e["input_ids"])
    for i, m in enumerate(messages):
        if m["role"] != "assistant":
            continue
        lo, hi = len(render(i, True)), len(render(i + 1))
        assert text[:lo] == render(i, True) and text[:hi] == render(i + 1)
        hi = text.index("</s>", lo) + len("</s>")
        for k, (x, y) in enumerate(e["offset_mapping"]):
            if x < hi and y > lo:
                targets[k] = ids[k]
    return ids[:-1], targets[1:]


def main():
    torch.set_num_threads(1)
    tok = PreTrainedTokenizerFast(tokenizer_file=str(BASE / "tokenizer.json"), bos_token="<s>", eos_token="</s>")
    template = (HERE / "template.jinja").read_text()
    chats = [json.loads(l)["messages"] for l in (HERE / "chats.jsonl").read_text().splitlines() if l.strip()]
    data = [labels(tok, template, c) for c in chats]
    config, params = llama.load(BASE)
    config.setdefault("head_dim", config["hidden_size"] // config["num_attention_heads"])
    p = {k: v.clone().requires_grad_(True) for k, v in params.items()}
    optimizer = torch.optim.AdamW(p.values(), lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    steps = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        total, count = 0.0, 0
        for ids, targets in data:
            n = len(ids)
            scores = llama.logits(config, p, torch.tensor([ids]), torch.arange(n)[None], torch.zeros(1, n, dtype=torch.long))
            total = total + llama.token_loss(scores, torch.tensor([targets])).sum()
            count += sum(t >= 0 for t in targets)
        loss = total / count
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(p.values(), MAX_NORM)
        optimizer.step()
        steps.append({"loss": loss.item(), "grad_norm": norm.item(), "targets": count})
    (HERE / "golden.json").write_text(json.dumps({"learning_rate": LEARNING_RATE, "max_grad_norm": MAX_NORM, "positions": [len(i) for i, _ in data], "steps": steps}, indent=1) + "\n")
    print(steps, [len(i) for i, _ in data])


main()

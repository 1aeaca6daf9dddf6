"""Makes spm.json: a small vocabulary trained by SentencePiece, and what SentencePiece makes of texts.

    python3 model/testdata/spm.py

It is trained on this repository's own documents, by BPE with bytes for what has no piece, as those
of Llama and Mistral are. Kinds of pieces are the numbers of tokenizer.ggml.token_type. "ids" are
without a space before the text, "prefixed" with one; there the texts with pieces that the user
defined are left out, behind which tokenizer.json has further spaces.
"""

import json
import tempfile
from pathlib import Path

import sentencepiece

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent.parent / "docs"
DEFINED = ["<mark>", "</mark>", "\n\n", "\n"]
TEXTS = [
    "", " ", "Hello", "the tokens of a text", " a space before", "two  spaces, three   and     five", "line\n\n\nline\ttab\n",
    "Größe, naïve, 언어 모델, 言語モデル 🤖", "numbers 1234567890, 3.14", "if (x != y) { return x + y; }",
    "<mark>inside</mark>", "a<mark>b</mark> c", "x" * 50, "the" * 30, " " * 70, "ab" + " " * 33 + "cd", "e\u0301 \u00e9", "\u2581a\u2581\u2581b",
]

with tempfile.TemporaryDirectory() as scratch:
    text = "\n".join(p.read_text() for p in sorted(DOCS.glob("*.md")) + sorted(DOCS.glob("adr/*.md")))
    (Path(scratch) / "text").write_text(text)
    sentencepiece.SentencePieceTrainer.train(
        input=Path(scratch) / "text", model_prefix=Path(scratch) / "m", model_type="bpe", vocab_size=640, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True, add_dummy_prefix=False,
        user_defined_symbols=DEFINED, max_sentence_length=1 << 20, num_threads=1, minloglevel=2)
    s = sentencepiece.SentencePieceProcessor(model_file=str(Path(scratch) / "m.model"))


def kind(i):
    return 2 if s.is_unknown(i) else 3 if s.is_control(i) else 6 if s.is_byte(i) else 4 if s.id_to_piece(i) in DEFINED else 1


def of(text):
    ids = {"text": text, "ids": s.encode(text)}
    if not any(d in text for d in DEFINED):
        ids["prefixed"] = s.encode(" " + text if text else "")
    return ids


(HERE / "spm.json").write_text(json.dumps({
    "tokens": [s.id_to_piece(i) for i in range(s.vocab_size())],
    "scores": [s.get_score(i) for i in range(s.vocab_size())],
    "kinds": [kind(i) for i in range(s.vocab_size())],
    "texts": [of(t) for t in TEXTS],
}, ensure_ascii=False) + "\n")
print(s.vocab_size(), "pieces")

"""Writes golden.json: what Jinja2, as Transformers configures it for chat
templates, makes of the templates in cases.txt.

    python golden.py        (transformers 5.23, jinja2 3.1.6)

cases.txt has a template a line; the arrow \u21b5 in it is a line feed, a line
that begins with # a remark. Every one is rendered with the variables below. Where Jinja raises, the
golden has "error": true instead of a text.
"""
import json
import os

from transformers.utils.chat_template_utils import _compile_jinja_template

HERE = os.path.dirname(os.path.abspath(__file__))

VARS = {
    "s": "Hello, World",
    "sp": " \t padded\n ",
    "u": "안녕 ñ é ß 🙂",
    "html": "<a href='x'>&\"",
    "empty": "",
    "n": 7,
    "neg": -3,
    "z": 0,
    "x": 2.5,
    "big": 1e22,
    "t": True,
    "f": False,
    "no": None,
    "l": [3, 1, 2],
    "ls": ["b", "a", "C"],
    "le": [],
    "d": {"b": 1, "a": "two", "items": [1], "nest": {"k": [1, {"q": None}]}},
    "de": {},
    "users": [
        {"name": "Ann", "age": 31, "role": "user", "on": True},
        {"name": "bob", "age": 25, "role": "tool", "on": False},
        {"name": "Cy", "age": 31, "role": "user"},
    ],
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi <|im_end|> there"},
        {"role": "assistant", "content": " <think>\nhm\n</think>\n\nYes.\n", "tool_calls": None},
    ],
}


def main():
    goldens = []
    with open(os.path.join(HERE, "cases.txt"), encoding="utf-8") as f:
        lines = [l.rstrip("\n") for l in f]
    for line in lines:
        if not line or line.startswith("# "):
            continue
        source = line.replace("\u21b5", "\n")
        g = {"template": source}
        try:
            g["text"] = _compile_jinja_template(source).render(**VARS)
        except Exception as e:
            g["error"] = True
            g["why"] = type(e).__name__
        goldens.append(g)
    with open(os.path.join(HERE, "golden.json"), "w", encoding="utf-8") as f:
        f.write('{"vars": ' + json.dumps(VARS, ensure_ascii=False) + ',\n"cases": [\n')
        f.write(",\n".join(json.dumps(g, ensure_ascii=False) for g in goldens))
        f.write("\n]}\n")
    print(len(goldens), sum("error" in g for g in goldens))


main()

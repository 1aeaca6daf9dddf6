"""Writes matches.golden.json.gz: where Oniguruma, as the tokenizers library
calls it, matches patterns in texts.

    pip install tokenizers==0.23.3
    python matches.py matches.golden.json.gz [random texts] [seed]
"""

import gzip
import json
import random
import sys

from tokenizers import Regex, pre_tokenizers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = [
    GPT2, LLAMA3, LLAMA3.replace("{1,3}", ""),
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+", "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
    "[一-龥぀-ゟ゠-ヿ]+", r"\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))", r"[\p{Han}]+|[^\p{Han}]", r"\p{Han}+|\p{Hiragana}+|\p{Katakana}+|\p{Hangul}+",
    r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}", r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", r"\s?\p{L}+", r"\s?\p{P}+", r"[\r\n]", r"\d", r"[0-9][0-9][0-9]",
    # Anchors.
    r"^", r"$", r"^.", r".$", r"\A.", r".\z", r".\Z", r"\b", r"\B", r"\bt\w*", r"\w+\b", r"^\s*|\s+$", r"\G\w", r"(?m)^.*$", r"(?m:.)+",
    # Groups, look-around, quantifiers.
    r"(a|ab)(c|bcd)?", r"(?:a|b)*?c", r"(?>a+)b", r"(?>a|ab)c", r"a++b", r"a?+b", r"a*+", r"a{2}", r"a{2,}", r"a{,2}", r"a{2,3}", r"a{2,3}?", r"a{1,2}+", r"a{x}", r"a{,}", r"(?:ab){2,3}", r"(?:a|b|)+",
    r"(?:a*)*b", r"(?:a?b?)*c", r"(?<=a)b", r"(?<!a)b", r"(?<=^|\s)\w", r"(?<=ab|c)\w", r"(?<!ab|c)\w", r"(?<=\p{L})\d", r"(?=\w)a", r"(?!the)\w+", r"\w+(?=\s)", r"(?=(?=a)a)a", r"(?<!\S)\S", r"(?<name>the)\s", r"(the)(?#comment) ",
    r"(?i)the|MASK", r"(?i:é|ǆ|σ)", r"a(?i)b|C", r"(?i)[a-z]+", r"(?i)[^a-z]+", r"(?i)\x{17F}|k", r"(?x) t h e # comment", r"(?-i)the", r"(?i:T(?-i:h)E)", r"(?im-x:t.)",
    # Classes.
    r"[a-c]", r"[^a-c]+", r"[]a]+", r"[^]a]+", r"[a\]]+", r"[a-]+", r"[-a]+", r"[a\-c]+", r"[\w&&[^aeiou]]+", r"[\w]+", r"[^\W_]+", r"[[:word:]]+", r"\p{Word}+", r"[a-z&&[^m-p]&&[^x]]+", r"[^a-z&&[^m]]+", r"[[:alpha:]]+", r"[[:^alpha:]]+", r"[[:punct:]]+", r"[[:digit:][:space:]]+",
    r"[[:upper:]]+|[[:lower:]]+", r"[[:alnum:]_]+", r"[\s\S]", r"[^\S\n]+", r"\h+", r"\H+", r"\D+", r"\W+", r"\S+", r"[\d\-x]+", r"[\x41-\x5a]+", r"[\u0041-\u005A]+", r"\x{3042}", r"[\x{3040}-\x{309F}]+", r"\t|\n|\r|\f|\v|\a|\e|\0", r"[\b]",
    r"\p{L}+", r"\P{L}+", r"\p{^L}+", r"\p{Lu}\p{Ll}+", r"\p{letter}+", r"\p{Greek}+", r"\p{Script}" , r"\p{Cyrillic}+|\p{Arabic}+|\p{Hebrew}+|\p{Thai}+|\p{Devanagari}+", r"\p{punct}+", r"\p{Alnum}+", r"\p{Cn}", r"\p{C}+", r"\p{S}+", r"\p{Emoji}+", r"\p{Extended_Pictographic}", r"\p{White_Space}+", r"\p{Any}", r"\p{Assigned}+", r"\p{ASCII}+", r"[\p{L}\p{N}&&[^\p{Latin}]]+",
    r".", r"..", r".+", r".*", r"", r"x*", r"|a", r"a|", r"(?:)", r"a.c", r"\.", r"\/", r"\-", r"\ ", r"a\|b", r"\{", r"{", r"}", r"]", r"a{", r"<[^>]*>", r"'(?=s)|s",
]
POOL = (
    "the cat THE The don't I'LL we've 's 'S 'ſ 12 345 6789 1,000 3.14 a ab abc aab abab abcd aaaa bbb c x-y e\u0301 é É ß ẞ ss ſ K k K 안녕 한 日本 です カ Привет мир ΓΕΙΑ γεια שלום नमस्ते สวัสดี ١٢ १२ ½ Ⅳ ² ﬁ ǅ İ ı "
    "😀 👨\u200d👩 ❤️ \u200b \u0301 <s> <a> ▁ __ - _ . , ! ? ... '' \" ( ) [ ] { } $ + = ^ ` | ~ @ # % & * / \\ 、 。 … \u00a0 \u3000 \u2028 \u0085 \u0000 \u0007 \u001b \u00ad 𠮷 𝒜 \u0378 \ue000"
).split(" ") + [" ", "  ", "    ", "\n", "\n\n", "\r\n", "\t", " \n ", "\u000b", "\u000c", " ", " ", " "]


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 24
    r = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    texts = ["", "a", "\n", "a\n", "\na", " ", "  ", "a  b", "the end\n", "aaaaaaaaaaaaaaaaaaaaab", "   \n  \n x", "abcabdabe"]
    texts += ["".join(r.choice(POOL) + r.choice(["", "", " "]) for _ in range(r.randint(1, 16))) for _ in range(count)]
    cases = []
    for p in PATTERNS:
        try:
            # What stays of the inverse is what matched; empty matches leave
            # nothing, so isolating tells where they cut.
            hits = pre_tokenizers.Split(Regex(p), "removed", invert=True)
            cuts = pre_tokenizers.Split(Regex(p), "isolated")
        except Exception as err:
            cases.append({"pattern": p, "error": str(err)})
            continue
        flat = lambda pre, t: [x for _, o in pre.pre_tokenize_str(t) for x in o]
        cases.append({"pattern": p, "hits": [flat(hits, t) for t in texts], "cuts": [flat(cuts, t) for t in texts]})
    data = json.dumps({"texts": texts, "cases": cases}, ensure_ascii=False, separators=(",", ":"))
    with gzip.GzipFile(sys.argv[1], "wb", compresslevel=9, mtime=0) as f:
        f.write(data.encode())


if __name__ == "__main__":
    main()

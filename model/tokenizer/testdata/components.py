"""Builds components.golden.json.gz: what the tokenizers library makes of tiny
tokenizers that exercise every component of the format and its flags.

    pip install tokenizers==0.23.3
    python components.py components.golden.json.gz [texts per case] [seed]

Each case is a tokenizer.json over one of a few tiny BPE models, with ids,
tokens, offsets and decoded text for some texts, hard ones first, then random.
"""

import gzip
import json
import random
import sys

from tokenizers import Tokenizer, models, pre_tokenizers, normalizers, trainers, decoders

HARD = [
    "", " ", "  ", "a", "\n", "\u00e9 ", " \u00e9", "Hello, world! It's 12345.67% of 1,000\u00b2 we'LL don't DON'T",
    "  lead  and trail  ", "\t\n \r\n\r\n  x\u000b\u000c\u0085y", "안녕하세요, 세계! 한국어", "한글 각 가",
    "こんにちは、世界。ガギ がぎ カー", "日本語と English 文章です。ｶﾀｶﾅ ＡＢＣ １２３", "😀👍🏽👨‍👩‍👧‍👦🇰🇷 ❤️ ™ ① Ⅳ ½ ²³",
    "e\u0301 A\u030a n\u0303 o\u0323\u0302 o\u0302\u0323 \u212b \u2126 \ufb01 \u1e9b\u0323", "’s ’S 'S 'Ll I'Ve ſ 'ſ K İ ı ß ẞ ŉ ǅ",
    "\u200b\u200d\ufeff zero\u00a0nbsp\u3000ideo\u2028line\u2029par\u205fx\u1680y\u180ez", "x\u0000y\u0001\u0007\u007f\u008f\u009f\ufffd",
    "𠮷野家で𩸽 𝒜𝓁𝓅 \U0001f9d1\u200d💻", "مرحبا שלום Привет Γειά σου नमस्ते สวัสดี १२३ ٣٤٥",
    "<s>hi</s> <mask>x <mask> [X]<s><s> <pad>\n<mask>\n_<mask>_ A<mask>B <mas", "foo  <mask>   bar<mask>", "MASK mask Mask  É é <É> <é>",
    "▁under▁▁score ▁ _x__y a▁b", "<0x0A> <0xE3><0x81><0x82> <0xZZ>", "snake_case-kebab CamelCase HTTPServer x2y3 v1.2.3 $5 +1-2=3 a|b~c`d^e",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "ababababababababababababababababababababababababababababababababababababababab", "the cat sat on the mat, then the thin man thanked them",
    "I do not know , he 's here . ok ? no ! they 've n't 'm 're", "!!!??? ... --- ((())) [[]] {}<>", "a b  c   d    e\u00a0\u00a0f\n\n\ng",
    "\u0301start \u0301\u0327mid", "\u1100\u1161\u11a8\u1112\u1161\u11ab", "ＡＢＣ①㋿㍿ﷺ\u2474ǆ", "Ａ\u0301 i\u0307\u0323 q\u0307\u0323 \u0344",
    "Ⓐⓐ ﬃ ĳ Ŀ ŉ", "\U0001f1e6\U0001f1e7 \U000e0041", "a\u0338b\u20ddc \u0903x", "word\u0301word", "١٢٣ ४५६ 七八九 ⅷ ⑨",
]

POOL = (
    "the cat sat on mat hello world it's don't I'LL we've 12 345 6789 1,000 3.14 foo bar baz HTTP aB Zz e\u0301 \u00e9 \u00c9 \u00df "
    "안녕 하세요 한국어 한 日本 語 です カ ガ か\u3099 世界 中文 Привет мир שלום नमस्ते สวัสดี ١٢ १२ ½ Ⅳ ² ① ＡＢ ｶ ﬁ \u212b "
    "😀 👨‍👩 ❤️ 🇰🇷 \u200b \u200d \u0301 \u0323 \u0302 \u0344 İ ı ſ K ǅ ŉ <s> </s> <mask> <pad> [X] <mas MASK mask <é> ▁ __ - _ . , ! ? ... '' \" ( ) [ ] { } "
    "$ + < = > ^ ` | ~ @ # % & * / \\ : ; 、 。 「 」 … — “ ” \u00a0 \u3000 \u2028 \u0085 \u0000 \u0007 \ufffd \u00ad 𠮷 𝒜"
).split(" ") + [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", " ", " "]

CORPUS = [t for t in HARD if "<" not in t] * 3 + [
    "the quick brown fox jumps over the lazy dog and then the other thing is that they are there",
    "hello world hello there the cat sat on the mat 123 123 12 1000 2000",
    "안녕하세요 한국어 세계 안녕 세계", "日本語 世界 です です です 世界 日本", "Привет мир Привет",
] * 4


def texts(count, seed):
    r = random.Random(seed)
    out = list(HARD)
    for _ in range(count):
        n = r.randint(1, 14)
        out.append("".join(r.choice(POOL) + r.choice(["", "", " "]) for _ in range(n)))
    return out


def train(tok, size, **kw):
    tok.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=size, show_progress=False, **kw))
    return json.loads(tok.to_str())["model"]


def build_models():
    bytes_tok = Tokenizer(models.BPE())
    bytes_tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_model = train(bytes_tok, 420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())

    # In the manner of sentencepiece: bytes to fall back to, spaces as marks.
    spm = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    spm.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    spm_model = train(spm, 560, special_tokens=["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)], limit_alphabet=60)

    words = Tokenizer(models.BPE(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words_model = train(words, 260, special_tokens=["<unk>"], limit_alphabet=80)

    affix = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    affix.pre_tokenizer = pre_tokenizers.Whitespace()
    affix_model = train(affix, 330, special_tokens=["<unk>"], limit_alphabet=60, continuing_subword_prefix="##", end_of_word_suffix="</w>")
    suffix = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    suffix.pre_tokenizer = pre_tokenizers.Whitespace()
    suffix_model = train(suffix, 300, special_tokens=["<unk>"], limit_alphabet=60, end_of_word_suffix="</w>")
    return {"bytes": bytes_model, "spm": spm_model, "words": words_model, "affix": affix_model, "suffix": suffix_model}


def added(content, **kw):
    t = dict(id=0, content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    t.update(kw)
    return t


BYTELEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BYTEDEC = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
SPMDEC = {"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
TOKENS = [added("<s>"), added("</s>"), added("<mask>", lstrip=True), added("<pad>", special=False)]


def seq(kind, key, *parts):
    return {"type": "Sequence", key: list(parts)}


def pre(*parts):
    return seq("pre", "pretokenizers", *parts)


def nseq(*parts):
    return seq("norm", "normalizers", *parts)


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def template(single, special):
    def piece(p):
        if p in ("A", "B"):
            return {"Sequence": {"id": p, "type_id": 0}}
        return {"SpecialToken": {"id": p, "type_id": 0}}
    return {"type": "TemplateProcessing", "single": [piece(p) for p in single],
            "pair": [piece(p) for p in single + ["B"] + [s for s in single if s != "A"]], "special_tokens": special}


LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
NOREGEX = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
S = {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
ES = {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}, "</s>": {"id": "</s>", "ids": [2, 3], "tokens": ["</s>", "<e>"]}}


def cases():
    out = []

    def case(name, model, norm=None, pre=None, post=None, dec=None, tokens=TOKENS, **model_fields):
        out.append({"name": name, "model": model, "model_fields": model_fields, "normalizer": norm, "pre_tokenizer": pre,
                    "post_processor": post, "decoder": dec, "added_tokens": tokens})

    # Pre-tokenizers.
    for space in (False, True):
        for use in (False, True):
            case(f"byte level, space {space}, regex {use}", "bytes", None, {**BYTELEVEL, "add_prefix_space": space, "use_regex": use}, None, BYTEDEC)
    behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    for b in behaviors:
        for invert in (False, True):
            case(f"split regex {b} {invert}", "spm", None, split(r"\s+|[aeiou]", b, invert), None, SPMDEC)
            case(f"split string {b} {invert}", "spm", None, split(" ", b, invert, "String"), None, SPMDEC)
        case(f"split maybe empty {b}", "words", None, split(r"[0-9]*", b))
        case(f"punctuation {b}", "words", None, {"type": "Punctuation", "behavior": b})
    case("punctuation default", "words", None, {"type": "Punctuation"})
    case("split empty string", "words", None, split("", "Isolated", False, "String"))
    for one in (False, True):
        case(f"digits {one}", "bytes", None, pre({"type": "Digits", "individual_digits": one}, BYTELEVEL), None, BYTEDEC)
    for kind in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer"):
        case(kind, "words", None, {"type": kind})
    case("delimiter", "words", None, {"type": "CharDelimiterSplit", "delimiter": "a"})
    case("fixed length", "words", None, {"type": "FixedLength", "length": 3})
    for scheme in ("first", "always", "never"):
        for cut in (False, True):
            m = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cut}
            case(f"metaspace {scheme} {cut}", "spm", None, m, template(["<s>", "A"], S), m)
    case("metaspace old", "spm", None, {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True, "str_rep": "▁"}, None,
         {"type": "Metaspace", "replacement": "_", "add_prefix_space": True})
    case("metaspace first after normalizer", "spm", nseq({"type": "NFKC"}, {"type": "Strip", "strip_left": True, "strip_right": False}),
         {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}, None, SPMDEC)
    case("metaspace first after split", "spm", None,
         pre({"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}), None, SPMDEC)
    case("whitespace and metaspace", "spm", {"type": "Lowercase"},
         pre({"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False}), None, SPMDEC)
    families = {
        "llama 3": pre(split(LLAMA3), NOREGEX),
        "qwen 2": pre(split(LLAMA3.replace("{1,3}", "")), NOREGEX),
        "deepseek": pre(split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(r"[一-龥ࠀ-一가-퟿]+"),
                        {"type": "Digits", "individual_digits": True}, NOREGEX),
        "deepseek v3": pre(split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"),
                           split("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"), NOREGEX),
        "bloom": pre(split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), NOREGEX),
        "falcon": pre({"type": "Punctuation", "behavior": "Contiguous"}, {**BYTELEVEL}, {"type": "Digits", "individual_digits": False},
                      split("[0-9][0-9][0-9]")),
        "o200k": pre(split("|".join([
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])), NOREGEX),
        "command r": pre({"type": "Digits", "individual_digits": True}, BYTELEVEL),
        "starcoder": pre({"type": "Digits", "individual_digits": True}, {**BYTELEVEL}),
        "cl100k": pre(split(r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"), NOREGEX),
        "digits from the right": pre(split(r"\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))"), NOREGEX),
        "byte level then split": pre(BYTELEVEL, split("Ġ", "MergedWithNext", False, "String")),
        "two byte levels": pre(BYTELEVEL, NOREGEX),
        "removed": pre(split(LLAMA3, "Removed", True), NOREGEX),
    }
    for name, p in families.items():
        case(name, "bytes", None, p, {**BYTELEVEL, "trim_offsets": False}, BYTEDEC)
        case(name + ", ignoring merges", "bytes", None, p, {**BYTELEVEL, "trim_offsets": True}, BYTEDEC, ignore_merges=True)

    # Normalizers.
    norms = {
        "none": None, "nfc": {"type": "NFC"}, "nfd": {"type": "NFD"}, "nfkc": {"type": "NFKC"}, "nfkd": {"type": "NFKD"},
        "lowercase": {"type": "Lowercase"}, "strip accents": {"type": "StripAccents"}, "nmt": {"type": "Nmt"},
        "nfd, strip accents, lowercase": nseq({"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}),
        "prepend": {"type": "Prepend", "prepend": "▁x"}, "replace string": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "replace longer": {"type": "Replace", "pattern": {"String": "e"}, "content": "<éé>"},
        "replace by nothing": {"type": "Replace", "pattern": {"Regex": r"\s|a"}, "content": ""},
        "replace regex": {"type": "Replace", "pattern": {"Regex": r" {2,}|\d+"}, "content": " "},
        "sequence": nseq({"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"}, {"type": "Prepend", "prepend": "▁"},
                         {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}),
        "byte level": {"type": "ByteLevel"},
    }
    for left in (False, True):
        for right in (False, True):
            norms[f"strip {left} {right}"] = {"type": "Strip", "strip_left": left, "strip_right": right}
    for clean in (False, True):
        for accents in (None, False, True):
            norms[f"bert {clean} {accents}"] = {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": not clean or accents is None,
                                                "strip_accents": accents, "lowercase": accents is not False}
    for name, n in norms.items():
        case("normalizer " + name, "bytes" if name == "byte level" else "spm", n, None, None, BYTEDEC if name == "byte level" else SPMDEC)
        case("normalizer and byte level " + name, "bytes", n, BYTELEVEL, {**BYTELEVEL}, BYTEDEC)

    # Added tokens.
    flags = ["single_word", "lstrip", "rstrip", "normalized", "special"]
    for mask in range(32):
        f = {k: bool(mask >> i & 1) for i, k in enumerate(flags)}
        toks = [added("<mask>", **f), added("mask", **f), added("<é>", **f), added("[X]", **{**f, "lstrip": not f["lstrip"]}), added("the", **f)]
        case("added " + ",".join(k for k in flags if f[k]), "spm", {"type": "Lowercase"} if mask % 2 else nseq({"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}),
             None, None, SPMDEC, toks)
        case("added to bytes " + ",".join(k for k in flags if f[k]), "bytes", {"type": "NFD"}, {**BYTELEVEL, "add_prefix_space": True},
             {**BYTELEVEL, "add_prefix_space": True}, BYTEDEC, toks)
    case("added overlapping", "bytes", None, BYTELEVEL, None, BYTEDEC,
         [added("a"), added("ab"), added("aba", special=False), added("bab"), added("\n\n"), added("\n"), added("  ", rstrip=True), added(" c", lstrip=True), added("ababab!")])
    case("added twice", "bytes", None, BYTELEVEL, None, BYTEDEC, [added("<s>"), added("<mask>"), added("<s>", special=False, rstrip=True), added("e", normalized=True)])

    # Post-processors.
    for trim in (False, True):
        for space in (False, True):
            case(f"trim {trim} {space}", "bytes", None, {**BYTELEVEL, "add_prefix_space": space},
                 {**BYTELEVEL, "trim_offsets": trim, "add_prefix_space": space}, BYTEDEC)
            case(f"trim without adding {trim} {space}", "bytes", None, BYTELEVEL,
                 {**BYTELEVEL, "trim_offsets": trim, "add_prefix_space": space}, BYTEDEC)
            case(f"roberta {trim} {space}", "bytes", None, {**BYTELEVEL, "add_prefix_space": space},
                 {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": trim, "add_prefix_space": space}, BYTEDEC)
    case("bert processing", "words", None, {"type": "BertPreTokenizer"}, {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}, {"type": "WordPiece", "prefix": "##", "cleanup": True})
    case("template", "bytes", None, BYTELEVEL, template(["<s>", "A", "</s>"], ES), BYTEDEC)
    case("template without text", "bytes", None, BYTELEVEL, template(["<s>", "A", "</s>", "A"], ES), BYTEDEC)
    case("byte level then template", "bytes", None, BYTELEVEL, seq("p", "processors", {**BYTELEVEL}, template(["<s>", "A"], S)), BYTEDEC)
    case("template then byte level", "bytes", None, {**BYTELEVEL, "add_prefix_space": True},
         seq("p", "processors", template(["<s>", "A"], S), {**BYTELEVEL, "add_prefix_space": True}), BYTEDEC)
    case("template then roberta", "bytes", None, BYTELEVEL,
         seq("p", "processors", template(["A", "</s>"], ES), {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": True, "add_prefix_space": True}), BYTEDEC)

    # Models.
    for fuse in (False, True):
        for fall in (False, True):
            for unk in ("<unk>", None):
                case(f"fuse {fuse} fallback {fall} unk {unk}", "spm", None, None, None, SPMDEC, fuse_unk=fuse, byte_fallback=fall, unk_token=unk)
                case(f"words fuse {fuse} fallback {fall} unk {unk}", "words", None, {"type": "WhitespaceSplit"}, None, None, fuse_unk=fuse, byte_fallback=fall, unk_token=unk)
    case("ignore merges of words", "words", None, {"type": "Whitespace"}, None, {"type": "Fuse"}, ignore_merges=True)
    case("prefix and suffix", "affix", None, {"type": "Whitespace"}, None, {"type": "BPEDecoder", "suffix": "</w>"})
    case("suffix", "suffix", {"type": "Lowercase"}, {"type": "Whitespace"}, None, {"type": "BPEDecoder", "suffix": "</w>"})
    case("suffix with fallback", "suffix", None, {"type": "WhitespaceSplit"}, None, {"type": "BPEDecoder", "suffix": "</w>"}, byte_fallback=True)
    case("legacy model", "bytes", None, BYTELEVEL, None, BYTEDEC, type=None)

    # Decoders.
    decs = {
        "none": None, "fuse": {"type": "Fuse"}, "byte fallback": {"type": "ByteFallback"}, "wordpiece": {"type": "WordPiece", "prefix": "▁", "cleanup": True},
        "wordpiece rough": {"type": "WordPiece", "prefix": "t", "cleanup": False}, "ctc": {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "▁", "cleanup": True},
        "ctc rough": {"type": "CTC", "pad_token": "a", "word_delimiter_token": "▁", "cleanup": False},
        "strip": {"type": "Strip", "content": "a", "start": 2, "stop": 0}, "replace regex": {"type": "Replace", "pattern": {"Regex": "[▁t]+"}, "content": "-"},
        "fuse, strip both": {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Strip", "content": " ", "start": 1, "stop": 1}]},
        "suffix": {"type": "BPEDecoder", "suffix": "e"}, "byte level": BYTEDEC,
        "metaspace never": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True},
    }
    for name, d in decs.items():
        case("decoder " + name, "spm", nseq({"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}), None, None, d)
    return out


def tokenizer_json(models, c):
    model = {**models[c["model"]], **c["model_fields"]}
    if model["type"] is None:
        del model["type"]
    fields = {k: c[k] for k in ("added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder")}
    return json.dumps({"version": "1.0", "truncation": None, "padding": None, **fields, "model": model})


def run(tok, texts):
    results = []
    for i, text in enumerate(texts):
        try:
            e, special = tok.encode(text, add_special_tokens=False), tok.encode(text)
            r = {"text": i, "ids": e.ids, "tokens": e.tokens, "offsets": [x for o in e.offsets for x in o], "offsets_special": [x for o in special.offsets for x in o], "special": special.ids}
        except BaseException as err:  # a panic of the library: nothing to compare with
            if isinstance(err, KeyboardInterrupt):
                raise
            continue
        try:
            r["decoded"] = tok.decode(special.ids, skip_special_tokens=False)
            r["skipped"] = tok.decode(special.ids, skip_special_tokens=True)
        except BaseException:
            pass
        results.append(r)
    return results


def main():
    out = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    every = texts(count * 40, seed)
    ms = build_models()
    # The commonest tokens first, so that ids of the golden stay small.
    cs = cases()
    r = random.Random(seed)
    used = []
    for c in cs:
        try:
            tok = Tokenizer.from_str(tokenizer_json(ms, c))
        except BaseException as err:
            print("refused:", c["name"], err, file=sys.stderr)
            continue
        chosen = list(range(len(HARD))) if count > 6 else sorted(r.sample(range(len(HARD)), 8))
        chosen += r.sample(range(len(HARD), len(every)), count)
        c["results"] = [{**x, "text": chosen[x["text"]]} for x in run(tok, [every[i] for i in chosen])]
        used.append(c)
    data = json.dumps({"models": ms, "texts": every, "cases": used}, ensure_ascii=False, separators=(",", ":"))
    with gzip.GzipFile(out, "wb", compresslevel=9, mtime=0) as f:
        f.write(data.encode())
    print(len(used), "cases,", sum(len(c["results"]) for c in used), "results", file=sys.stderr)


if __name__ == "__main__":
    main()

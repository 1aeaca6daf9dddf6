"""The Rust library's side: a line of JSON in, a line of JSON out.

{"tokenizer": FILE} opens a tokenizer, {"documents": FILE} reads texts, a JSON list;
{"ids": FILE} encodes them all and writes the ids, little-endian int32, each document's
behind its number of ids; {} only encodes. {"bytes": FILE} reads one text, whatever bytes
it has. {"decode": FILE, "text": FILE} decodes such ids and writes the texts, a JSON list.
Each answer has the processor's seconds of the encoding, or why the library refused.
"""
import array
import gzip
import json
import os
import platform
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

try:
    import tokenizers
except ImportError as e:
    print(json.dumps({"error": str(e)}))
    sys.exit(0)

print(json.dumps({"versions": {"tokenizers": tokenizers.__version__, "Python": platform.python_version()}}), flush=True)
tokenizer, texts = None, []
for line in sys.stdin:
    request = json.loads(line)
    seconds = 0
    if "tokenizer" in request:
        with gzip.open(request["tokenizer"], "rt", encoding="utf-8") as f:
            tokenizer = tokenizers.Tokenizer.from_str(f.read())
    elif "documents" in request:
        with open(request["documents"], encoding="utf-8") as f:
            texts = json.load(f)
    elif "bytes" in request:
        with open(request["bytes"], "rb") as f:
            texts = [f.read().decode("utf-8", errors="replace")]
    elif "decode" in request:
        ids, rows = array.array("i"), []
        with open(request["decode"], "rb") as f:
            ids.frombytes(f.read())
        at = 0
        while at < len(ids):
            rows.append(ids[at + 1 : at + 1 + ids[at]].tolist())
            at += 1 + ids[at]
        with open(request["text"], "w", encoding="utf-8") as f:
            json.dump(tokenizer.decode_batch(rows, skip_special_tokens=False), f)
    else:
        began = time.process_time()
        # encode_batch_fast leaves the offsets out, which Graft does not give either.
        try:
            encodings = tokenizer.encode_batch_fast(texts)
        except BaseException as e:  # a panic in Rust is no Exception
            print(json.dumps({"refused": str(e)}), flush=True)
            continue
        seconds = time.process_time() - began
        if "ids" in request:
            out = array.array("i")
            for e in encodings:
                out.append(len(e.ids))
                out.extend(e.ids)
            with open(request["ids"], "wb") as f:
                out.tofile(f)
    print(json.dumps({"seconds": seconds}), flush=True)

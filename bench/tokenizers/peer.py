"""The Rust library's side: a line of JSON in, a line of JSON out.

{"tokenizer": FILE} opens a tokenizer, {"documents": FILE} reads texts, a JSON list;
{"ids": FILE} encodes them all and writes the ids, little-endian int32, each document's
behind its number of ids; {} only encodes. Each answer has the seconds of the encoding.
"""
import array
import gzip
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

try:
    import tokenizers
except ImportError as e:
    print(json.dumps({"error": str(e)}))
    sys.exit(0)

print(json.dumps({"versions": {"tokenizers": tokenizers.__version__}}), flush=True)
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
    else:
        began = time.perf_counter()
        # encode_batch_fast leaves the offsets out, which Graft does not give either.
        encodings = tokenizer.encode_batch_fast(texts)
        seconds = time.perf_counter() - began
        if "ids" in request:
            out = array.array("i")
            for e in encodings:
                out.append(len(e.ids))
                out.extend(e.ids)
            with open(request["ids"], "wb") as f:
                out.tofile(f)
    print(json.dumps({"seconds": seconds}), flush=True)

// Command tokenizers holds Graft's tokenizer to the Rust library: the same ids for some
// megabytes of mixed text and for texts made to be hard, the same text back, and the processor
// time of both, in turns, on one thread each.
//
//	go run ./bench/tokenizers -data DIR -python venv/bin/python -o docs/results/tokenizers.md
//	go run ./bench/tokenizers -data DIR -python venv/bin/python -rounds 0 -only qwen
//
// DIR has tokenizers/NAME/tokenizer.json.gz and corpora/*.gz; python has the package
// tokenizers. Both sides get all documents at once as strings in memory and give lists
// of ids; reading files is not timed. A text that is not UTF-8 becomes one first, by
// tokenizer.Lossy here and by errors="replace" there. Exit status 1 means that an id or a
// decoded text differs.
package main

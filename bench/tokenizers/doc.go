// Command tokenizers holds Graft's tokenizer to the Rust library: the same ids for some
// megabytes of mixed text, and the time of both, in turns, on one thread each.
//
//	go run ./bench/tokenizers -data DIR -python venv/bin/python
//
// DIR has tokenizers/NAME/tokenizer.json.gz and corpora/*.gz; python has the package
// tokenizers. Both sides get all documents at once as strings in memory and give lists
// of ids; reading files is not timed. Exit status 1 means that an id differs.
package main

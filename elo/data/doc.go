// Package data turns text into the batches a training loop eats: corpus files
// to documents, documents to token ids, ids of several corpora mixed by weight
// and packed into sequences of equal length, with a cursor that says exactly
// where in that stream one is.
//
// The order of everything is a function of the corpora and a seed. A stream
// resumed from a [Cursor] continues with the very batch an uninterrupted one
// would have given, at once, and a stream read in two stages gives the same
// rows as one read in a single go.
//
//	es, err := data.Load(ctx, "es.jsonl.zst", "es", tok, data.LoadOptions{})
//	en, err := data.Load(ctx, "en.txt.gz", "en", tok, data.LoadOptions{})
//	s, err := data.NewStream([]data.Part{{Corpus: en}, {Corpus: es, Target: true}}, data.Options{SeqLen: 8192, Seed: 42})
//	b := s.NewBatch(4)
//	for err := s.Next(b); err == nil; err = s.Next(b) { step(b) }
//
// # Packing
//
// A row holds T positions. Documents follow one another in a row and do not
// see each other; one that does not fit continues in a later row, as a new
// piece with positions from 0 and nothing of the earlier piece in sight. The
// target of a position is the next token of its document, also where that
// token is the first of the next piece, so no pair of neighbouring tokens is
// lost, and the last token of a document, which has no successor, takes no
// position. Every row is full but the last of a stream, whose rest is padding:
// a document of its own with targets of -1. For evaluation, [Options].Whole
// keeps documents in one piece where they fit into a row, at the price of
// padding.
//
// # Resuming
//
// A [Cursor] belongs into the checkpoint. It carries hashes of the tokens and
// refuses corpora that do not match.
//
// # What it does not do
//
// It knows no tokenizer (an [Encoder] is passed in), computes nothing, keeps
// the tokens of a corpus in memory (4 bytes each), does not clean or
// deduplicate text, and does not look for the packing with the fewest cuts.
package data

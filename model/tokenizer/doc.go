// Package tokenizer reads Hugging Face tokenizer.json files and encodes text
// exactly as the tokenizers library does: ids, tokens, offsets, decoded text.
//
// A model trained on one tokenization answers nonsense for another, and a
// perplexity over other tokens compares with nothing. So the components of the
// format are implemented, not a list of models:
//
//	tok, err := tokenizer.Open("model-dir") // or a tokenizer.json, or .json.gz
//	if err != nil {
//		return err
//	}
//	ids, err := tok.AppendIDs(nil, "Once upon a time", true)
//	fmt.Println(ids, tok.Decode(ids, true))
//
// A text passes, in this order: added tokens that are sought in it as it
// stands; the normalizers; added tokens sought in the normalized text; the
// pre-tokenizers, which cut it into words; the model, byte pair encoding of
// every variety; the post-processors. A component that is not known is
// refused by name when the file is read, as is a file that contradicts itself.
//
// Where the library has surprising ways, they are followed, since models have
// been trained on them; a comment says so. Two fields are not followed:
// truncation and padding, which are a caller's business.
//
// What it does not do: models other than BPE (WordPiece, Unigram, WordLevel),
// the Precompiled normalizer, the UnicodeScripts pre-tokenizer, BPE dropout,
// pairs of texts, chat templates, training.
package tokenizer

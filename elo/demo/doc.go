// Package demo holds what `graft demo` needs without a network: a small
// trained model as the base and a text in a language it does not know.
//
// The base is stories260K of karpathy's llama2.c, a Llama of 260 thousand
// parameters that tells English children's stories. The target is the Spanish
// Bible in the translation of Reina-Valera, 1909, a document a chapter, folded
// by [Fold] to what the base's 512 tokens spell. Licences stand in NOTICE.
//
//	fsys := demo.Base()                          // config.json, model.safetensors, tokenizer.json, ...
//	train, heldOut, err := demo.Spanish()        // 1,130 and 59 chapters
//	for _, chapter := range train { ... }
//
// It runs nothing; package main of cmd/graft does. The text is for
// demonstration: folded Spanish is no spelling anyone should learn.
package demo

//go:generate go run ./internal/gen
//go:generate go run ./internal/sample

// Package model turns Hugging Face model directories into tensor programs and
// back: it reads config.json, writes the decoder it describes as operations of
// package tensor, loads weights, and writes valid model directories.
//
//	ck, err := model.Open("smollm2")                     // config and headers; weights are read later
//	c := ck.Config
//	g := tensor.New("loss")
//	in, w := model.Inputs(g, 4, 512, false), model.Params(g, ck.DType)
//	h, err := c.Hidden(g, w, in, model.Options{Layers: []int{0, c.Layers - 1}})
//	g.Output("loss", c.Losses(g, w, h, in.Targets))      // (N)
//	// Compile, Declare and Alloc a tensor.Store, then:
//	err = ck.LoadParams(store, nil)
//
// Any subset of the layers is a model: Options.Layers runs it on the original's
// weights under the original's names, Config.Select is its config, SmallName
// and OriginalName translate tensor names, and Write makes it a directory that
// other tools load. Who owns which weight (frozen parameter, part of a flat
// trained slot, storage type) is the caller's choice through Weights.
//
// NewGenerator continues texts with a key/value cache, greedily or by sampling.
//
// A GGUF file opens as the checkpoint it was made from: gguf.go undoes what the
// converter did to names, rows and norms, gguf_config.go makes a config.json of
// its metadata. Quantised weights are F32 from there on; Write stores them as
// whatever type it is asked for.
//
// A family of models is one row in families; llama.go, qwen.go and gemma.go hold
// those that there are. Other model types and rotary scalings are refused by
// name. Encoders, mixtures of experts, vision towers and weights that are
// quantised in another way are not read.
package model

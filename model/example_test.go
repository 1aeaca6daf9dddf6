package model_test

import (
	"context"
	"fmt"
	"log"
	"path/filepath"

	"graft/kernels"
	_ "graft/kernels/cpu"
	"graft/model"
	"graft/model/tokenizer"
)

// A story is continued greedily with the model that the demo starts from.
func ExampleGenerator() {
	dir := filepath.Join("..", "elo", "demo", "base")
	ck, err := model.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer ck.Close()
	tok, err := tokenizer.Open(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		log.Fatal(err)
	}
	be, err := kernels.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer be.Close()
	g, err := model.NewGenerator(be, ck, model.GeneratorOptions{Context: 64})
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	if err := g.Load(ck); err != nil {
		log.Fatal(err)
	}

	var story []int32
	reason, err := g.Generate(context.Background(), model.Request{Prompt: ck.Config.BOS, MaxTokens: 31, Stop: ck.EOS}, func(id int) error {
		story = append(story, int32(id))
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tok.Decode(story, true))
	fmt.Println(reason)
	// Output:
	// Once upon a time, there was a little girl named Lily. She loved to play outside in the park.
	// length
}

// The first and the last layer are a model of their own.
func ExampleConfig_Select() {
	c, err := model.ReadConfig(filepath.Join("..", "elo", "demo", "base"))
	if err != nil {
		log.Fatal(err)
	}
	layers, err := model.ParseLayers("first,last", c.Layers)
	if err != nil {
		log.Fatal(err)
	}
	small, err := c.Select(layers)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Layers, c.Params(nil), "->", small.Layers, small.Params(nil))
	fmt.Println(model.SmallName("model.layers.4.mlp.up_proj.weight", layers))
	// Output:
	// 5 260032 -> 2 123712
	// model.layers.1.mlp.up_proj.weight true
}

package elo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"slices"
	"time"

	"graft/model"
	"graft/model/safetensors"
	"graft/model/tokenizer"
)

// ChatVectorOptions are the models of a chat vector; Output is written.
type ChatVectorOptions struct {
	Aligned, Base, Instruct, Output string
	// Factor multiplies the vector: 1 adds what instruction tuning changed.
	Factor float64
	// NewTokens takes over tokens that Instruct has appended to the vocabulary,
	// their rows of embedding and head as they are. Without it such models are
	// refused.
	NewTokens bool
}

// ChatVectorSource says in a Record what a chat vector was made of.
type ChatVectorSource struct {
	Aligned   string  `json:"aligned"` // as they were given
	Base      string  `json:"base"`
	Instruct  string  `json:"instruct"`
	Factor    float64 `json:"factor"`
	NewTokens int     `json:"new_tokens,omitempty"` // that Instruct had appended
}

// ChatVector writes Aligned + Factor * (Instruct - Base), which gives a model
// that was adapted to a language back what instruction tuning taught its base
// (https://arxiv.org/abs/2310.04799). Sums are made in float64 and rounded once,
// to the type in which Aligned stores the tensor. The result has Aligned's
// config with the special tokens of Instruct, and Instruct's tokenizer, chat
// template and generation config.
//
// The models must have the same tensors, in the same shapes, and the same
// vocabulary; where they don't, the error names file, tensor, what was found and
// what was expected. Memory is a few megabytes, whatever the models' size.
func ChatVector(ctx context.Context, env *Env, o ChatVectorOptions) (err error) {
	v := &chatVector{o: o}
	for i := range v.buf {
		v.buf[i] = make([]float64, 1<<16)
	}
	for _, m := range []struct {
		to   **model.Checkpoint
		path string
	}{{&v.a, o.Aligned}, {&v.b, o.Base}, {&v.i, o.Instruct}} {
		if *m.to, err = model.Open(m.path); err != nil {
			return errors.Join(err, v.close())
		}
	}
	defer func() { err = errors.Join(err, v.close()) }()
	if err := v.check(env); err != nil {
		return err
	}
	return v.write(ctx, env)
}

// chatVector is a + factor * (i - b).
type chatVector struct {
	o       ChatVectorOptions
	a, b, i *model.Checkpoint
	chat    bool // i has a tokenizer, which is taken over
	buf     [3][]float64
}

func (v *chatVector) close() (err error) {
	for _, ck := range []*model.Checkpoint{v.a, v.b, v.i} {
		if ck != nil {
			err = errors.Join(err, ck.Close())
		}
	}
	return err
}

// newTokens is how many rows i has behind those of the others.
func (v *chatVector) newTokens() int { return v.i.Config.Vocab - v.a.Config.Vocab }

func (v *chatVector) check(env *Env) error {
	if math.IsNaN(v.o.Factor) || math.IsInf(v.o.Factor, 0) {
		return fmt.Errorf("elo: the factor of a chat vector is %v, want a finite number", v.o.Factor)
	}
	if err := sameTensors(v.b, v.a, false); err != nil {
		return err
	}
	if err := sameTensors(v.i, v.a, v.o.NewTokens); err != nil {
		if n := v.newTokens(); n > 0 && !v.o.NewTokens && sameTensors(v.i, v.a, true) == nil {
			return fmt.Errorf("%w; it has %d tokens more, which --new-tokens takes over", err, n)
		}
		return err
	}
	for _, ck := range []*model.Checkpoint{v.b, v.i} {
		for _, d := range ck.Config.Differences(v.a.Config) {
			if !slices.Contains(model.VocabKeys, d.Key) {
				env.report().Warn(fmt.Sprintf("%s: config.json: %s is %s, where %s has %s, which stays", ck.Path, d.Key, d.A, v.a.Path, d.B))
			}
		}
	}
	return v.checkTokens(env)
}

// sameTensors holds the tensors of got against those of want. With more rows,
// embedding and head may have more of them.
func sameTensors(got, want *model.Checkpoint, more bool) error {
	if g, w := got.Config, want.Config; g.ModelType != w.ModelType {
		return fmt.Errorf("elo: %s: config.json: model_type is %q, want %q as in %s", got.Path, g.ModelType, w.ModelType, want.Path)
	} else if g.Tied != w.Tied {
		return fmt.Errorf("elo: %s: config.json: tie_word_embeddings is %v, want %v as in %s", got.Path, g.Tied, w.Tied, want.Path)
	}
	known := map[string]bool{}
	for _, t := range want.Config.Tensors(nil) {
		known[t.Name] = true
		info, ok := got.Info(t.Name)
		if !ok {
			return fmt.Errorf("elo: %s: tensor %q is missing, want shape %v as in %s", got.Path, t.Name, t.Shape, want.PathOf(t.Name))
		}
		shape := slices.Clone(info.Shape)
		if more && rowPerToken(t.Name) {
			shape[0] = min(shape[0], t.Shape[0])
		}
		if !slices.Equal(shape, t.Shape) {
			return fmt.Errorf("elo: %s: tensor %q has shape %v, want %v as in %s", got.PathOf(t.Name), t.Name, info.Shape, t.Shape, want.PathOf(t.Name))
		}
	}
	for _, t := range got.Config.Tensors(nil) {
		if !known[t.Name] {
			return fmt.Errorf("elo: %s: found tensor %q with shape %v, want none of this name, as in %s", got.PathOf(t.Name), t.Name, t.Shape, want.Path)
		}
	}
	return nil
}

// rowPerToken tells embedding and head.
func rowPerToken(name string) bool { return name == model.EmbedName || name == model.HeadName }

// checkTokens holds the vocabularies against each other, as far as there are
// tokenizers to tell them.
func (v *chatVector) checkTokens(env *Env) error {
	toks := map[*model.Checkpoint]*tokenizer.Tokenizer{}
	for _, ck := range []*model.Checkpoint{v.a, v.b, v.i} {
		t, err := ck.Tokenizer()
		if errors.Is(err, fs.ErrNotExist) {
			env.report().Warn(fmt.Sprintf("%s has no tokenizer.json: its vocabulary is known by its size alone", ck.Path))
			continue
		}
		if err != nil {
			return err
		}
		toks[ck] = t
	}
	v.chat = toks[v.i] != nil
	if !v.chat {
		env.report().Warn(fmt.Sprintf("tokenizer, chat template and generation config are those of %s", v.a.Path))
	}
	for _, ck := range []*model.Checkpoint{v.b, v.i} {
		if toks[v.a] == nil || toks[ck] == nil {
			continue
		}
		renamed, err := sameTokens(ck.Path, toks[ck], v.a.Path, toks[v.a], v.a.Config.Vocab)
		if err != nil {
			return err
		}
		if renamed > 0 {
			env.report().Warn(fmt.Sprintf("%s: tokenizer.json: %d special tokens have other names than in %s", ck.Path, renamed, v.a.Path))
		}
	}
	return nil
}

// sameTokens wants every token of want, of those that have rows in the embedding,
// under its number in got too. Special
// tokens may have other names, as where reserved ones were put to use: those are
// counted.
func sameTokens(gotPath string, got *tokenizer.Tokenizer, wantPath string, want *tokenizer.Tokenizer, rows int) (renamed int, err error) {
	for id := range int32(min(want.VocabSize(), rows)) {
		w, ok := want.IDToToken(id)
		if !ok {
			continue
		}
		g, ok := got.IDToToken(id)
		if ok && g == w {
			continue
		}
		if ok && got.IsSpecial(id) && want.IsSpecial(id) {
			renamed++
			continue
		}
		found := "missing"
		if ok {
			found = fmt.Sprintf("%q", g)
		}
		return 0, fmt.Errorf("elo: %s: tokenizer.json: token %d is %s, want %q as in %s: the vocabularies differ", gotPath, id, found, w, wantPath)
	}
	return renamed, nil
}

func (v *chatVector) write(ctx context.Context, env *Env) error {
	defer since(&env.Times.Save, time.Now())
	cfg, err := v.a.Config.WithVocabOf(v.i.Config)
	if err != nil {
		return err
	}
	rec, err := v.record()
	if err != nil {
		return err
	}
	opts := model.WriteOptions{
		Config: cfg, Source: v.a.Dir, Spare: []string{v.b.Dir, v.i.Dir}, Force: env.Force,
		DType: func(name string) safetensors.DType {
			info, _ := v.a.Info(name)
			return info.DType
		},
		Files: map[string][]byte{},
	}
	from := v.a
	if v.chat {
		opts.Tokenizer, from = v.i.Dir, v.i
	}
	maps.Copy(opts.Files, from.Companions())
	opts.Files[recordName] = rec.encode()
	return model.Write(v.o.Output, opts, func(spec safetensors.Spec, w io.Writer) error { return v.tensor(ctx, spec, w) })
}

// record goes on with what is known of a: its recipe, usage and stages.
func (v *chatVector) record() (Record, error) {
	rec, _, err := ReadRecord(v.a.Dir)
	if err != nil {
		return rec, err
	}
	rec.Kind, rec.Depth, rec.Layers, rec.Prefix, rec.Cursor = KindChat, v.a.Config.Layers, nil, nil, nil
	if rec.Base == "" {
		rec.Base = v.b.Path
	}
	rec.Chat = &ChatVectorSource{Aligned: v.a.Path, Base: v.b.Path, Instruct: v.i.Path, Factor: v.o.Factor, NewTokens: v.newTokens()}
	rec.Quantised = ""
	for _, ck := range []*model.Checkpoint{v.a, v.b, v.i} {
		q, err := Quantised(ck)
		if err != nil {
			return rec, err
		}
		if rec.Quantised == "" {
			rec.Quantised = q
		}
	}
	return rec, nil
}

// tensor writes one tensor of the sum, piece by piece.
func (v *chatVector) tensor(ctx context.Context, spec safetensors.Spec, w io.Writer) error {
	info, _ := v.a.Info(spec.Name)
	common, all := info.Elements(), int64(1)
	for _, d := range spec.Shape {
		all *= int64(d)
	}
	a, b, i := v.buf[0], v.buf[1], v.buf[2]
	for first := int64(0); first < all; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(int64(len(a)), all-first)
		if first < common {
			n = min(n, common-first)
			if err := v.a.ReadF64(a[:n], spec.Name, first); err != nil {
				return err
			}
			if err := v.b.ReadF64(b[:n], spec.Name, first); err != nil {
				return err
			}
		}
		if err := v.i.ReadF64(i[:n], spec.Name, first); err != nil {
			return err
		}
		sum := i[:n] // rows that i alone has
		if first < common {
			sum = a[:n]
			add(sum, v.o.Factor, i[:n], b[:n])
		}
		if err := model.WriteF64(w, spec.DType, sum, first); err != nil {
			return fmt.Errorf("%s + %v * (%s - %s): %w", v.a.Path, v.o.Factor, v.i.Path, v.b.Path, err)
		}
		first += n
	}
	return nil
}

// add adds f * (x - y) to a. Where x and y are equal a keeps its bits: -0 too.
func add(a []float64, f float64, x, y []float64) {
	for j, v := range x {
		if v != y[j] {
			a[j] += f * (v - y[j])
		}
	}
}

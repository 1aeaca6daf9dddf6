package model

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"graft/kernels"
	"graft/tensor"
)

// GeneratorOptions choose how much a generator can hold. The zero value is
// good.
type GeneratorOptions struct {
	Context int           // tokens of prompt and continuation together; 0 is what the model knows, at most 4096
	Prefill int           // prompt tokens read at a time; 0 is 64
	Layers  []int         // which layers run, ascending; nil is all
	Act     kernels.DType // of activations and cache: F32 or BF16
}

const (
	defaultContext = 4096
	defaultPrefill = 64
)

// Generator continues a text token by token. It keeps keys and values of what
// it has read, so that each token costs one pass over one token. Two programs
// share weights and cache: one reads a piece of the prompt, one a single token.
type Generator struct {
	c        *Config
	context  int
	layers   []int // nil is all
	be       kernels.Backend
	store    *tensor.Store
	replaced []kernels.Replaced
	prefill  *step
	decode   *step
	n        int       // tokens read
	logits   []float32 // (V)
	sampler  sampler
}

// step is a program that reads up to t tokens; what follows ex is set once it is
// compiled.
type step struct {
	t    int
	prog *kernels.Program
	ex   kernels.Exec
	ids  []byte // (t), as are positions, rows and put
	pos  []byte
	rows []byte
	put  []byte
	docs []byte // (2, t)
	last []byte // (1)
	out  []byte // logits (V)
}

// NewGenerator plans the programs for a checkpoint. Nothing large is allocated:
// Load does that.
func NewGenerator(be kernels.Backend, ck *Checkpoint, o GeneratorOptions) (*Generator, error) {
	c := ck.Config
	if o.Context == 0 {
		o.Context = min(c.MaxPositions, defaultContext)
	}
	if o.Context < 1 || o.Context > c.MaxPositions {
		return nil, fmt.Errorf("model: context of %d tokens, want 1 to %d (max_position_embeddings)", o.Context, c.MaxPositions)
	}
	if o.Prefill == 0 {
		o.Prefill = defaultPrefill
	}
	if o.Prefill < 1 {
		return nil, fmt.Errorf("model: prefill of %d tokens, want 1 or more", o.Prefill)
	}
	o.Prefill = min(o.Prefill, o.Context)
	g := &Generator{c: c, context: o.Context, layers: o.Layers, be: be, store: tensor.NewStore(be), logits: make([]float32, c.Vocab)}
	var err error
	if g.prefill, err = g.plan(ck, o.Prefill, o); err != nil {
		return nil, err
	}
	if g.decode, err = g.plan(ck, 1, o); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *Generator) plan(ck *Checkpoint, t int, o GeneratorOptions) (*step, error) {
	p, err := g.c.cachedProgram(ck.DType, t, o)
	if err != nil {
		return nil, err
	}
	p, replaced, err := kernels.Lower(p, g.be.Supports)
	if err != nil {
		return nil, err
	}
	g.replaced = append(g.replaced, replaced...)
	return &step{t: t, prog: p}, g.store.Declare(p)
}

// Load takes the memory, which it refuses when the device has less, and loads
// the weights as they are stored.
func (g *Generator) Load(ck *Checkpoint) error {
	if need, have := g.Memory().Total(), g.be.Caps().Memory; have > 0 && need > have {
		return fmt.Errorf("model: generating with a context of %d tokens takes %d bytes, the device has %d: %w", g.context, need, have, kernels.ErrOutOfMemory)
	}
	if err := g.store.Alloc(); err != nil {
		return err
	}
	for _, s := range []*step{g.prefill, g.decode} {
		ex, err := g.store.Compile(s.prog)
		if err != nil {
			return err
		}
		s.bind(ex)
	}
	return ck.LoadParams(g.store, g.layers)
}

// Names of the inputs and outputs of the cached programs beside those of a
// batch.
const (
	inputRows    = "rows" // (1, T), cache row of each query
	inputPut     = "put"  // (T), cache row that each token is stored in, -1 for none
	inputLast    = "last" // (1), which token's logits are wanted
	outputLogits = "logits"
)

// cachedProgram reads t tokens, stores their keys and values in the cache and
// gives the logits (1, V) after one of them.
func (c *Config) cachedProgram(dtype func(string) kernels.DType, t int, o GeneratorOptions) (*kernels.Program, error) {
	g := tensor.New(fmt.Sprintf("generate.%d", t))
	w := Params(g, dtype)
	rows, put := g.Input(inputRows, kernels.I32, 1, t), g.Input(inputPut, kernels.I32, t)
	b := &builder{g: g, w: w, c: c, o: Options{Layers: o.Layers, Act: o.Act}}
	b.in = Batch{B: 1, T: t,
		IDs:       g.Input(InputIDs, kernels.I32, t),
		Positions: g.Input(InputPositions, kernels.I32, t),
		Documents: g.Input(InputDocuments, kernels.I32, 2, 1, t),
	}
	kv := c.KVHeads * c.HeadDim
	cached := func(name string, layer int, x *tensor.Tensor) *tensor.Tensor {
		cache := g.Param(fmt.Sprintf("cache.%s.%d", name, layer), o.Act, o.Context*kv)
		g.PutRows(g.Part(cache, 0, o.Context, kv), g.Reshape(x, t, kv), put)
		return g.Part(cache, 0, 1, o.Context, c.KVHeads, c.HeadDim)
	}
	b.attend = func(layer int, q, k, v *tensor.Tensor, window int) *tensor.Tensor {
		vis := tensor.Visible{Documents: b.in.Documents, Rows: rows, Window: window}
		return g.Attention(b.split(q), cached("k", layer, k), cached("v", layer, v), vis, float32(c.ScoreScale), float32(c.ScoreCap))
	}
	h, err := b.hidden()
	if err != nil {
		return nil, err
	}
	h = g.Gather(h, g.Input(inputLast, kernels.I32, 1)) // (1, C)
	g.Output(outputLogits, c.Logits(g, w, h))
	return g.Compile()
}

func (s *step) bind(ex kernels.Exec) {
	in := func(name string) []byte {
		id, _ := s.prog.Find(name)
		return ex.Input(id)
	}
	id, _ := s.prog.Find(outputLogits)
	s.ex, s.out = ex, ex.Output(id)
	s.ids, s.pos, s.docs = in(InputIDs), in(InputPositions), in(InputDocuments)
	s.rows, s.put, s.last = in(inputRows), in(inputPut), in(inputLast)
}

// Close frees programs and memory.
func (g *Generator) Close() error { return g.store.Close() }

// Memory is what Load takes.
func (g *Generator) Memory() tensor.Memory { return g.store.Memory() }

// Replaced lists operations that the backend lacks and that run by their plain
// definitions.
func (g *Generator) Replaced() []kernels.Replaced { return g.replaced }

// Context is how many tokens fit, prompt included.
func (g *Generator) Context() int { return g.context }

// Reset forgets what was read.
func (g *Generator) Reset() { g.n = 0 }

// Feed reads tokens after those read before and returns the logits (V) of what
// comes next, valid until the next call.
func (g *Generator) Feed(ctx context.Context, ids []int) ([]float32, error) {
	if g.decode.ex == nil {
		return nil, errors.New("model: the generator is not loaded")
	}
	if len(ids) == 0 {
		return nil, errors.New("model: nothing to read: want at least one token")
	}
	if g.n+len(ids) > g.context {
		return nil, fmt.Errorf("model: %d tokens do not fit: %d of the context's %d are used", len(ids), g.n, g.context)
	}
	for i, id := range ids {
		if id < 0 || id >= g.c.Vocab {
			return nil, fmt.Errorf("model: token %d is id %d, want 0 to %d", i, id, g.c.Vocab-1)
		}
	}
	var s *step
	for len(ids) > 0 {
		s = g.prefill
		if len(ids) == 1 {
			s = g.decode
		}
		n := min(len(ids), s.t)
		s.set(ids[:n], g.n)
		if err := s.ex.Run(ctx, 1); err != nil {
			return nil, err
		}
		g.n += n
		ids = ids[n:]
	}
	for i := range g.logits {
		g.logits[i] = math.Float32frombits(binary.LittleEndian.Uint32(s.out[4*i:]))
	}
	return g.logits, nil
}

// set writes the inputs for tokens that follow n others. What is left of the
// piece is padding: it is not stored, and sees the first key.
func (s *step) set(ids []int, n int) {
	put := func(dst []byte, i, v int) { binary.LittleEndian.PutUint32(dst[4*i:], uint32(int32(v))) }
	for i := range s.t {
		id, row, to := 0, 0, -1
		if i < len(ids) {
			id, row, to = ids[i], n+i, n+i
		}
		put(s.ids, i, id)
		put(s.pos, i, row)
		put(s.rows, i, row)
		put(s.put, i, to)
		put(s.docs, i, 0)
		put(s.docs, s.t+i, n+len(ids))
	}
	put(s.last, 0, len(ids)-1)
}

// Request is one text to generate.
type Request struct {
	Prompt    []int // at least one token; BOS for an empty text
	MaxTokens int   // of the continuation; 0 is as many as fit
	Stop      []int // tokens that end the text and are not part of it
	Sampling  Sampling
}

// Reason says why a text ended.
type Reason uint8

// A text ends at a stop token, at MaxTokens, or when the context is full.
const (
	StopToken Reason = iota
	StopLength
	StopContext
)

func (r Reason) String() string {
	return [...]string{"stop token", "length", "context full"}[r]
}

// Generate forgets what was read, reads the prompt and calls emit with each
// token of the continuation. An error of emit ends it and is returned. The same
// request gives the same text on the same device.
func (g *Generator) Generate(ctx context.Context, r Request, emit func(id int) error) (Reason, error) {
	if err := r.Sampling.check(); err != nil {
		return 0, err
	}
	if r.MaxTokens < 0 {
		return 0, fmt.Errorf("model: %d tokens to generate, want 0 or more", r.MaxTokens)
	}
	if len(r.Prompt) > g.context {
		return 0, fmt.Errorf("model: the prompt has %d tokens, the context %d", len(r.Prompt), g.context)
	}
	g.Reset()
	logits, err := g.Feed(ctx, r.Prompt)
	if err != nil {
		return 0, err
	}
	var one [1]int
	for i := 0; ; i++ {
		id, err := g.sampler.next(logits, r.Sampling, uint64(i))
		if err != nil {
			return 0, err
		}
		if slices.Contains(r.Stop, id) {
			return StopToken, nil
		}
		if err := emit(id); err != nil {
			return 0, err
		}
		if i+1 == r.MaxTokens {
			return StopLength, nil
		}
		if g.n == g.context {
			return StopContext, nil
		}
		one[0] = id
		if logits, err = g.Feed(ctx, one[:]); err != nil {
			return 0, err
		}
	}
}

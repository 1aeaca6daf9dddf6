// Package eval measures how well a model predicts text: negative log-likelihood
// per token, perplexity and bits per byte, the last of which compares models
// with different vocabularies.
//
//	m, err := eval.New(be, checkpoint, 512, 4)
//	err = m.Load(checkpoint)
//	s := eval.NewScores("es", eval.Totals)
//	err = m.Run(ctx, stream, s.Add)
//	fmt.Println(s.BitsPerByte())
//
// A text longer than the sequence length is scored in pieces that do not see
// each other, so the figures depend on that length a little. The stream should
// keep shorter ones whole ([data.Options]), else their scores depend on their
// neighbours. The package reads no files and tokenises nothing: package data
// does.
package eval

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"graft/elo/data"
	"graft/kernels"
	"graft/model"
	"graft/tensor"
)

// Scores adds up losses over a corpus.
type Scores struct {
	Name   string  `json:"name,omitempty"` // corpus or language
	Nats   float64 `json:"nats"`           // sum of losses
	Tokens int64   `json:"tokens"`         // tokens predicted
	Bytes  int64   `json:"bytes"`          // of text that those stand for
	Docs   []Doc   `json:"documents,omitempty"`

	detail Detail
}

// Detail is what scores keep beside the sums over the corpus.
type Detail int

const (
	Totals      Detail = iota // nothing
	PerDocument               // a sum for each document
	PerToken                  // and in it every token predicted, with its loss
)

// Doc is the score of one document.
type Doc struct {
	Index  int     `json:"document"` // in the order of the corpus
	Nats   float64 `json:"nats"`
	Tokens int64   `json:"tokens"`

	Targets []int32   `json:"targets,omitempty"` // (Tokens), in order; nil unless PerToken
	Losses  []float32 `json:"losses,omitempty"`  // (Tokens), nats
}

// NewScores returns empty scores.
func NewScores(name string, detail Detail) *Scores { return &Scores{Name: name, detail: detail} }

// Add adds a batch with its losses (N), in nats.
func (s *Scores) Add(b *data.Batch, losses []float32) {
	for i, target := range b.Targets {
		if target < 0 {
			continue
		}
		loss := float64(losses[i])
		s.Nats += loss
		s.Tokens++
		if s.detail >= PerDocument {
			d := s.doc(int(b.Index[i]))
			d.Nats += loss
			d.Tokens++
			if s.detail >= PerToken {
				d.Targets, d.Losses = append(d.Targets, target), append(d.Losses, losses[i])
			}
		}
	}
	s.Bytes += b.Bytes
}

func (s *Scores) doc(index int) *Doc {
	for len(s.Docs) <= index {
		s.Docs = append(s.Docs, Doc{Index: len(s.Docs)})
	}
	return &s.Docs[index]
}

// PerToken is the mean loss in nats.
func (s *Scores) PerToken() float64 { return s.Nats / float64(s.Tokens) }

// Perplexity is e to the mean loss.
func (s *Scores) Perplexity() float64 { return math.Exp(s.PerToken()) }

// BitsPerByte is the total loss in bits over the bytes of the text.
func (s *Scores) BitsPerByte() float64 { return s.Nats / math.Ln2 / float64(s.Bytes) }

// PerToken is the mean loss in nats.
func (d Doc) PerToken() float64 { return d.Nats / float64(d.Tokens) }

// Model is a checkpoint to score batches with.
type Model struct {
	be       kernels.Backend
	store    *tensor.Store
	exec     kernels.Exec // nil until Load
	prog     *kernels.Program
	replaced []kernels.Replaced
	batch    int
	losses   []float32
}

// New plans to score batches of b sequences of t tokens. Weights keep the type
// they are stored in; activations are F32. Nothing large is allocated: Load does
// that.
func New(be kernels.Backend, ck *model.Checkpoint, t, b int) (*Model, error) {
	g := tensor.New("eval")
	in := model.Inputs(g, b, t, false)
	w := model.Params(g, ck.DType)
	h, err := ck.Config.Hidden(g, w, in, model.Options{})
	if err != nil {
		return nil, err
	}
	g.Output("losses", ck.Config.Losses(g, w, h, in.Targets))
	p, err := g.Compile()
	if err != nil {
		return nil, err
	}
	m := &Model{be: be, store: tensor.NewStore(be), batch: b, losses: make([]float32, b*t)}
	if m.prog, m.replaced, err = kernels.Lower(p, be.Supports); err != nil {
		return nil, err
	}
	if err := m.store.Declare(m.prog); err != nil {
		return nil, err
	}
	return m, nil
}

// Memory is what Load takes.
func (m *Model) Memory() tensor.Memory { return m.store.Memory() }

// Replaced lists operations that the backend lacks and that run by their plain
// definitions.
func (m *Model) Replaced() []kernels.Replaced { return m.replaced }

// Load takes the memory, which it refuses when the device has less, and loads
// the weights.
func (m *Model) Load(ck *model.Checkpoint) error {
	if need, have := m.Memory().Total(), m.be.Caps().Memory; have > 0 && need > have {
		return fmt.Errorf("eval: scoring %d tokens at a time takes %d bytes, the device has %d: %w", len(m.losses), need, have, kernels.ErrOutOfMemory)
	}
	if err := m.store.Alloc(); err != nil {
		return err
	}
	var err error
	if m.exec, err = m.store.Compile(m.prog); err != nil {
		return err
	}
	return ck.LoadParams(m.store, nil)
}

// Source gives batches; *data.Stream is one.
type Source interface {
	NewBatch(rows int) *data.Batch
	Next(*data.Batch) error // io.EOF when there are no more
}

// Run scores every batch and hands each to add with its losses (N), which are
// overwritten by the next.
func (m *Model) Run(ctx context.Context, s Source, add func(b *data.Batch, losses []float32)) error {
	if m.exec == nil {
		return errors.New("eval: the model is not loaded")
	}
	b := s.NewBatch(m.batch)
	for {
		switch err := s.Next(b); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		m.put(model.InputIDs, b.IDs)
		m.put(model.InputPositions, b.Positions)
		m.put(model.InputDocuments, b.Documents)
		m.put(model.InputTargets, b.Targets)
		if err := m.exec.Run(ctx, 1); err != nil {
			return err
		}
		id, _ := m.prog.Find("losses")
		out := m.exec.Output(id)
		for i := range m.losses {
			m.losses[i] = math.Float32frombits(binary.LittleEndian.Uint32(out[4*i:]))
		}
		add(b, m.losses)
	}
}

func (m *Model) put(name string, src []int32) {
	id, _ := m.prog.Find(name)
	dst := m.exec.Input(id)
	for i, x := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], uint32(x))
	}
}

// Close frees the memory.
func (m *Model) Close() error { return m.store.Close() }

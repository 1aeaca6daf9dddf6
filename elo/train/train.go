package train

import (
	"context"
	"errors"
	"fmt"
	"io"

	"graft/elo/data"
	"graft/kernels"
	"graft/model"
	"graft/tensor"
	"graft/tensor/optim"
)

// ErrNotFinite is returned by Step when loss or gradient norm was not finite.
// No weight, moment or count but that of skipped steps has changed.
var ErrNotFinite = errors.New("train: loss or gradient norm is not finite")

// Setup says what is trained and how. It decides all shapes.
type Setup struct {
	Config *model.Config
	Layers []int                   // that run, ascending; nil is all
	Train  func(model.Tensor) bool // which tensors are trained
	SeqLen int                     // T, positions of a sequence
	// MicroBatch sequences go through the model at once, Accumulate times for
	// each optimizer step.
	MicroBatch, Accumulate int
	Storage                kernels.DType // of the weights the forward pass reads
	Act                    kernels.DType // of activations and their gradients
	Recompute              bool          // keep only each layer's input for the backward pass
	Optim                  optim.Config
	// AllowSlow accepts operations that the backend lacks and that run by their
	// plain definitions.
	AllowSlow bool
}

// Trainer holds weights, gradients and moments on a backend.
type Trainer struct {
	setup    Setup
	be       kernels.Backend
	flat     *optim.Flat
	store    *tensor.Store
	replaced []kernels.Replaced

	micro, update, eval programs
	cost                Cost
	batches             []*data.Batch
	losses              []float32 // (N)
	state               [kernels.StateLen]float32
	stateBytes          [4 * kernels.StateLen]byte
}

// programs is a program and, once compiled, what it runs on.
type programs struct {
	prog *kernels.Program
	exec kernels.Exec
	feed feed
}

// New plans the programs of a run. Nothing large is allocated.
func New(be kernels.Backend, s Setup) (*Trainer, error) {
	if s.SeqLen < 1 || s.MicroBatch < 1 || s.Accumulate < 1 {
		return nil, fmt.Errorf("train: sequence length %d, micro-batch %d, accumulation %d: want 1 or more", s.SeqLen, s.MicroBatch, s.Accumulate)
	}
	var params []optim.Param
	for _, w := range s.Config.Tensors(s.Layers) {
		if s.Train(w) {
			params = append(params, optim.Param{Name: w.Name, Shape: w.Shape, Decay: w.Matrix()})
		}
	}
	flat, err := optim.NewFlat(params, s.Storage, be.Caps().MaxBuffer)
	if err != nil {
		return nil, err
	}
	t := &Trainer{setup: s, be: be, flat: flat, store: tensor.NewStore(be)}
	if err := t.build(); err != nil {
		return nil, err
	}
	t.cost = t.count()
	t.losses = make([]float32, s.MicroBatch*s.SeqLen)
	return t, nil
}

// Setup returns what the trainer was made with.
func (t *Trainer) Setup() Setup { return t.setup }

// Flat describes the trained tensors' memory.
func (t *Trainer) Flat() *optim.Flat { return t.flat }

// Replaced lists operations that run by their plain definitions.
func (t *Trainer) Replaced() []kernels.Replaced { return t.replaced }

func (t *Trainer) build() error {
	micro, err := t.microGraph()
	if err != nil {
		return err
	}
	graphs := []struct {
		g  *tensor.Graph
		to *programs
	}{{micro, &t.micro}, {nil, &t.update}, {nil, &t.eval}}
	if t.setup.Accumulate == 1 {
		// One micro-batch: the update is part of the same program.
		t.flat.Update(micro, t.setup.Optim)
	} else {
		graphs[1].g = tensor.New("update")
		t.flat.Update(graphs[1].g, t.setup.Optim)
	}
	if graphs[2].g, err = t.evalGraph(); err != nil {
		return err
	}
	for _, x := range graphs {
		if x.g == nil {
			continue
		}
		if x.to.prog, err = t.lower(x.g); err != nil {
			return err
		}
		if err := t.store.Declare(x.to.prog); err != nil {
			return err
		}
	}
	return nil
}

func (t *Trainer) lower(g *tensor.Graph) (*kernels.Program, error) {
	p, err := g.Compile()
	if err != nil {
		return nil, err
	}
	p, replaced, err := kernels.Lower(p, t.be.Supports)
	if err != nil {
		return nil, err
	}
	t.replaced = append(t.replaced, replaced...)
	if len(replaced) > 0 && !t.setup.AllowSlow {
		return nil, fmt.Errorf("train: %v is not a kernel of %s (%s): allow slow operations to run it by its definition",
			replaced[0].Op, t.be.Caps().Name, replaced[0].Reason)
	}
	return p, nil
}

// weights hands a graph its tensors: trained ones from the flat memory, frozen
// ones as parameters of their own. Each is made once, since gradients are taken
// for a tensor, not for a name.
type weights struct {
	t    *Trainer
	g    *tensor.Graph
	made map[string]*tensor.Tensor
}

func (w *weights) Weight(name string, shape ...int) *tensor.Tensor {
	if x := w.made[name]; x != nil {
		return x
	}
	x := w.t.flat.Weight(w.g, name)
	if x == nil {
		x = w.g.Param(name, w.t.setup.Storage, shape...)
	}
	w.made[name] = x
	return x
}

// lossGraph writes the forward pass and returns the losses (N).
func (t *Trainer) lossGraph(g *tensor.Graph, w *weights, recompute, sorted bool) (*tensor.Tensor, error) {
	s := t.setup
	in := model.Inputs(g, s.MicroBatch, s.SeqLen, sorted)
	h, err := s.Config.Hidden(g, w, in, model.Options{Layers: s.Layers, Act: s.Act, Checkpoint: recompute})
	if err != nil {
		return nil, err
	}
	return s.Config.Losses(g, w, h, in.Targets), nil
}

// microGraph is forward and backward of one micro-batch: it adds to gradients
// and loss.
func (t *Trainer) microGraph() (*tensor.Graph, error) {
	g := tensor.New("micro")
	w := &weights{t, g, map[string]*tensor.Tensor{}}
	_, sorted := t.flat.Size(model.EmbedName)
	losses, err := t.lossGraph(g, w, t.setup.Recompute, sorted)
	if err != nil {
		return nil, err
	}
	hyper := g.Input(optim.HyperSlot, kernels.F32, kernels.HyperLen)
	loss := g.Mul(g.Sum(losses), g.Part(hyper, kernels.HyperInvTargets, 1))
	var wrt, into []*tensor.Tensor
	for _, p := range t.flat.Params() {
		wrt = append(wrt, w.Weight(p.Name, p.Shape...))
		into = append(into, t.flat.Grad(g, p.Name))
	}
	g.GradInto(loss, wrt, into)
	g.AddSum(g.Param(optim.LossSlot, kernels.F32, 1), loss)
	g.Output("losses", losses)
	return g, nil
}

// evalGraph is the forward pass alone.
func (t *Trainer) evalGraph() (*tensor.Graph, error) {
	g := tensor.New("eval")
	losses, err := t.lossGraph(g, &weights{t, g, map[string]*tensor.Tensor{}}, false, false)
	if err != nil {
		return nil, err
	}
	g.Output("losses", losses)
	return g, nil
}

// Source gives batches; *data.Stream is one.
type Source interface {
	NewBatch(rows int) *data.Batch
	Next(*data.Batch) error // io.EOF when there are no more
	Langs() []string
}

// Metrics is what one optimizer step reports. Slices are reused by the next.
type Metrics struct {
	Step     int     // completed updates, this one included
	Loss     float64 // nats per target, mean over the step
	GradNorm float64 // before clipping
	Micro    int     // micro-batches that held text
	Targets  int64   // positions that have a target
	Pairs    []int64 // (query, key) pairs that attention saw, by window as in Cost
	Bytes    int64   // of text that the targets stand for
	// LangLoss and LangTargets split loss sums (nats) and targets by the
	// stream's languages.
	LangLoss    []float64
	LangTargets []int64
}

// Step reads Accumulate micro-batches from the stream and takes one optimizer
// step at learning rate lr, gradients clipped to norm maxNorm (0 is not at
// all). It returns io.EOF when the stream has no more, and ErrNotFinite, with
// the step's metrics, when the step was skipped. A cancelled ctx leaves a step
// half done: the trainer must then be restored from a saved state.
func (t *Trainer) Step(ctx context.Context, s Source, lr, maxNorm float64, m *Metrics) error {
	return t.step(ctx, s, lr, maxNorm, m, replay)
}

// replay runs a program once.
func replay(ctx context.Context, p *programs) error { return p.exec.Run(ctx, 1) }

func (t *Trainer) step(ctx context.Context, s Source, lr, maxNorm float64, m *Metrics, run func(context.Context, *programs) error) error {
	if t.batches == nil {
		for range t.setup.Accumulate {
			t.batches = append(t.batches, s.NewBatch(t.setup.MicroBatch))
		}
	}
	n, err := t.read(s)
	if err != nil {
		return err
	}
	m.reset(len(s.Langs()), len(t.cost.Attention))
	m.Micro = n
	for _, b := range t.batches[:n] {
		m.Targets += b.NumTargets
		for i, a := range t.cost.Attention {
			m.Pairs[i] += b.PairsWithin(a.Window)
		}
		m.Bytes += b.Bytes
	}
	hyper := [kernels.HyperLen]float32{
		kernels.HyperLR: float32(lr), kernels.HyperMaxNorm: float32(maxNorm),
		kernels.HyperInvTargets: float32(1 / float64(m.Targets)),
	}
	for _, b := range t.batches[:n] {
		t.micro.feed.batch(b)
		t.micro.feed.hyper(hyper[:])
		if err := run(ctx, &t.micro); err != nil {
			return err
		}
		t.micro.feed.losses(t.losses)
		m.add(b, t.losses)
	}
	if t.update.exec != nil {
		t.update.feed.hyper(hyper[:])
		if err := run(ctx, &t.update); err != nil {
			return err
		}
	}
	return t.finish(m)
}

// read fills the micro-batches of one step and returns how many hold text.
func (t *Trainer) read(s Source) (int, error) {
	for i, b := range t.batches {
		if err := s.Next(b); err != nil {
			if errors.Is(err, io.EOF) && i > 0 {
				return i, nil
			}
			return 0, err
		}
	}
	return len(t.batches), nil
}

// finish reads the state block back.
func (t *Trainer) finish(m *Metrics) error {
	skipped := t.state[kernels.StateSkipped]
	if err := t.readState(); err != nil {
		return err
	}
	m.Step = int(t.state[kernels.StateStep])
	m.Loss = float64(t.state[kernels.StateLoss])
	m.GradNorm = float64(t.state[kernels.StateNorm])
	if t.state[kernels.StateSkipped] != skipped {
		return ErrNotFinite
	}
	return nil
}

func (t *Trainer) readState() error {
	if err := t.store.Read(optim.StateSlot, 0, t.stateBytes[:]); err != nil {
		return err
	}
	for i := range t.state {
		t.state[i] = getFloat(t.stateBytes[4*i:])
	}
	return nil
}

// Steps is the number of completed updates.
func (t *Trainer) Steps() int { return int(t.state[kernels.StateStep]) }

func (m *Metrics) reset(langs, windows int) {
	loss, targets, pairs := m.LangLoss, m.LangTargets, m.Pairs
	if len(loss) != langs || len(pairs) != windows {
		loss, targets, pairs = make([]float64, langs), make([]int64, langs), make([]int64, windows)
	}
	clear(loss)
	clear(targets)
	clear(pairs)
	*m = Metrics{LangLoss: loss, LangTargets: targets, Pairs: pairs}
}

func (m *Metrics) add(b *data.Batch, losses []float32) {
	for i, target := range b.Targets {
		if target >= 0 && b.Langs[i] != data.NoLang {
			m.LangLoss[b.Langs[i]] += float64(losses[i])
		}
	}
	for i, n := range b.LangTokens {
		m.LangTargets[i] += n
	}
}

// Eval calls add with the losses (N), in nats, of every batch of the stream.
// b must come from NewBatch of that stream.
func (t *Trainer) Eval(ctx context.Context, s Source, add func(b *data.Batch, losses []float32)) error {
	b := s.NewBatch(t.setup.MicroBatch)
	for {
		switch err := s.Next(b); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		t.eval.feed.batch(b)
		if err := t.eval.exec.Run(ctx, 1); err != nil {
			return err
		}
		t.eval.feed.losses(t.losses)
		add(b, t.losses)
	}
}

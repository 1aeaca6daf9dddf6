package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"graft/elo"
	"graft/elo/data"
	"graft/elo/demo"
	"graft/elo/train"
	"graft/kernels"
	"graft/model"
)

type benchOptions struct {
	model     string // "" is the demonstration's
	stage     string
	steps     int
	profile   bool
	recipe    elo.Recipe // layers, shapes and types
	device    string
	allowSlow bool
	json      bool
}

// benchStages are what --stage takes.
var benchStages = map[string]string{"small": elo.StagePretrain, "full": elo.StageFull}

// benchResult is what --json prints.
type benchResult struct {
	Model       string       `json:"model"`
	Stage       string       `json:"stage"`
	Layers      []int        `json:"layers"`
	SequenceLen int          `json:"sequence_len"`
	MicroBatch  int          `json:"micro_batch_size"`
	Accumulate  int          `json:"gradient_accumulation_steps"`
	DType       string       `json:"dtype"`
	Device      string       `json:"device"`
	Fingerprint string       `json:"fingerprint"`
	Memory      train.Memory `json:"memory"`
	Bytes       int64        `json:"memory_bytes"`
	FLOPs       number       `json:"flops_per_token"`
	Tokens      int64        `json:"tokens_per_step"`
	Seconds     []float64    `json:"step_s"` // each step, warm
	Rate        number       `json:"tokens_per_s"`
	FLOPRate    number       `json:"flop_per_s"`
	Profile     []profileRow `json:"profile,omitempty"`
}

func newBench(a *app) *cobra.Command {
	o := benchOptions{recipe: elo.Defaults()}
	o.recipe.SequenceLen = 2048
	cmd := &cobra.Command{
		Use:   "bench [MODEL]",
		Short: "Measure training steps, and where their time goes",
		Long: `Take training steps of a model on random tokens in full rows and print how fast
they are, beside the memory that they take and the work of a token. The steps are
those of stage one (--stage small) or of full training (--stage full); nothing is
written. Without MODEL it is the demonstration's. --profile adds a table by operation
and kernel: its share of the time, and the arithmetic and memory rates it reached.
Each launch is timed alone, so the times of a profile add up to more than a step.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return exactly("MODEL")(cmd, args)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.model = args[0]
			}
			return interruptible(a, false, func(ctx context.Context, _ <-chan struct{}) error { return runBench(ctx, a, o) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.stage, "stage", "small", "`steps` to take: small (stage one) or full")
	f.IntVar(&o.steps, "steps", 10, "`n` steps to time, after two to warm up")
	f.BoolVar(&o.profile, "profile", false, "time every launch in as many steps again")
	recipeFlags(f, &o.recipe, "", "method", "seed", "num_epochs", "max_tokens", "save_steps", "optimizer", "mix_unit", "align_share")
	f.BoolVar(&o.allowSlow, "allow-slow", false, "run operations that the device lacks by their plain definitions")
	deviceFlag(f, &o.device)
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func runBench(ctx context.Context, a *app, o benchOptions) (err error) {
	stage, ok := benchStages[o.stage]
	if !ok {
		return usagef("bench: --stage: found %q, want small or full", o.stage)
	}
	if o.steps < 1 {
		return usagef("bench: --steps: found %d, want 1 or more", o.steps)
	}
	if o.recipe.SequenceLen < 2 || o.recipe.MicroBatchSize < 1 || o.recipe.GradientAccumulationSteps < 1 {
		return usagef("bench: found rows of %d tokens, %d in a micro-batch, %d micro-batches: want 2, 1 and 1 or more",
			o.recipe.SequenceLen, o.recipe.MicroBatchSize, o.recipe.GradientAccumulationSteps)
	}
	if err := modelPaths(&o.model); err != nil {
		return err
	}
	be, err := openDevice(a, o.device)
	if err != nil {
		return err
	}
	defer func() { err = closeDevice(err, be) }()
	ck, done, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	t, err := elo.NewTrainer(be, ck, o.recipe, stage, o.allowSlow)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	b := bench{a: a, t: t, res: o.describe(be, ck, t)}
	for _, r := range t.Replaced() {
		a.warn(fmt.Sprintf("%v runs by its plain definition, with %s more: %s", r.Op, sizeText(r.Bytes), r.Reason))
	}
	if !o.json { // what will be taken is said before it is
		if err := b.res.printPlan(a); err != nil {
			return err
		}
	}
	if err := t.Alloc(); err != nil {
		return err
	}
	if err := t.Load(ck, nil); err != nil {
		return err
	}
	if err := b.run(ctx, o, ck.Config.Vocab); err != nil {
		return err
	}
	if o.json {
		return a.writeJSON(b.res)
	}
	return b.res.print(a)
}

// open opens the model; done closes it, and removes what was written for it.
func (o *benchOptions) open() (ck *model.Checkpoint, done func() error, err error) {
	dir, remove := o.model, func() error { return nil }
	if dir == "" {
		tmp, err := os.MkdirTemp("", "graft-bench-")
		if err != nil {
			return nil, nil, fmt.Errorf("bench: %w", err)
		}
		dir, remove = filepath.Join(tmp, "stories260K"), func() error { return os.RemoveAll(tmp) }
		if err := os.CopyFS(dir, demo.Base()); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("bench: %w", err), remove())
		}
	}
	if ck, err = model.Open(dir); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return ck, func() error { return errors.Join(ck.Close(), remove()) }, nil
}

func (o *benchOptions) describe(be kernels.Backend, ck *model.Checkpoint, t *train.Trainer) benchResult {
	s, caps, m := t.Setup(), be.Caps(), t.Memory()
	layers := s.Layers
	if layers == nil {
		layers = ck.Config.AllLayers()
	}
	return benchResult{Model: filepath.Base(ck.Path), Stage: o.stage, Layers: layers, SequenceLen: s.SeqLen, MicroBatch: s.MicroBatch,
		Accumulate: s.Accumulate, DType: s.Storage.String(), Device: caps.Name + ", " + caps.Device, Fingerprint: caps.Fingerprint,
		Memory: m, Bytes: m.Total(), FLOPs: number(t.PerToken())}
}

// bench is a trainer at work.
type bench struct {
	a   *app
	t   *train.Trainer
	res benchResult
}

// benchRate is so small that the weights stay finite however many steps are taken.
const benchRate, benchNorm = 1e-7, 1

func (b *bench) run(ctx context.Context, o benchOptions, vocab int) error {
	const warm = 2 // drivers compile at a kernel's first launch
	stream, err := randomRows(b.res.SequenceLen, b.res.MicroBatch*b.res.Accumulate, vocab)
	if err != nil {
		return err
	}
	var m train.Metrics
	for i := range warm + o.steps {
		start := time.Now()
		if err := b.t.Step(ctx, stream, benchRate, benchNorm, &m); err != nil {
			return err
		}
		if i >= warm {
			b.res.Seconds = append(b.res.Seconds, time.Since(start).Seconds())
		}
	}
	b.res.Tokens = m.Targets
	b.res.Rate = number(float64(m.Targets) / median(b.res.Seconds))
	b.res.FLOPRate = b.res.Rate * b.res.FLOPs
	if !o.profile {
		return nil
	}
	var all []train.Timing
	for range o.steps {
		times, err := b.t.Profile(ctx, stream, benchRate, benchNorm, &m)
		if err != nil {
			return err
		}
		all = append(all, times...)
	}
	b.res.Profile = profileRows(all, o.steps)
	return nil
}

// median is the middle one; x stays as it is.
func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// randomRows is an endless stream of rows that one document fills each.
func randomRows(seqLen, rows, vocab int) (*data.Stream, error) {
	c := data.NewCorpus("random", "")
	r := rand.New(rand.NewPCG(1, 1))
	for range rows {
		if err := c.AddText(randomTokens{r, seqLen + 1, vocab}, data.Policy{}, "random"); err != nil {
			return nil, err
		}
	}
	return data.NewStream([]data.Part{{Corpus: c}}, data.Options{SeqLen: seqLen, Seed: 1, Epochs: 1 << 20})
}

// randomTokens is an encoder for which every text is so many random tokens.
type randomTokens struct {
	*rand.Rand
	n, vocab int
}

func (r randomTokens) AppendIDs(dst []int32, _ string, _ bool) ([]int32, error) {
	for range r.n {
		dst = append(dst, int32(r.IntN(r.vocab)))
	}
	return dst, nil
}

// printPlan prints what is known before anything runs.
func (r *benchResult) printPlan(a *app) error {
	fmt.Fprintf(a.out, "%s, %s, layers %v, %d x %d x %d tokens, %s\non %s\n", r.Model, r.Stage, r.Layers, r.Accumulate, r.MicroBatch, r.SequenceLen, r.DType, r.Device)
	fmt.Fprintf(a.out, "memory: %s\n", r.Memory)
	return a.out.Flush()
}

// print prints what was measured.
func (r *benchResult) print(a *app) error {
	seconds := slices.Sorted(slices.Values(r.Seconds))
	fmt.Fprintf(a.out, "%s tokens/s, %sFLOP/s: %d steps of %.4g ms (%.4g to %.4g), %sFLOP/token\n", countText(float64(r.Rate)), unitText(float64(r.FLOPRate)),
		len(seconds), 1e3*median(seconds), 1e3*seconds[0], 1e3*seconds[len(seconds)-1], unitText(float64(r.FLOPs)))
	if len(r.Profile) == 0 {
		return nil
	}
	return printProfile(a, r.Profile)
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"graft/elo"
	"graft/elo/train"
	"graft/kernels"
	"graft/model"
)

type infoOptions struct {
	model  string
	recipe elo.Recipe
	device string
	json   bool
}

// info is what is known of a model directory without running it.
type info struct {
	Model       string         `json:"model"`
	Type        string         `json:"model_type"`
	Quantised   string         `json:"base_quantised,omitempty"` // how the base's layers were, "4-bit (Q4_K)"
	LeftOut     map[string]int `json:"left_out,omitempty"`       // tensors that are not of the text model, by part
	Config      configInfo     `json:"config"`
	Params      paramsInfo     `json:"parameters"`
	Layers      []layerInfo    `json:"layers"`
	Stored      []storedInfo   `json:"stored"`
	Tokenizer   *tokenizerInfo `json:"tokenizer"`
	Train       trainInfo      `json:"training"`
	Record      *elo.Record    `json:"record,omitempty"`
	tokenizerNo string         // why there is none
}

type configInfo struct {
	Width        int     `json:"hidden_size"`
	FFN          int     `json:"intermediate_size"`
	Layers       int     `json:"num_hidden_layers"`
	Heads        int     `json:"num_attention_heads"`
	KVHeads      int     `json:"num_key_value_heads"`
	HeadDim      int     `json:"head_dim"`
	Vocab        int     `json:"vocab_size"`
	MaxPositions int     `json:"max_position_embeddings"`
	Window       int     `json:"sliding_window,omitempty"`
	Windowed     int     `json:"sliding_layers,omitempty"` // how many layers have the window
	Tied         bool    `json:"tie_word_embeddings"`
	Eps          float64 `json:"rms_norm_eps"`
	BOS          []int   `json:"bos_token_id,omitempty"`
	EOS          []int   `json:"eos_token_id,omitempty"`
}

type paramsInfo struct {
	Embedding int64 `json:"embedding"`
	Layers    int64 `json:"layers"`
	Norm      int64 `json:"final_norm"`
	Head      int64 `json:"head"` // 0 when tied
	Total     int64 `json:"total"`
}

type layerInfo struct {
	Layer  int      `json:"layer"`
	Prefix string   `json:"prefix"`
	Params int64    `json:"parameters"`
	DTypes []string `json:"dtypes"`
}

type storedInfo struct {
	DType   string `json:"dtype"`
	Tensors int    `json:"tensors"`
	Bytes   int64  `json:"bytes"`
}

type tokenizerInfo struct {
	Tokens int     `json:"tokens"`
	Rows   int     `json:"rows"` // highest id plus one
	Prefix []int32 `json:"prefix"`
	Suffix []int32 `json:"suffix"`
}

type trainInfo struct {
	Device      string      `json:"device"`
	Memory      int64       `json:"device_memory_bytes,omitempty"`
	SequenceLen int         `json:"sequence_len"`
	MicroBatch  int         `json:"micro_batch_size"`
	Chosen      []int       `json:"layers"`
	Stages      []stageInfo `json:"stages"`
	StageOne    float64     `json:"predicted_stage_speedup"`
	Whole       float64     `json:"predicted_speedup"`
}

type stageInfo struct {
	elo.Estimate
	Bytes     int64        `json:"memory_bytes"`
	Breakdown train.Memory `json:"memory"`
}

func newInfo(a *app) *cobra.Command {
	o := infoOptions{recipe: elo.Defaults()}
	cmd := &cobra.Command{
		Use: "info MODEL", Short: "Describe a model directory and what training it would take", Args: exactly("MODEL"),
		Long: `Describe a model directory: its config, parameters, layers with the prefix of
their tensors, types, tokenizer, and for each way of training the memory it would
take and the speed-up that its work predicts. Nothing is trained and no weights
are read.`,
		RunE: func(_ *cobra.Command, args []string) error {
			o.model = args[0]
			return runInfo(a, o)
		},
	}
	f := cmd.Flags()
	recipeFlags(f, &o.recipe, "", "method", "seed", "num_epochs", "max_tokens", "save_steps", "optimizer", "mix_unit")
	deviceFlag(f, &o.device)
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func runInfo(a *app, o infoOptions) (err error) {
	if err := modelPaths(&o.model); err != nil {
		return err
	}
	be, err := openDevice(a, o.device)
	if err != nil {
		return err
	}
	defer func() { err = closeDevice(err, be) }()
	ck, err := model.Open(o.model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ck.Close()) }()
	in, err := describe(ck)
	if err != nil {
		return err
	}
	if in.Train, err = estimate(be, ck, o.recipe); err != nil {
		return err
	}
	if o.json {
		return a.writeJSON(in)
	}
	return in.print(a)
}

func describe(ck *model.Checkpoint) (info, error) {
	c := ck.Config
	in := info{Model: ck.Path, Type: c.ModelType, LeftOut: ck.LeftOut, Config: configInfo{
		Width: c.Width, FFN: c.FFN, Layers: c.Layers, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim,
		Vocab: c.Vocab, MaxPositions: c.MaxPositions, Tied: c.Tied, Eps: c.NormEps, BOS: c.BOS, EOS: ck.EOS}}
	for i, k := range c.Kinds {
		in.Layers = append(in.Layers, layerInfo{Layer: i, Prefix: layerPrefix(i)})
		if k.Window > 0 {
			in.Config.Window = k.Window
			in.Config.Windowed++
		}
	}
	for _, t := range c.Tensors(nil) {
		in.count(t, ck)
	}
	tok, err := ck.Tokenizer()
	switch {
	case err == nil:
		in.Tokenizer = &tokenizerInfo{Tokens: tok.Count(), Rows: tok.VocabSize()}
		in.Tokenizer.Prefix, in.Tokenizer.Suffix = tok.Specials()
	case errors.Is(err, fs.ErrNotExist):
		in.tokenizerNo = "no tokenizer.json"
	default:
		in.tokenizerNo = oneLine(err.Error())
	}
	rec, ok, err := elo.ReadRecord(ck.Dir)
	if err != nil {
		return in, err
	}
	if ok {
		in.Record = &rec
	}
	in.Quantised, err = elo.Quantised(ck)
	return in, err
}

// layerPrefix is what the names of a layer's tensors begin with.
func layerPrefix(layer int) string { return fmt.Sprintf("model.layers.%d.", layer) }

// count adds a tensor to the sums.
func (in *info) count(t model.Tensor, ck *model.Checkpoint) {
	n := int64(t.Len())
	dtype, size := ck.Stored(t.Name)
	in.Params.Total += n
	switch {
	case t.Layer >= 0:
		l := &in.Layers[t.Layer]
		l.Params += n
		in.Params.Layers += n
		if !slices.Contains(l.DTypes, dtype) {
			l.DTypes = append(l.DTypes, dtype)
		}
	case t.Name == model.EmbedName:
		in.Params.Embedding = n
	case t.Name == model.HeadName:
		in.Params.Head = n
	default:
		in.Params.Norm += n
	}
	i := slices.IndexFunc(in.Stored, func(s storedInfo) bool { return s.DType == dtype })
	if i < 0 {
		i = len(in.Stored)
		in.Stored = append(in.Stored, storedInfo{DType: dtype})
	}
	in.Stored[i].Tensors++
	in.Stored[i].Bytes += size
}

func estimate(be kernels.Backend, ck *model.Checkpoint, r elo.Recipe) (trainInfo, error) {
	chosen, err := model.ParseLayers(r.Layers, ck.Config.Layers)
	if err != nil {
		return trainInfo{}, err
	}
	caps := be.Caps()
	t := trainInfo{Device: caps.Name, Memory: caps.Memory, SequenceLen: elo.SequenceLen(r.SequenceLen, ck.Config), MicroBatch: r.MicroBatchSize, Chosen: chosen}
	list, err := elo.Estimates(be, ck, r)
	if err != nil {
		return trainInfo{}, err
	}
	for _, e := range list {
		t.Stages = append(t.Stages, stageInfo{Estimate: e, Bytes: e.Memory.Total(), Breakdown: e.Memory})
	}
	t.StageOne, t.Whole = elo.Speedup(list[0], list[len(list)-1], r.AlignShare)
	return t, nil
}

func (in *info) print(a *app) error {
	c := in.Config
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	line("model", "%s (%s)", filepath.Clean(in.Model), in.Type)
	for _, part := range slices.Sorted(maps.Keys(in.LeftOut)) {
		line("left out", "%s, %d tensors: only the text model is used", part, in.LeftOut[part])
	}
	line("layers", "%d, width %d, feed-forward %d", c.Layers, c.Width, c.FFN)
	line("attention", "%d heads of %d over %d kv heads%s", c.Heads, c.HeadDim, c.KVHeads, map[bool]string{true: fmt.Sprintf(", window %d in %d of %d layers", c.Window, c.Windowed, c.Layers)}[c.Window > 0])
	line("vocabulary", "%d rows, head %s", c.Vocab, map[bool]string{true: "tied to the embedding", false: "of its own"}[c.Tied])
	line("positions", "%d", c.MaxPositions)
	switch t := in.Tokenizer; {
	case t == nil:
		line("tokenizer", "none: %s", in.tokenizerNo)
	case t.Rows > c.Vocab:
		line("tokenizer", "%d tokens; its ids end at %d, above the vocabulary's %d", t.Tokens, t.Rows-1, c.Vocab-1)
	default:
		line("tokenizer", "%d tokens", t.Tokens)
	}
	p := in.Params
	line("parameters", "%s = embedding %s + layers %s + norm %s + head %s", countText(float64(p.Total)),
		countText(float64(p.Embedding)), countText(float64(p.Layers)), countText(float64(p.Norm)), countText(float64(p.Head)))
	for _, s := range in.Stored {
		line("stored", "%s: %d tensors, %s", s.DType, s.Tensors, sizeText(s.Bytes))
	}
	if note := elo.RepairNote(in.Quantised); note != "" {
		line("quantised", "%s", note)
	}
	if in.Record != nil {
		line("record", "%s model, base %s with %d layers", in.Record.Kind, in.Record.Base, in.Record.Depth)
	}
	in.layerLines(line)
	if err := w.Flush(); err != nil {
		return err
	}
	return in.Train.print(a)
}

// layerLines describes layers that are alike on one line.
func (in *info) layerLines(line func(name, format string, args ...any)) {
	for i := 0; i < len(in.Layers); {
		l, n := in.Layers[i], 1
		for i+n < len(in.Layers) && in.Layers[i+n].Params == l.Params && slices.Equal(in.Layers[i+n].DTypes, l.DTypes) {
			n++
		}
		name, prefix, each := fmt.Sprintf("layer %d", l.Layer), l.Prefix, ""
		if n > 1 {
			last := in.Layers[i+n-1]
			name, prefix, each = fmt.Sprintf("layers %d..%d", l.Layer, last.Layer), l.Prefix+" to "+last.Prefix, " each"
		}
		line(name, "%s, %s parameters%s, %s", prefix, countText(float64(l.Params)), each, strings.Join(l.DTypes, " "))
		i += n
	}
}

// stageTitles say what a stage trains.
var stageTitles = map[string]string{
	elo.StagePretrain: "elo, stage one", elo.StageInPlace: "inplace, stage one",
	elo.StageAlign: "alignment", elo.StageFull: "full",
}

func (t *trainInfo) print(a *app) error {
	var prefixes []string
	for _, l := range t.Chosen {
		prefixes = append(prefixes, layerPrefix(l))
	}
	device := t.Device
	if t.Memory > 0 {
		device += " with " + sizeText(t.Memory)
	}
	fmt.Fprintf(a.out, "\nTraining %s on %s, micro-batches of %d x %d tokens:\n", strings.Join(prefixes, " "), device, t.MicroBatch, t.SequenceLen)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tparameters\ttrained\tFLOP/token\tmemory\tweights\tgradients\tmoments\tactivations\t")
	for _, s := range t.Stages {
		m := s.Breakdown
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", stageTitles[s.Stage], countText(float64(s.Params)), countText(float64(s.Trained)),
			countText(s.FLOPs), sizeText(s.Bytes), sizeText(m.Frozen+m.Master+m.Store), sizeText(m.Gradients), sizeText(m.Moments), sizeText(m.Activations+m.IO))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "Work predicts stage one %.1f times and the whole of ELO %.1f times as fast as full training.\n", t.StageOne, t.Whole)
	return nil
}

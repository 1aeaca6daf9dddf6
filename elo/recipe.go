package elo

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"graft/elo/data"
	"graft/kernels"
	"graft/tensor/optim"
)

// Methods of continual pretraining.
const (
	MethodELO     = "elo"     // small model, graft, alignment
	MethodFull    = "full"    // everything, on all of the data
	MethodInPlace = "inplace" // the same layers in the whole model, then alignment
)

// Recipe is everything that decides a run. Its keys are those of the YAML file,
// as other trainers call them.
type Recipe struct {
	BaseModel string `yaml:"base_model" json:"base_model"`
	OutputDir string `yaml:"output_dir" json:"output_dir"`
	Method    string `yaml:"method" json:"method"`
	Layers    string `yaml:"layers" json:"layers"` // see model.ParseLayers

	SequenceLen               int    `yaml:"sequence_len" json:"sequence_len"`
	MicroBatchSize            int    `yaml:"micro_batch_size" json:"micro_batch_size"`
	GradientAccumulationSteps int    `yaml:"gradient_accumulation_steps" json:"gradient_accumulation_steps"`
	GradientCheckpointing     bool   `yaml:"gradient_checkpointing" json:"gradient_checkpointing"`
	Seed                      uint64 `yaml:"seed" json:"seed"`
	NumEpochs                 int    `yaml:"num_epochs" json:"num_epochs"`
	// MaxTokens ends the run after so many targets instead of after NumEpochs;
	// 0 is no such end.
	MaxTokens int64 `yaml:"max_tokens" json:"max_tokens"`
	// SaveSteps saves a state for resuming every so many optimizer steps; 0 is
	// only when the run is interrupted.
	SaveSteps int    `yaml:"save_steps" json:"save_steps"`
	DType     string `yaml:"dtype" json:"dtype"` // auto, float32 or bfloat16
	Optimizer string `yaml:"optimizer" json:"optimizer"`

	Datasets   []Dataset `yaml:"datasets" json:"datasets"`
	MixUnit    string    `yaml:"mix_unit" json:"mix_unit"` // tokens or bytes
	AlignShare float64   `yaml:"align_share" json:"align_share"`
	Pretrain   Stage     `yaml:"pretrain" json:"pretrain"`
	Align      Stage     `yaml:"align" json:"align"`
	Eval       []Dataset `yaml:"eval" json:"eval"`
	SFT        SFT       `yaml:"sft" json:"sft"`
}

// Dataset is a corpus: a file or a directory of files, see data.Read.
type Dataset struct {
	Path  string `yaml:"path" json:"path"`
	Lang  string `yaml:"lang" json:"lang"`
	Field string `yaml:"field" json:"field,omitempty"` // of JSON objects; "" is text
	// Text says what a document of a .txt file is: paragraph, line or file.
	Text   string  `yaml:"text" json:"text,omitempty"`
	Weight float64 `yaml:"weight" json:"weight,omitempty"`
	// Role is target (the default) or source: without weights, target corpora
	// together get nine times what source corpora get.
	Role string `yaml:"role" json:"role,omitempty"`
}

// Stage is how one stage learns.
type Stage struct {
	LearningRate float64 `yaml:"learning_rate" json:"learning_rate"`
	Scheduler    string  `yaml:"lr_scheduler" json:"lr_scheduler"` // cosine, linear, wsd or constant
	WarmupRatio  float64 `yaml:"warmup_ratio" json:"warmup_ratio"`
	DecayRatio   float64 `yaml:"decay_ratio" json:"decay_ratio,omitempty"` // wsd: share of the steps that decay
	WeightDecay  float64 `yaml:"weight_decay" json:"weight_decay"`
	MaxGradNorm  float64 `yaml:"max_grad_norm" json:"max_grad_norm"` // 0 is no clipping
	Beta1        float64 `yaml:"adam_beta1" json:"adam_beta1"`
	Beta2        float64 `yaml:"adam_beta2" json:"adam_beta2"`
	Epsilon      float64 `yaml:"adam_epsilon" json:"adam_epsilon"`
}

// Defaults are the paper's where it states them (learning rate 5e-6, cosine, one
// epoch, sequences of 8192 tokens capped by the model, seed 42, a tenth of the
// data for alignment, ten epochs of conversations) and common ones elsewhere (3 % warm-up, norm clipped at 1,
// no weight decay, a state saved every 500 steps).
func Defaults() Recipe {
	o := optim.Defaults()
	s := Stage{LearningRate: 5e-6, Scheduler: "cosine", WarmupRatio: 0.03, DecayRatio: 0.1, MaxGradNorm: 1,
		Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Eps}
	return Recipe{Method: MethodELO, Layers: "first,last", SequenceLen: 8192, MicroBatchSize: 1, GradientAccumulationSteps: 1,
		Seed: 42, NumEpochs: 1, SaveSteps: 500, DType: "auto", Optimizer: "adamw", MixUnit: string(data.Tokens), AlignShare: 0.1, Pretrain: s, Align: s,
		SFT: SFT{NumEpochs: 10, Stage: s}}
}

// Check reports the first value that makes no sense, by its key.
func (r *Recipe) Check() error {
	bad := func(key string, found any, want string) error {
		return fmt.Errorf("elo: %s: found %v, want %s", key, found, want)
	}
	switch {
	case r.BaseModel == "":
		return bad("base_model", `""`, "a model directory")
	case r.OutputDir == "":
		return bad("output_dir", `""`, "a directory to write")
	case !slices.Contains([]string{MethodELO, MethodFull, MethodInPlace}, r.Method):
		return bad("method", r.Method, "elo, full or inplace")
	case r.SequenceLen < 2:
		return bad("sequence_len", r.SequenceLen, "2 or more")
	case r.MicroBatchSize < 1 || r.MicroBatchSize > 1<<20:
		return bad("micro_batch_size", r.MicroBatchSize, "1 or more")
	case r.GradientAccumulationSteps < 1 || r.GradientAccumulationSteps > 1<<20:
		return bad("gradient_accumulation_steps", r.GradientAccumulationSteps, "1 or more")
	case r.NumEpochs < 1:
		return bad("num_epochs", r.NumEpochs, "1 or more")
	case r.SaveSteps < 0:
		return bad("save_steps", r.SaveSteps, "0 or more")
	case r.MaxTokens < 0:
		return bad("max_tokens", r.MaxTokens, "0 or more")
	case !(r.AlignShare >= 0 && r.AlignShare < 1):
		return bad("align_share", r.AlignShare, "0 or more and below 1")
	case r.MixUnit != string(data.Tokens) && r.MixUnit != string(data.Bytes):
		return bad("mix_unit", r.MixUnit, "tokens or bytes")
	case r.Optimizer != "adamw" && r.Optimizer != "adamw_torch":
		return bad("optimizer", r.Optimizer, "adamw")
	case len(r.Datasets) == 0 && !r.onlySFT():
		return bad("datasets", "none", "at least one corpus")
	}
	if _, err := r.storage(kernels.F32); err != nil {
		return err
	}
	if err := checkDatasets("datasets", r.Datasets); err != nil {
		return err
	}
	if err := checkDatasets("eval", r.Eval); err != nil {
		return err
	}
	if err := r.Pretrain.check("pretrain"); err != nil {
		return err
	}
	if err := r.Align.check("align"); err != nil {
		return err
	}
	return r.SFT.check()
}

func checkDatasets(key string, ds []Dataset) error {
	weights := 0
	for i, d := range ds {
		at := fmt.Sprintf("elo: %s[%d]", key, i)
		if d.Path == "" {
			return fmt.Errorf("%s.path: found \"\", want a file or directory", at)
		}
		if d.Role != "" && d.Role != "target" && d.Role != "source" {
			return fmt.Errorf("%s.role: found %q, want target or source", at, d.Role)
		}
		if !(d.Weight >= 0) || math.IsInf(d.Weight, 0) {
			return fmt.Errorf("%s.weight: found %v, want a number above 0", at, d.Weight)
		}
		switch data.TextUnit(d.Text) {
		case "", data.Paragraph, data.Line, data.File:
		default:
			return fmt.Errorf("%s.text: found %q, want %s, %s or %s", at, d.Text, data.Paragraph, data.Line, data.File)
		}
		if d.Weight > 0 {
			weights++
		}
	}
	if weights > 0 && weights < len(ds) {
		return fmt.Errorf("elo: %s: %d of %d corpora have a weight, want all or none", key, weights, len(ds))
	}
	return nil
}

func (s *Stage) check(key string) error {
	for _, v := range []struct {
		name   string
		x      float64
		lo, hi float64
	}{
		{"learning_rate", s.LearningRate, 0, 1e3}, {"warmup_ratio", s.WarmupRatio, 0, 1}, {"decay_ratio", s.DecayRatio, 0, 1},
		{"weight_decay", s.WeightDecay, 0, 1e3}, {"max_grad_norm", s.MaxGradNorm, 0, math.MaxFloat32},
		{"adam_beta1", s.Beta1, 0, 1 - 1e-9}, {"adam_beta2", s.Beta2, 0, 1 - 1e-9}, {"adam_epsilon", s.Epsilon, 0, 1},
	} {
		if !(v.x >= v.lo && v.x <= v.hi) {
			return fmt.Errorf("elo: %s.%s: found %v, want %v to %v", key, v.name, v.x, v.lo, v.hi)
		}
	}
	if !slices.Contains(optim.Kinds(), s.Scheduler) {
		return fmt.Errorf("elo: %s.lr_scheduler: found %q, want one of %s", key, s.Scheduler, strings.Join(optim.Kinds(), ", "))
	}
	return nil
}

// schedule is the stage's learning rate over so many steps.
func (s *Stage) schedule(steps int) optim.Schedule {
	return optim.Schedule{Kind: s.Scheduler, Steps: steps, Warmup: s.warmupSteps(steps),
		Decay: decaySteps(s, steps), Shape: "1-sqrt"}
}

func decaySteps(s *Stage, steps int) int {
	if s.Scheduler != "wsd" {
		return 0
	}
	return min(int(math.Ceil(s.DecayRatio*float64(steps))), steps-s.warmupSteps(steps))
}

// warmupSteps leaves at least one step at the full rate: the first step of a
// warm-up has rate 0, so a stage of one step would otherwise learn nothing.
func (s *Stage) warmupSteps(steps int) int {
	return min(int(math.Ceil(s.WarmupRatio*float64(steps))), max(0, steps-1))
}

func (s *Stage) adamw() optim.Config {
	return optim.Config{Beta1: s.Beta1, Beta2: s.Beta2, Eps: s.Epsilon, Decay: s.WeightDecay}
}

// storage is the type that weights and activations have while training; base is
// the checkpoint's.
func (r *Recipe) storage(base kernels.DType) (kernels.DType, error) {
	switch r.DType {
	case "auto":
		if base == kernels.F16 {
			// F16 overflows in training where BF16 does not; the output is F16 again.
			return kernels.F32, nil
		}
		return base, nil
	case "float32", "fp32":
		return kernels.F32, nil
	case "bfloat16", "bf16":
		return kernels.BF16, nil
	}
	return 0, fmt.Errorf("elo: dtype: found %q, want auto, float32 or bfloat16", r.DType)
}

// rowsPerStep is the number of sequences of one optimizer step.
func (r *Recipe) rowsPerStep() int { return r.MicroBatchSize * r.GradientAccumulationSteps }

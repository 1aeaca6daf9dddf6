package model

import (
	"fmt"
	"math"
)

// RoPE holds the parameters of rotary position embedding.
type RoPE struct {
	Theta  float64 // base of the frequencies
	Type   string  // default, linear or llama3
	Factor float64 // linear, llama3: how far the context is stretched
	// Of llama3: wavelengths shorter than OriginalPositions/HighFreq stay, longer
	// than OriginalPositions/LowFreq are stretched, between them both are mixed.
	LowFreq, HighFreq float64
	OriginalPositions int
}

func (p RoPE) String() string {
	if p.Type == "default" {
		return fmt.Sprintf("theta %v", p.Theta)
	}
	return fmt.Sprintf("%s by %v with theta %v", p.Type, p.Factor, p.Theta)
}

// readRoPE reads rope_theta and rope_scaling, or rope_parameters, which holds
// both since Transformers 5.
func readRoPE(r *reader, theta float64) RoPE {
	theta = r.number("rope_theta", theta, 0, false)
	old, now := r.object("rope_scaling"), r.object("rope_parameters")
	if r.err != nil {
		return RoPE{}
	}
	plain := RoPE{Theta: theta, Type: "default"}
	if old == nil && now == nil {
		return plain
	}
	var got []RoPE
	for _, s := range []*reader{old, now} {
		if s == nil {
			continue
		}
		got = append(got, readScaling(s, theta))
		if s.err != nil {
			r.err = s.err
			return plain
		}
	}
	if len(got) == 2 && got[0] != got[1] {
		r.fail("rope_parameters", "and rope_scaling disagree: %v, and %v", got[1], got[0])
	}
	return got[0]
}

func readScaling(r *reader, theta float64) RoPE {
	kind := r.text("rope_type", r.text("type", "default"))
	p := RoPE{Type: kind, Theta: r.number("rope_theta", theta, 0, false)}
	if part := r.number("partial_rotary_factor", 1, 0, false); part != 1 {
		r.fail("partial_rotary_factor", "is %v, want 1", part)
	}
	nan := math.NaN()
	switch kind {
	case "default":
	case "linear":
		p.Factor = r.number("factor", nan, 0, false)
	case "llama3":
		p.Factor = r.number("factor", nan, 0, false)
		p.LowFreq = r.number("low_freq_factor", nan, 0, false)
		p.HighFreq = r.number("high_freq_factor", nan, 0, false)
		p.OriginalPositions = r.integer("original_max_position_embeddings", 0, 1, maxPositions)
		if p.HighFreq <= p.LowFreq {
			r.fail("high_freq_factor", "is %v, want more than low_freq_factor = %v", p.HighFreq, p.LowFreq)
		}
	default:
		r.fail("rope_type", "%s is not supported (have default, linear, llama3)", quote(kind))
	}
	return p
}

// frequencies returns the angle per position, in radians, of the pairs of a
// head of size d: theta^(-2i/d), scaled.
func (p RoPE) frequencies(d int) []float32 {
	out := make([]float32, d/2)
	for i := range out {
		f := math.Pow(p.Theta, -2*float64(i)/float64(d))
		switch p.Type {
		case "linear":
			f /= p.Factor
		case "llama3":
			f = p.llama3(f)
		}
		out[i] = float32(f)
	}
	return out
}

// llama3 scales a frequency by how often it turns within the original context
// (Llama 3.1; the rule is Transformers' _compute_llama3_parameters).
func (p RoPE) llama3(f float64) float64 {
	turns := float64(p.OriginalPositions) * f / (2 * math.Pi)
	keep := min(1, max(0, (turns-p.LowFreq)/(p.HighFreq-p.LowFreq)))
	return keep*f + (1-keep)*f/p.Factor
}

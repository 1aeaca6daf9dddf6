package model

import (
	"cmp"
	"fmt"
	"math"
)

// RoPE holds the parameters of rotary position embedding.
type RoPE struct {
	Theta  float64 // base of the frequencies
	Type   string  // default, linear, llama3 or yarn
	Factor float64 // but for default: how far the context is stretched
	// LowFreq and HighFreq are turns within the original context. Frequencies that
	// turn more often than HighFreq stay, those that turn less often than LowFreq
	// are stretched, between them both are mixed: linearly in the turns (llama3) or
	// in the index of the frequency (yarn).
	LowFreq, HighFreq float64
	OriginalPositions int
	Truncate          bool    // yarn: the bounds are rounded to whole indices
	Amplitude         float64 // yarn: factor of rotated queries and keys
}

func (p RoPE) String() string {
	if p.Type == "default" {
		return fmt.Sprintf("theta %v", p.Theta)
	}
	return fmt.Sprintf("%s by %v with theta %v", p.Type, p.Factor, p.Theta)
}

// readRoPE reads rope_theta and rope_scaling, or rope_parameters, which holds
// both since Transformers 5. positions is max_position_embeddings.
func readRoPE(r *reader, theta float64, positions int) RoPE {
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
		got = append(got, readScaling(s, theta, positions))
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

// readTwoRoPEs reads the rotary embeddings of layers that see everything and of
// those with a window: an object for each in rope_parameters, or, before
// Transformers 5, rope_theta with rope_scaling for the one and
// rope_local_base_freq for the other.
func readTwoRoPEs(r *reader, positions int) (full, sliding RoPE) {
	const fullTheta, slidingTheta = 1e6, 1e4
	now := r.object("rope_parameters")
	if now == nil {
		full = readRoPE(r, fullTheta, positions)
		return full, RoPE{Theta: r.number("rope_local_base_freq", slidingTheta, 0, false), Type: "default"}
	}
	read := func(key string, theta float64) RoPE {
		s := now.object(key)
		if s == nil {
			return RoPE{Theta: theta, Type: "default"}
		}
		p := readScaling(s, theta, positions)
		now.err = cmp.Or(now.err, s.err)
		return p
	}
	full, sliding = read(fullAttention, fullTheta), read(slidingAttention, slidingTheta)
	r.err = cmp.Or(r.err, now.err)
	return full, sliding
}

func readScaling(r *reader, theta float64, positions int) RoPE {
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
	case "yarn":
		p.OriginalPositions = r.integer("original_max_position_embeddings", positions, 1, maxPositions)
		p.Factor = r.number("factor", float64(positions)/float64(p.OriginalPositions), 0, false)
		p.HighFreq, p.LowFreq = r.number("beta_fast", 32, 0, false), r.number("beta_slow", 1, 0, false)
		p.Truncate = r.boolean("truncate", true)
		p.Amplitude = r.number("attention_factor", p.amplitude(r.number("mscale", 0, 0, true), r.number("mscale_all_dim", 0, 0, true)), 0, false)
		if p.Theta <= 1 {
			r.fail("rope_theta", "is %v, want more than 1 for yarn", p.Theta)
		}
		if p.HighFreq <= p.LowFreq {
			r.fail("beta_fast", "is %v, want more than beta_slow = %v", p.HighFreq, p.LowFreq)
		}
	default:
		r.fail("rope_type", "%s is not supported (have default, linear, llama3, yarn)", quote(kind))
	}
	return p
}

// frequencies returns the angle per position, in radians, of the pairs of a
// head of size d: theta^(-2i/d), scaled.
func (p RoPE) frequencies(d int) []float32 {
	out := make([]float32, d/2)
	lo, hi := p.ramp(d)
	for i := range out {
		f := math.Pow(p.Theta, -2*float64(i)/float64(d))
		switch p.Type {
		case "linear":
			f /= p.Factor
		case "llama3":
			f = p.llama3(f)
		case "yarn":
			stretch := min(1, max(0, (float64(i)-lo)/(hi-lo)))
			f = stretch*f/p.Factor + (1-stretch)*f
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

// ramp gives the indices between which yarn goes over from frequencies that stay
// to those that are stretched (Peng et al. 2023; the rounding and the bounds are
// Transformers' _compute_yarn_parameters).
func (p RoPE) ramp(d int) (lo, hi float64) {
	if p.Type != "yarn" {
		return 0, 1
	}
	index := func(turns float64) float64 { // of the frequency that turns so often
		return float64(d) * math.Log(float64(p.OriginalPositions)/(turns*2*math.Pi)) / (2 * math.Log(p.Theta))
	}
	lo, hi = index(p.HighFreq), index(p.LowFreq)
	if p.Truncate {
		lo, hi = math.Floor(lo), math.Ceil(hi)
	}
	lo, hi = max(lo, 0), min(hi, float64(d-1))
	if lo == hi {
		hi += 0.001
	}
	return lo, hi
}

// amplitude is yarn's default factor of queries and keys, 0.1 ln(Factor) + 1, or
// the quotient of two such with scales that are both given.
func (p RoPE) amplitude(scale, scaleAll float64) float64 {
	of := func(m float64) float64 {
		if p.Factor <= 1 {
			return 1
		}
		return 0.1*m*math.Log(p.Factor) + 1
	}
	if scale != 0 && scaleAll != 0 {
		return of(scale) / of(scaleAll)
	}
	return of(1)
}

// scale is the factor of rotated queries and keys.
func (p RoPE) scale() float32 {
	if p.Type == "yarn" {
		return float32(p.Amplitude)
	}
	return 1
}

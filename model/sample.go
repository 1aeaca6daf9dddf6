package model

import (
	"errors"
	"fmt"
	"math"
)

// Sampling chooses the next token from logits. The zero value takes the most
// likely one.
type Sampling struct {
	Temperature float64 // divides the logits; 0 is greedy
	TopK        int     // only the k most likely tokens; 0 is all
	TopP        float64 // only the most likely tokens that together reach p, after TopK; 0 is all
	Seed        uint64
}

func (s Sampling) check() error {
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0):
		return fmt.Errorf("model: temperature %v, want 0 or more", s.Temperature)
	case s.TopK < 0:
		return fmt.Errorf("model: top-k %d, want 0 or more", s.TopK)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return fmt.Errorf("model: top-p %v, want 0 to 1", s.TopP)
	}
	return nil
}

// sampler keeps its memory from token to token.
type sampler struct {
	heap    []int32   // token ids, a heap by logit
	weights []float64 // of the candidates, not normalised
	top     float64   // the largest logit
}

// weight is proportional to the probability of a logit.
func (s *sampler) weight(logit float32, temperature float64) float64 {
	return math.Exp((float64(logit) - s.top) / temperature)
}

var errLogits = errors.New("model: the logits are not finite")

// next chooses a token. step numbers the tokens of a text: the random number is
// a function of seed and step alone.
func (s *sampler) next(logits []float32, o Sampling, step uint64) (int, error) {
	best, err := argmax(logits)
	if err != nil || o.Temperature == 0 {
		return best, err
	}
	u := uniform(o.Seed, step)
	s.top, s.weights = float64(logits[best]), s.weights[:0]
	if (o.TopK == 0 || o.TopK >= len(logits)) && (o.TopP == 0 || o.TopP == 1) {
		for _, x := range logits {
			s.weights = append(s.weights, s.weight(x, o.Temperature))
		}
		return pick(s.weights, u), nil
	}
	return int(s.candidates(logits, o)[pick(s.weights, u)]), nil
}

// candidates returns the ids that TopK and TopP leave, most likely first, and
// sets their weights. The ids lie at the heap's end, where popping put them.
func (s *sampler) candidates(logits []float32, o Sampling) []int32 {
	s.heap = s.heap[:0]
	for id := range logits {
		s.heap = append(s.heap, int32(id))
	}
	h := likely{s.heap, logits}
	for i := len(h.ids)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
	k, total := o.TopK, 0.0
	if k == 0 || k > len(logits) {
		k = len(logits)
		for _, x := range logits {
			total += s.weight(x, o.Temperature)
		}
	}
	var out []int32 // grows over the slice that the heap gives up
	sum := 0.0
	for range k {
		id := h.pop()
		out = s.heap[len(h.ids):]
		s.weights = append(s.weights, s.weight(logits[id], o.Temperature))
		sum += s.weights[len(s.weights)-1]
		if total > 0 && o.TopP > 0 && sum >= o.TopP*total {
			break
		}
	}
	if total == 0 && o.TopP > 0 { // p of what k left
		part := 0.0
		for i, w := range s.weights {
			if part += w; part >= o.TopP*sum {
				s.weights = s.weights[:i+1]
				break
			}
		}
	}
	// pop stores the first id last.
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// likely is a heap of ids whose root has the largest logit, the smallest id
// among equal ones.
type likely struct {
	ids    []int32
	logits []float32
}

func (h *likely) before(a, b int32) bool {
	if x, y := h.logits[a], h.logits[b]; x != y {
		return x > y
	}
	return a < b
}

// pop takes the root off and stores it behind the heap.
func (h *likely) pop() int32 {
	last := len(h.ids) - 1
	root := h.ids[0]
	h.ids[0], h.ids[last] = h.ids[last], root
	h.ids = h.ids[:last]
	h.down(0)
	return root
}

func (h *likely) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h.ids) {
			return
		}
		if c+1 < len(h.ids) && h.before(h.ids[c+1], h.ids[c]) {
			c++
		}
		if !h.before(h.ids[c], h.ids[i]) {
			return
		}
		h.ids[i], h.ids[c] = h.ids[c], h.ids[i]
		i = c
	}
}

// argmax is the first of the largest. NaN and +Inf are refused.
func argmax(logits []float32) (int, error) {
	best := 0
	for i, x := range logits {
		if x != x || x > math.MaxFloat32 {
			return 0, errLogits
		}
		if x > logits[best] {
			best = i
		}
	}
	if logits[best] < -math.MaxFloat32 {
		return 0, errLogits
	}
	return best, nil
}

// pick is the index at which the running sum of the weights passes u times
// their total.
func pick(weights []float64, u float64) int {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	sum, last := 0.0, 0
	for i, w := range weights {
		if w > 0 {
			last = i
		}
		if sum += w; sum > u*total {
			return i
		}
	}
	return last
}

// uniform is a number in [0, 1) from seed and counter (SplitMix64, Steele et
// al. 2014, whose state after n steps is known without taking them).
func uniform(seed, counter uint64) float64 {
	z := seed + (counter+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float64(z>>11) / (1 << 53)
}

package data

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
)

// Unit is what the weights of a mix count.
type Unit string

// The units of a mix. The same weights by tokens and by bytes differ by a
// factor of two between scripts.
const (
	Tokens Unit = "tokens"
	Bytes  Unit = "bytes"
)

// Part is one corpus of a mix.
type Part struct {
	Corpus *Corpus
	// Weight is the part's share of the stream relative to the other parts'.
	// When no part has one, target parts together get nine times what the
	// others together get, each side divided by the sizes of its corpora.
	Weight float64
	// Target marks the corpora that say when an epoch is over. When none is
	// marked, all are.
	Target bool
}

// DefaultTargetShare is the part of the stream that target corpora get when no
// weights are given: the paper's ratio of source to target of 1:9.
const DefaultTargetShare = 0.9

// weights checks the parts and returns them with weights and targets set.
func weights(parts []Part, u Unit, targetShare float64) ([]Part, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("data: mix: expected at least one corpus, found none")
	}
	parts = append([]Part(nil), parts...)
	given, targets := 0, 0
	for i, p := range parts {
		if p.Corpus == nil || p.Corpus.pairs == 0 {
			name := "nil"
			if p.Corpus != nil {
				name = p.Corpus.path
			}
			return nil, fmt.Errorf("data: mix: corpus %d (%s): expected a document of at least two tokens, found none: %w", i, name, ErrEmpty)
		}
		if p.Weight < 0 || math.IsNaN(p.Weight) || math.IsInf(p.Weight, 0) {
			return nil, fmt.Errorf("data: mix: corpus %d (%s): expected a positive weight, found %v", i, p.Corpus.path, p.Weight)
		}
		if p.Weight > 0 {
			given++
		}
		if p.Target {
			targets++
		}
	}
	if given != 0 && given != len(parts) {
		return nil, fmt.Errorf("data: mix: expected a weight for every corpus or for none, found %d for %d corpora", given, len(parts))
	}
	var size [2]float64 // of source and target
	for i := range parts {
		p := &parts[i]
		p.Target = p.Target || targets == 0
		size[side(p.Target)] += p.size(u)
	}
	for i := range parts {
		p := &parts[i]
		switch {
		case given > 0:
		case size[0] == 0:
			p.Weight = p.size(u) / size[1]
		case p.Target:
			p.Weight = targetShare * (p.size(u) / size[1])
		default:
			p.Weight = (1 - targetShare) * (p.size(u) / size[0])
		}
	}
	return parts, nil
}

func side(target bool) int {
	if target {
		return 1
	}
	return 0
}

// size is what one epoch of the part amounts to.
func (p Part) size(u Unit) float64 {
	if u == Bytes {
		return float64(max(p.Corpus.bytes, 1))
	}
	return float64(p.Corpus.pairs)
}

// Position is how far a stream has read one corpus.
type Position struct {
	Epoch    int64 `json:"epoch"`    // times it was read in full
	Document int   `json:"document"` // index in this epoch's order
	Offset   int   `json:"offset"`   // targets taken of that document
	Tokens   int64 `json:"tokens"`   // targets taken altogether
	Bytes    int64 `json:"bytes"`    // bytes those stand for
}

// feed deals out one corpus, epoch after epoch, each in its own order.
type feed struct {
	Position
	corpus *Corpus
	weight float64
	target bool
	lang   uint8
	order  []int32 // document indices of this epoch
}

// share is how much the feed has given for its weight; the feed with the least
// comes next.
func (f *feed) share(u Unit) float64 {
	if u == Bytes {
		return float64(f.Bytes) / f.weight
	}
	return float64(f.Tokens) / f.weight
}

// seek puts the feed at a position.
func (f *feed) seek(p Position, shuffle bool, seed uint64, part int) {
	f.Position = p
	f.arrange(shuffle, seed, part)
	f.skip(shuffle, seed, part)
}

// arrange sets the order of the current epoch.
func (f *feed) arrange(shuffle bool, seed uint64, part int) {
	for i := range f.order {
		f.order[i] = int32(i)
	}
	if !shuffle {
		return
	}
	// Written out, since only the generator's sequence is fixed by its
	// definition and not what the library's Shuffle makes of it.
	var r rand.PCG
	r.Seed(scramble(seed), scramble(uint64(part)<<40^uint64(f.Epoch)))
	for i := len(f.order) - 1; i > 0; i-- {
		j, _ := bits.Mul64(r.Uint64(), uint64(i)+1)
		f.order[i], f.order[j] = f.order[j], f.order[i]
	}
}

// scramble spreads neighbouring seeds over 64 bits; it is the finaliser of
// SplitMix64.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// skip moves past documents without a target and into the next epoch.
func (f *feed) skip(shuffle bool, seed uint64, part int) {
	for {
		if f.Document == len(f.order) {
			f.Document = 0
			f.Epoch++
			f.arrange(shuffle, seed, part)
		}
		if f.corpus.docs[f.order[f.Document]].tokens > 1 {
			return
		}
		f.Document++
	}
}

// left is how many targets the current document still has.
func (f *feed) left() int {
	return int(f.corpus.docs[f.order[f.Document]].tokens) - 1 - f.Offset
}

// take moves on by at most room targets of one document. It returns the
// document, the offset of the first target's input and the count.
func (f *feed) take(room int) (index, from, n int, bytes int64, done bool) {
	index, from = int(f.order[f.Document]), f.Offset
	n = min(room, int(f.corpus.docs[index].tokens)-1-from)
	bytes = f.corpus.covered(index, from+n) - f.corpus.covered(index, from)
	f.Offset += n
	f.Tokens += int64(n)
	f.Bytes += bytes
	if f.Offset == int(f.corpus.docs[index].tokens)-1 {
		f.Offset = 0
		f.Document++
		done = true
	}
	return index, from, n, bytes, done
}

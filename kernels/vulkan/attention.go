package vulkan

import (
	"math"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
)

const (
	attentionWidth = 256 // columns of a result that a workgroup makes
	splitKeys      = 128 // fewest keys to a part of a split
	splitMost      = 64  // parts of a split
	splitGroups    = 4   // workgroups of a split for each that keeps the device busy: they are small
)

// attentionTile is the shape of a workgroup: 16 x threadsY invocations of rm rows each.
type attentionTile struct{ threadsY, rm int }

func (t attentionTile) rows() int { return t.threadsY * t.rm }

// shared is the bytes of shared memory that the tile takes at most, whatever the head.
func (t attentionTile) shared() int {
	slices, values := (t.rows()+64)*5, 512
	return 16*max(slices, values) + t.rows()*(17*16+16*4+8) + 16
}

// attentionTiles are the shapes, from small to large. Products of taller tiles load less.
var attentionTiles = []attentionTile{{4, 1}, {4, 2}, {4, 4}, {8, 4}, {16, 4}}

// attentionTileOf chooses the tallest tile that the device allows, that rows fill and that
// leaves the device enough workgroups; others is how many tiles there are for every tile
// of rows, registers how many vec4 of results an invocation would hold for each row.
func attentionTileOf(d target, rows, others, registers int) attentionTile {
	best := attentionTiles[0]
	for _, t := range attentionTiles[1:] {
		if d.attention != nil && best == *d.attention || t.shared() > d.sharedMemory || 16*t.threadsY > d.invocations {
			break
		}
		if d.attention == nil {
			// A driver on the CPU gains little from taller tiles, which take its compiler
			// seconds.
			busy := others*ceilDiv(rows, t.rows()) >= d.units && d.units > unitsOf(vk.TypeCPU)
			if rows <= best.rows() || best.rows() >= 16 && !busy {
				break
			}
		}
		best = t
	}
	if best.rm > 1 && best.rm*registers > 16 { // what a register file holds without spilling
		best.rm /= 2
	}
	return best
}

// attention is what Attention and AttentionBwd share: sizes, and the operands' strides.
type attention struct {
	x                  *expansion
	nb, nt, ns         int
	nk, group, hd      int
	blocks             int // of columns of a result
	docs, rows         kernels.View
	hasRows            bool
	reads, writes      []kernels.Span
	activations        []kernels.View // of (B, T or S, heads, D)
	scale, cap, window uint32
}

func newAttention(x *expansion, activations ...kernels.View) (*attention, error) {
	d := x.dims
	a := &attention{x: x, nb: d.Get('B'), nt: d.Get('T'), ns: d.Get('S'), nk: d.Get('K'), group: d.Get('H') / d.Get('K'), hd: d.Get('D'),
		activations: activations, scale: float(x.in.Attr.Scale), cap: float(x.in.Attr.SoftCap)}
	a.blocks = ceilDiv(a.hd, attentionWidth)
	a.docs, _ = kernels.In(x.in, "documents")
	if a.rows, a.hasRows = kernels.In(x.in, "rows"); !a.hasRows {
		a.rows = a.docs
	}
	a.reads, a.writes = x.whole()
	// A window that hides nothing is none.
	if w := x.in.Attr.Window; w <= math.MaxInt32 && (a.hasRows || w < a.nt) {
		a.window = uint32(w)
	}
	if a.nk > maxGroups || a.hd > math.MaxUint16 || a.group > math.MaxUint16 || a.group*a.nt > math.MaxInt32 {
		return nil, x.unsupported("%d key heads, %d heads to each, %d queries, head size %d", a.nk, a.group, a.nt, a.hd)
	}
	return a, nil
}

// spec is the specialisation constants that all tiled kernels share.
func (a *attention) spec(t attentionTile) []uint32 {
	return []uint32{uint32(t.threadsY), uint32(t.rm), a.x.dtype(a.activations[0]), uint32(a.quads()), flag(a.vector()), a.cap, a.window}
}

// vector reports whether rows of all activations can be read 128 bits at a time.
func (a *attention) vector() bool {
	if a.hd%8 != 0 {
		return false
	}
	n := 16 / a.x.prog.DType(a.activations[0]).Size()
	for _, v := range a.activations {
		if v.Offset%n != 0 || v.Shape[0] > 1 && v.Stride[0]%n != 0 || v.Shape[1] > 1 && v.Stride[1]%n != 0 {
			return false
		}
	}
	return true
}

// registers is how many vec4 of a row of a result an invocation holds.
func (a *attention) registers() int { return ceilDiv(min(a.hd, attentionWidth), 64) }

// quads is how many vec4 a row of a result has in a workgroup: 16 for each register, and
// for heads that need fewer the power of two that holds them.
func (a *attention) quads() int {
	for _, q := range []int{2, 4, 8} {
		if a.hd <= 4*q {
			return q
		}
	}
	return 16 * a.registers()
}

// words are the push constants after the addresses: sizes, strides of views, what the
// tiled kernels call sizes, and the factor of the scores.
func (a *attention) words(sizes []uint32, views ...kernels.View) []uint32 {
	return append(append(sizes, strides(views...)...), uint32(a.hd|a.group<<16), a.scale)
}

// strides lists the strides of views from sequence to sequence and position to position.
func strides(views ...kernels.View) (words []uint32) {
	for _, v := range views {
		words = append(words, uint32(v.Stride[0]), uint32(v.Stride[1]))
	}
	return words
}

// batches calls f for pieces of the batch that a kernel can count: each activation spans
// less than 2^31 elements, as do the scratch elements of each sequence, and zs tiles of
// each sequence fit an axis of the grid.
func (a *attention) batches(zs, scratch int, f func(start, count int)) error {
	most := min(a.nb, maxGroups/zs, math.MaxInt32/max(1, scratch), math.MaxInt32/(a.nk*a.group*a.nt))
	for _, v := range a.activations {
		one := v
		one.Shape = append([]int{1}, v.Shape[1:]...)
		lo, hi := one.Extent()
		left := math.MaxInt32 - (hi - lo)
		if left < 0 {
			most = 0
		} else if s := v.Stride[0]; s > 0 && most > 0 {
			most = min(most, left/s+1)
		}
	}
	if most < 1 {
		return a.x.unsupported("a sequence spans more than 2^31 - 1 elements")
	}
	for b := 0; b < a.nb; b += most {
		f(b, min(most, a.nb-b))
	}
	return nil
}

// at is the place of sequence b of an activation.
func (a *attention) at(v kernels.View, b int) place { return a.x.at(v, b*v.Stride[0]) }

// of is the place of sequence b of a dense operand with n elements to a sequence.
func (a *attention) of(v kernels.View, b, n int) place { return a.x.at(v, b*n) }

// tiles counts the tiles of n rows; a grid's first axis must hold them.
func (a *attention) tiles(n int, t attentionTile) (uint32, error) {
	c := ceilDiv(n, t.rows())
	if c > maxGroups {
		return 0, a.x.unsupported("%d rows in tiles of %d", n, t.rows())
	}
	return uint32(c), nil
}

// splits is how many parts the keys are cut into where there are few queries: a function
// of the shape alone. What a part holds depends on the documents.
func (a *attention) splits(t attentionTile) int {
	rows := a.group * a.nt
	groups := a.nb * a.nk * a.blocks * ceilDiv(rows, t.rows())
	if rows > 64 || groups >= 2*a.x.target.units {
		return 1
	}
	return max(1, min(a.ns/splitKeys, ceilDiv(splitGroups*a.x.target.units, groups), splitMost))
}

func expandAttention(x *expansion) error {
	q, k, v, o, lse := x.in.In[0], x.in.In[1], x.in.In[2], x.in.Out[0], x.in.Out[1]
	a, err := newAttention(x, q, k, v, o)
	if err != nil {
		return err
	}
	rows := a.group * a.nt
	t := attentionTileOf(x.target, rows, a.nb*a.nk*a.blocks, a.registers())
	n := a.splits(t)
	tiles, err := a.tiles(rows, t)
	if err != nil {
		return err
	}
	spec := append(a.spec(t), flag(a.hasRows), uint32(n))
	words := a.words([]uint32{uint32(a.nt), uint32(a.ns)}, q, k, v, o)
	heads := a.nk * rows // rows of results of a sequence
	sums := int64(0)     // where the sums of parts begin in scratch
	part := n * heads * a.hd
	if n > 1 {
		sums = roundUp(4*int64(a.nb)*int64(part), minAlign)
		x.scratch = sums + 8*int64(a.nb)*int64(n*heads)
	} else {
		part = 0
	}
	scratch := []kernels.Span{{Slot: kernels.Scratch, Hi: x.scratch}}
	return a.batches(n*a.blocks, part, func(b, count int) {
		l := launch{kernel: "attention", spec: spec, words: words,
			addrs: []place{a.at(q, b), a.at(k, b), a.at(v, b), a.of(a.docs, b, a.nt), a.of(a.rows, b, a.nt),
				a.at(o, b), a.of(lse, b, heads)},
			groups: [3]uint32{tiles, uint32(a.nk), uint32(count * n * a.blocks)}, reads: a.reads, writes: a.writes}
		if n == 1 {
			x.add(l)
			return
		}
		sum, pair := place{kernels.Scratch, 4 * int64(b) * int64(part)}, place{kernels.Scratch, sums + 8*int64(b)*int64(n*heads)}
		to := l.addrs[5:]
		l.addrs, l.writes = append(l.addrs[:5:5], sum, pair), scratch
		x.add(l)
		x.add(launch{kernel: "attention_join", spec: []uint32{x.dtype(o), uint32(n), a.window, flag(a.hasRows)},
			addrs:  append([]place{sum, pair, l.addrs[3], l.addrs[4]}, to...),
			words:  append([]uint32{uint32(a.nt), uint32(a.ns), uint32(a.group), uint32(a.hd)}, strides(o)...),
			groups: [3]uint32{uint32(rows), uint32(a.nk), uint32(count)},
			reads:  append(a.docSpans(), scratch...), writes: a.writes})
	})
}

// docSpans is what tells which keys are visible.
func (a *attention) docSpans() []kernels.Span {
	spans := []kernels.Span{a.x.span(a.docs)}
	if a.hasRows {
		spans = append(spans, a.x.span(a.rows))
	}
	return spans
}

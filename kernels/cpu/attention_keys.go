package cpu

// packedKeys are the keys or the values of all sequences and key heads, packed
// for the micro-kernel in tiles of keyTile keys.
type packedKeys struct {
	nk, ns, kt  int
	size, tile0 int // elements of a head, and of a key in it
	tiles       int // of a head
	packed      []float32
	finiteTile  []float32 // 1 where a tile has finite numbers only
}

// tile is the part of the panels that begins with key j0, the first of a tile.
func (x *packedKeys) tile(b, kh, j0 int) []float32 {
	return x.packed[(b*x.nk+kh)*x.size+j0*x.tile0:]
}

// finite reports whether the tile that begins with key j0 is all finite.
// Masked scores weigh zero, which would turn an infinity into a NaN where
// nobody looks.
func (x *packedKeys) finite(b, kh, j0 int) bool {
	return x.finiteTile[(b*x.nk+kh)*x.tiles+j0/x.kt] != 0
}

// panels says which way keys are packed: as rows of the left operand, D long,
// or as its columns, so that sums go over keys.
type panels bool

const (
	asRows    panels = false
	asColumns panels = true
)

// keyScratch is packedKeys before it has memory.
type keyScratch struct {
	packedKeys
	panels, flags operand
}

func (s *keyScratch) operands() []operand { return []operand{s.panels, s.flags} }

func (s *keyScratch) bind(m *memory) packedKeys {
	x := s.packedKeys
	x.packed, x.finiteTile = m.array(s.panels).f, m.array(s.flags).f
	return x
}

// packKeys adds a step that packs keys or values. Tasks of keys that no query
// sees, in a cache that is not full, do nothing.
func (b *builder) packKeys(h heads, nb int, from operand, by panels, reads []operand, vis func(*memory) visibility) *keyScratch {
	mr, kt := b.tier.MR, keyTile(b.tier)
	s := &keyScratch{packedKeys: packedKeys{nk: h.nk, ns: h.ns, kt: kt, tiles: blocks(h.ns, kt), tile0: h.hd}}
	if by == asColumns {
		s.tile0 = h.up
	}
	s.size = blocks(h.ns, mr) * mr * s.tile0
	s.panels, s.flags = b.temp(nb*h.nk, s.size), b.temp(nb*h.nk, s.tiles)
	b.add(step{
		kernel: "attention_pack", reads: append(reads[:len(reads):len(reads)], from), writes: s.operands(), tasks: nb * h.nk * s.tiles,
		local: max(16*h.hd, 8*h.hd),
		bind: func(m *memory) task {
			x, h, a := s.bind(m), h, m.array(from)
			h.vis = vis(m)
			return func(t int, local []float32) {
				b, kh, j0 := t/(x.tiles*x.nk), t/x.tiles%x.nk, t%x.tiles*x.kt
				if h.vis.rows != nil {
					if first, last := h.keys(b, 0, h.nt); j0+x.kt <= first || j0 >= last {
						return
					}
				}
				n, at := min(x.kt, x.ns-j0), h.row(a, b, j0, kh)
				dst := x.tile(b, kh, j0)
				if by == asColumns {
					packColumns(dst, a, at, a.stride[1], h.hd, n, mr, 1, local)
					dst = dst[:n*h.up]
				} else {
					packRows(dst, a, at, a.stride[1], n, h.hd, mr, 1, local)
					dst = dst[:blocks(n, mr)*mr*h.hd]
				}
				x.finiteTile[t] = 0
				if finiteRows(dst) {
					x.finiteTile[t] = 1
				}
			}
		},
	})
	return s
}

// finiteRows reports whether packed numbers are all finite.
func finiteRows(x []float32) bool {
	var a, b, c, d float32
	for len(x) >= 4 {
		a += x[0] * 0
		b += x[1] * 0
		c += x[2] * 0
		d += x[3] * 0
		x = x[4:]
	}
	for _, v := range x {
		a += v * 0
	}
	return a+b+c+d == 0
}

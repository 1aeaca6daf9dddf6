package vulkan

// matrixTile is a variant of the matrix kernels: a workgroup of at most size invocations
// makes bm x bn elements of c and goes along K in steps of bk.
type matrixTile struct {
	size, bm, bn, bk int
	minRows, minCols int // smaller products would waste most of the tile
}

// The variants, the most work for each byte loaded first: for matrices of a subgroup,
// which lie in shared memory in between, and of a workgroup, which come straight from
// memory and always have size invocations.
var (
	subgroupTiles = [...]matrixTile{
		{size: 256, bm: 128, bn: 128, bk: 32, minRows: 65, minCols: 65},
		{size: 128, bm: 64, bn: 64, bk: 32, minRows: 33, minCols: 33},
		{size: 64, bm: 32, bn: 32, bk: 32},
	}
	workgroupTiles = [...]matrixTile{
		{size: 256, bm: 128, bn: 256, bk: 64, minRows: 65, minCols: 129},
		{size: 256, bm: 128, bn: 128, bk: 64, minRows: 65, minCols: 65},
		{size: 128, bm: 64, bn: 64, bk: 64},
	}
)

// minMatrix is the least M, N and K of a product for matrix cores: with less most of what
// they multiply is padding.
const minMatrix = 16

// choices lists the variants that the path allows on a device, the largest tile first.
func (p matrixPath) choices(d target) (all []choice) {
	if p.none() {
		return nil
	}
	tiles, fit := subgroupTiles[:], p.subgroupChoice
	if p.workgroup {
		tiles, fit = workgroupTiles[:], p.workgroupChoice
	}
	for _, t := range tiles {
		c, shared := fit(t)
		if c.size > 0 && c.size <= d.invocations && shared+p.reserved <= d.sharedMemory {
			all = append(all, c)
		}
	}
	return all
}

// divide gives the rows and columns of at most parts subgroups that share a tile, each of
// them whole matrices and as square as they can be.
func (s matrixShape) divide(bm, bn, parts int) (rows, cols int) {
	rows, cols = 1, 1
	for 2*rows*cols <= parts {
		h, w := bm/rows, bn/cols
		down, across := h/2%s.m == 0, w/2%s.n == 0
		switch {
		case across && (w >= h || !down):
			cols *= 2
		case down:
			rows *= 2
		default:
			return rows, cols
		}
	}
	return rows, cols
}

// subgroupChoice divides a tile among subgroups. Its size is 0 when that does not work out.
func (p matrixPath) subgroupChoice(t matrixTile) (c choice, shared int) {
	s := p.shapes[0]
	rows, cols := s.divide(t.bm, t.bn, min(t.size/p.subgroup, p.subgroups))
	wm, wn, size := t.bm/rows, t.bn/cols, rows*cols*p.subgroup
	if wm%s.m != 0 || wn%s.n != 0 || t.bk%s.k != 0 || t.bm*t.bk/8%size != 0 || t.bn*t.bk/8%size != 0 {
		return choice{}, 0
	}
	// The larger of both orders of storage, with 16 bytes behind each line.
	tile := func(side int) int { return 16 * max(side*(t.bk/8+1), t.bk*(side/8+1)) }
	return p.choice(t, size, wm, wn, s.m, s.n, s.k), tile(t.bm) + tile(t.bn) + 4*rows*cols*s.m*(s.n+4)
}

// workgroupChoice takes a tile as one matrix.
func (p matrixPath) workgroupChoice(t matrixTile) (c choice, shared int) {
	for _, s := range p.shapes {
		if s.invocations == t.size && t.bm%s.m == 0 && t.bn%s.n == 0 && t.bk%s.k == 0 && max(t.bm, t.bn, t.bk) <= p.most {
			return p.choice(t, t.size), 0
		}
	}
	return choice{}, 0
}

// choice is a tile with the constants of its kernel.
func (p matrixPath) choice(t matrixTile, size int, consts ...int) choice {
	v := &variant{kernel: p.kernel(), subgroup: p.subgroup}
	for _, n := range append([]int{t.bm, t.bn, t.bk}, consts...) {
		v.spec = append(v.spec, uint32(n))
	}
	return choice{parts: 1,
		tile: tile{size: size, bm: t.bm, bn: t.bn, bk: t.bk, minRows: t.minRows, minCols: t.minCols, cores: v}}
}

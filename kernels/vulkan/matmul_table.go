package vulkan

// tile is a variant of the matmul kernel: a workgroup of size invocations makes bm x bn
// elements of c, each tm x tn of them, and goes along K in steps of bk.
type tile struct {
	name             string
	size             int
	bm, bn, bk       int
	tm, tn           int
	minRows, minCols int      // of products that would not waste most of a tile
	cores            *variant // of matrix cores: the kernel and its constants after those of gemm.glsl
}

// matmulTiles lists the variants, the most work for each byte loaded first. The last one
// fits the least that Vulkan promises: 128 invocations and 16 KiB.
var matmulTiles = [...]tile{
	{name: "large", size: 256, bm: 128, bn: 128, bk: 16, tm: 8, tn: 8, minRows: 65, minCols: 65},
	{name: "medium", size: 128, bm: 64, bn: 64, bk: 16, tm: 8, tn: 4, minRows: 33, minCols: 33},
	{name: "small", size: 64, bm: 32, bn: 32, bk: 16, tm: 4, tn: 4},
}

// matmulRevision counts changes of how the table is used: it is part of the fingerprint.
const matmulRevision = 1

const (
	mostShared = 32 << 10 // bytes of shared memory that a kernel may take where there is more
	leastPart  = 512      // no part of a cut K is shorter
	mostParts  = 16
)

// shared is how many bytes of shared memory the variant takes.
func (t tile) shared(buffers int) int { return 4 * buffers * t.bk * (t.bm + t.bn + 4) }

// buffers tells how many pairs of tiles fit into shared memory, 2 at most: with a second
// one loads and products need not wait for each other. None fits where it is 0.
func (t tile) buffers(d target) int {
	if d.invocations < t.size {
		return 0
	}
	return min(2, min(d.sharedMemory, mostShared)/t.shared(1))
}

// rowsTile is the variant for few rows: workgroups make bn columns of c, tn a group of
// lanes, with b's rows along K. Its bm is the number of rows.
func rowsTile(m int) tile {
	return tile{name: "rows", size: 128, bm: m, bn: 16, bk: 256, tm: m, tn: 4}
}

// mostRows is how many rows that variant can make: more are better off in tiles.
const mostRows = 8

// choice is how a product is made.
type choice struct {
	tile
	buffers int
	parts   int // of K, to be added up by a second launch
}

// choose picks the kernel for a product: a function of shape and device alone, so that
// equal programs give equal bits. It is the largest tile of which there are enough to keep
// half the device busy; K is cut where that needs fewer than half of it and K is long.
func (d target) choose(p *product) choice {
	batches, m, n, k := p.count(), p.size(axisM), p.size(axisN), p.size(axisK)
	if d.product != nil {
		return *d.product
	}
	if m <= mostRows && p.neighboursAlongK() {
		c := choice{rowsTile(m), 1, 1}
		c.parts = d.partsFor(batches*ceilDiv(n, c.bn), k)
		return c
	}
	all := d.variants(p)
	c := all[len(all)-1]
	for _, t := range all {
		if m < t.minRows || n < t.minCols {
			continue
		}
		c = t
		tiles := batches * ceilDiv(m, t.bm) * ceilDiv(n, t.bn)
		c.parts = d.partsFor(tiles, k)
		if 2*tiles*c.parts >= d.units {
			break
		}
	}
	return c
}

// variants lists what can make a product in tiles, the largest first: matrix cores where
// there are some for its types, else matmul.
func (d target) variants(p *product) (all []choice) {
	if p.a.typ == p.b.typ && min(p.size(axisM), p.size(axisN), p.size(axisK)) >= minMatrix {
		all = d.matrix.of(p.a.typ).choices(d)
	}
	if len(all) > 0 {
		return all
	}
	for i, t := range matmulTiles {
		buffers := t.buffers(d)
		if i == len(matmulTiles)-1 {
			buffers = max(1, buffers)
		}
		if buffers > 0 {
			all = append(all, choice{t, buffers, 1})
		}
	}
	return all
}

// variant is the kernel of the choice with the constants after those of gemm.glsl.
func (c *choice) variant() variant {
	if c.cores != nil {
		return *c.cores
	}
	v := variant{kernel: "matmul", spec: []uint32{uint32(c.bm), uint32(c.bn), uint32(c.bk), uint32(c.tm), uint32(c.tn), uint32(c.buffers)}}
	if c.name == "rows" {
		v.kernel = "matvec"
	}
	return v
}

// partsFor cuts K when workgroups are so few that half the device would idle.
func (d target) partsFor(groups, k int) int {
	if 2*groups >= d.units {
		return 1
	}
	return max(1, min(d.units/groups, k/leastPart, mostParts))
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

package vulkan

import (
	"math"
	"math/bits"

	"graft/kernels"
)

// rowGroup says how the kernels that reduce over the columns of a matrix share rows out
// over a workgroup of 256 invocations (shaders/rows.glsl).
type rowGroup struct {
	lanes int // invocations that work on one row
	vecs  int // vectors of four columns in the registers of a lane; 0: rows are read again
}

// mostVecs bounds the registers that a row takes: 8192 columns are the widest row that a
// workgroup keeps.
const mostVecs = 8

// rowsOf gives a lane two vectors, until a workgroup is full.
func rowsOf(columns int) rowGroup {
	vecs := (columns + 3) / 4
	lanes := 1 << bits.Len(uint((vecs-1)/2))
	lanes = min(max(lanes, 16), 256)
	each := (vecs + lanes - 1) / lanes
	if each > mostVecs {
		each = 0
	}
	return rowGroup{lanes, each}
}

// side is how many rows a workgroup works on side by side.
func (r rowGroup) side() int { return 256 / r.lanes }

// groups is the number of workgroups that n rows fill.
func (r rowGroup) groups(n int) int { return (n + r.side() - 1) / r.side() }

// spec gives the first specialisation constants of a kernel that includes rows.glsl.
// rows are the operands whose rows have the given number of columns.
func (r rowGroup) spec(columns int, rows ...kernels.View) []uint32 {
	return []uint32{uint32(r.lanes), uint32(r.vecs), flag(columns%4 == 0 && aligned(rows...))}
}

// aligned reports whether views start at multiples of four elements, as vector accesses
// need. Slots start at multiples of minAlign bytes.
func aligned(views ...kernels.View) bool {
	for _, v := range views {
		if v.Offset%4 != 0 {
			return false
		}
	}
	return true
}

// rowPieces calls f for n rows in pieces whose elements a kernel can count.
func rowPieces(n, columns int, f func(start, count int)) {
	rows := max(1, maxPiece/columns)
	for start := 0; start < n; start += rows {
		f(start, min(rows, n-start))
	}
}

// strided refuses a vector with a stride whose elements a kernel's signed indices cannot
// count.
func (x *expansion) strided(v kernels.View) error {
	if lo, hi := v.Extent(); hi-lo > math.MaxInt32 {
		return x.unsupported("%q spans %d elements, at most 2^31 - 1", x.prog.Slots[v.Slot].Name, hi-lo)
	}
	return nil
}

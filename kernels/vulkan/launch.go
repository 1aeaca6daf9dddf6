package vulkan

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"graft/kernels"
)

// launch is one dispatch: a kernel, its specialisation constants, what it is pushed
// and the number of workgroups.
type launch struct {
	kernel   string
	instr    int
	spec     []uint32
	subgroup int      // invocations of a subgroup, 0 where it does not matter
	addrs    []place  // first in the push constants, as every kernel declares them
	words    []uint32 // after them
	groups   [3]uint32
	reads    []kernels.Span
	writes   []kernels.Span
}

// place is a byte position in a slot, or with slot kernels.Scratch in the scratch zone.
type place struct {
	slot   kernels.SlotID
	offset int64
}

// push appends the push constants to buf. base gives the address of a slot.
func (l *launch) push(buf []byte, base func(kernels.SlotID) uint64) []byte {
	for _, a := range l.addrs {
		buf = binary.LittleEndian.AppendUint64(buf, base(a.slot)+uint64(a.offset))
	}
	for _, w := range l.words {
		buf = binary.LittleEndian.AppendUint32(buf, w)
	}
	return buf
}

// expansion collects the launches of one instruction.
type expansion struct {
	target   target
	prog     *kernels.Program
	instr    int
	in       kernels.Instr
	dims     kernels.Dims
	launches []launch
	scratch  int64 // bytes of scratch that the instruction needs
	parts    [2]scratchPart
}

// take reserves scratch for the instruction, at an offset that suits every access.
func (x *expansion) take(bytes int64) place {
	at := roundUp(x.scratch, minAlign)
	x.scratch = at + bytes
	return place{kernels.Scratch, at}
}

// expanders holds the kernels this backend has; nil is unsupported.
var expanders = [kernels.NumOps]func(*expansion) error{
	kernels.Fill:            expandFill,
	kernels.Copy:            expandCopy,
	kernels.Unary:           expandUnary,
	kernels.Binary:          expandBinary,
	kernels.Reduce:          expandReduce,
	kernels.Gather:          expandGather,
	kernels.PutRows:         expandPutRows,
	kernels.MatMul:          expandMatMul,
	kernels.Embed:           expandEmbed,
	kernels.EmbedBwd:        expandEmbedBwd,
	kernels.RMSNorm:         expandRMSNorm,
	kernels.RMSNormBwd:      expandRMSNormBwd,
	kernels.RoPE:            expandRoPE,
	kernels.GLU:             expandGLU,
	kernels.GLUBwd:          expandGLUBwd,
	kernels.Attention:       expandAttention,
	kernels.AttentionBwd:    expandAttentionBwd,
	kernels.LinearCE:        expandLinearCE,
	kernels.LinearCEGrad:    expandLinearCE,
	kernels.Softmax:         expandSoftmax,
	kernels.SoftmaxBwd:      expandSoftmaxBwd,
	kernels.CrossEntropy:    expandCrossEntropy,
	kernels.CrossEntropyBwd: expandCrossEntropyBwd,
	kernels.SumSq:           expandSumSq,
	kernels.Advance:         expandAdvance,
	kernels.AdamW:           expandAdamW,
}

// expandInstr turns an instruction into launches for a device.
func expandInstr(t target, p *kernels.Program, index int, in kernels.Instr) (*expansion, error) {
	if in.Op >= kernels.NumOps || expanders[in.Op] == nil {
		return nil, fmt.Errorf("vulkan: %v: no kernel: %w", in.Op, kernels.ErrUnsupported)
	}
	dims, err := kernels.Check(p, in)
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", err)
	}
	x := &expansion{target: t, prog: p, instr: index, in: in, dims: dims}
	if err := expanders[in.Op](x); err != nil {
		return nil, err
	}
	return x, x.check()
}

// check refuses launches that go beyond what every device allows, or outside of their
// operands. Shapes that lead there are rare and large, and a driver does not tell.
func (x *expansion) check() error {
	for i := range x.launches {
		l := &x.launches[i]
		if n := 8*len(l.addrs) + 4*len(l.words); n > pushBytes {
			return x.unsupported("kernel %s: %d bytes of push constants, at most %d", l.kernel, n, pushBytes)
		}
		for _, n := range l.groups {
			if n < 1 || n > maxGroups {
				return x.unsupported("kernel %s: a grid of %v workgroups, at most %d an axis", l.kernel, l.groups, maxGroups)
			}
		}
		for _, a := range l.addrs {
			if end := x.size(a.slot); a.offset < 0 || a.offset > end {
				return x.unsupported("kernel %s: an address at byte %d of %d", l.kernel, a.offset, end)
			}
		}
		for _, s := range slices.Concat(l.reads, l.writes) {
			if end := x.size(s.Slot); s.Lo < 0 || s.Hi < s.Lo || s.Hi > end {
				return x.unsupported("kernel %s: bytes [%d, %d) of %d", l.kernel, s.Lo, s.Hi, end)
			}
		}
	}
	return nil
}

// size is the number of bytes of a slot or of the instruction's scratch.
func (x *expansion) size(slot kernels.SlotID) int64 {
	if slot == kernels.Scratch {
		return x.scratch
	}
	return x.prog.Slots[slot].Bytes()
}

func (x *expansion) unsupported(format string, args ...any) error {
	return fmt.Errorf("vulkan: %v: %s: %w", x.in.Op, fmt.Sprintf(format, args...), kernels.ErrUnsupported)
}

// at is the place of a view's first element, moved by elements.
func (x *expansion) at(v kernels.View, elements int) place {
	return place{v.Slot, int64(v.Offset+elements) * int64(x.prog.DType(v).Size())}
}

// span is the range of bytes that a view touches.
func (x *expansion) span(v kernels.View) kernels.Span {
	lo, hi := v.Extent()
	size := int64(x.prog.DType(v).Size())
	return kernels.Span{Slot: v.Slot, Lo: int64(lo) * size, Hi: int64(hi) * size}
}

// whole returns the spans that the whole instruction reads and writes.
func (x *expansion) whole() (reads, writes []kernels.Span) {
	for _, v := range x.in.In {
		reads = append(reads, x.span(v))
	}
	for o, v := range x.in.Out {
		writes = append(writes, x.span(v))
		if kernels.Reads(x.in, o) {
			reads = append(reads, x.span(v))
		}
	}
	return reads, writes
}

// add appends a launch that touches what the whole instruction does.
func (x *expansion) add(l launch) {
	l.instr = x.instr
	if l.reads == nil && l.writes == nil {
		l.reads, l.writes = x.whole()
	}
	x.launches = append(x.launches, l)
}

// float is a specialisation constant or word with a float's bits.
func float(f float32) uint32 { return math.Float32bits(f) }

// flag is a specialisation constant that is true or false.
func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// dtype is the specialisation constant for a storage type; kernels share the numbers.
func (x *expansion) dtype(v kernels.View) uint32 { return uint32(x.prog.DType(v)) }

const (
	maxGroups = 65535   // workgroups per axis that every device allows
	maxPiece  = 1 << 30 // elements that a striding kernel may count without overflow
)

// linear is the grid of a kernel that strides over n elements.
func linear(n, groupSize int) [3]uint32 {
	return [3]uint32{uint32(min((n+groupSize-1)/groupSize, maxGroups)), 1, 1}
}

// pieces calls f for [0, n) in pieces that a kernel can count.
func pieces(n int, f func(start, count int)) {
	for start := 0; start < n; start += maxPiece {
		f(start, min(maxPiece, n-start))
	}
}

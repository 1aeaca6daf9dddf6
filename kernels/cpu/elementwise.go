package cpu

import (
	"encoding/binary"
	"math"

	"graft/internal/f16"
	"graft/kernels"
	"graft/kernels/cpu/simd"
)

func lowerFill(b *builder, in kernels.Instr, _ kernels.Dims) {
	y := b.view(in.Out[0])
	n := in.Out[0].Len()
	value := pattern(y.dt, in.Attr.Alpha)
	b.add(step{
		kernel: "fill", writes: []operand{y}, tasks: blocks(n, grain),
		bind: func(m *memory) task {
			mem := m.array(y).b
			size := y.dt.Size()
			return func(t int, _ []float32) {
				fill(mem[t*grain*size:min((t+1)*grain, n)*size], value[:size])
			}
		},
	})
}

// fill repeats value over dst.
func fill(dst, value []byte) {
	for n := copy(dst, value); n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}

// pattern is the bytes of a number in a storage type.
func pattern(dt kernels.DType, x float32) [4]byte {
	var b [4]byte
	switch dt {
	case kernels.F32:
		binary.NativeEndian.PutUint32(b[:], math.Float32bits(x))
	case kernels.BF16:
		binary.NativeEndian.PutUint16(b[:], f16.ToBF16(x))
	case kernels.F16:
		binary.NativeEndian.PutUint16(b[:], f16.ToF16(x))
	case kernels.U8:
		b[0] = byte(int64(x))
	case kernels.U16:
		binary.NativeEndian.PutUint16(b[:], uint16(int64(x)))
	default:
		binary.NativeEndian.PutUint32(b[:], uint32(int64(x)))
	}
	return b
}

func lowerCopy(b *builder, in kernels.Instr, _ kernels.Dims) {
	x, y := b.view(in.In[0]), b.view(in.Out[0])
	g := newGrid(x.shape, x.stride, y.stride)
	b.add(step{
		kernel: "copy", reads: []operand{x}, writes: []operand{y}, tasks: g.tasks, local: piece,
		bind: func(m *memory) task {
			xa, ya := m.array(x), m.array(y)
			if x.dt == y.dt {
				return copyBits(&g, xa, ya)
			}
			return func(t int, local []float32) {
				first := t / g.pieces * g.perTask
				from := t % g.pieces * grain
				to := min(from+grain, g.n)
				for i := first; i < min(first+g.perTask, g.count); i++ {
					xo, yo := g.offset(0, i), g.offset(1, i)
					for lo := from; lo < to; lo += piece {
						n := min(lo+piece, to) - lo
						row := xa.gather(xo+lo*g.inner[0], n, g.inner[0], local)
						ya.scatter(yo+lo*g.inner[1], g.inner[1], row)
					}
				}
			}
		},
	})
}

// copyBits copies elements of one type, whatever their bits mean.
func copyBits(g *grid, x, y *array) task {
	switch x.dt.Size() {
	case 4:
		return copyElements(g, cast[uint32](x.b), cast[uint32](y.b))
	case 2:
		return copyElements(g, cast[uint16](x.b), cast[uint16](y.b))
	default:
		return copyElements(g, x.b, y.b)
	}
}

func copyElements[T uint8 | uint16 | uint32](g *grid, x, y []T) task {
	sx, sy := g.inner[0], g.inner[1]
	return func(t int, _ []float32) {
		first := t / g.pieces * g.perTask
		lo := t % g.pieces * grain
		n := min(lo+grain, g.n) - lo
		for i := first; i < min(first+g.perTask, g.count); i++ {
			xo, yo := g.offset(0, i)+lo*sx, g.offset(1, i)+lo*sy
			if sx == 1 && sy == 1 {
				copy(y[yo:yo+n], x[xo:xo+n])
				continue
			}
			for range n {
				y[yo] = x[xo]
				xo += sx
				yo += sy
			}
		}
	}
}

func lowerUnary(b *builder, in kernels.Instr, _ kernels.Dims) {
	x, y := b.view(in.In[0]), b.view(in.Out[0])
	n := in.Out[0].Len()
	f := unaryLoop(b.tier, in.Attr)
	b.add(step{
		kernel: "unary_" + in.Attr.Unary.String(), reads: []operand{x}, writes: []operand{y},
		tasks: blocks(n, grain), local: 2 * piece,
		bind: func(m *memory) task {
			xa, ya := m.array(x), m.array(y)
			return func(t int, local []float32) {
				to := min((t+1)*grain, n)
				for lo := t * grain; lo < to; lo += piece {
					k := min(piece, to-lo)
					dst := ya.dst(lo, k, local[piece:])
					f(dst, xa.load(lo, k, local[:piece]))
					ya.store(lo, dst)
				}
			}
		},
	})
}

// unaryLoop is y[i] = f(x[i]) over slices of equal length.
func unaryLoop(t *simd.Tier, a kernels.Attr) func(y, x []float32) {
	switch a.Unary {
	case kernels.Affine:
		return func(y, x []float32) { t.Affine(y, x, a.Alpha, a.Beta) }
	case kernels.ReLU:
		return t.ReLU
	case kernels.Step:
		return t.Step
	case kernels.Exp:
		return t.Exp
	case kernels.Log:
		return t.Log
	case kernels.Sqrt:
		return t.Sqrt
	case kernels.Recip:
		return t.Recip
	case kernels.Tanh:
		return t.Tanh
	default:
		return t.Sigmoid
	}
}

func lowerBinary(b *builder, in kernels.Instr, _ kernels.Dims) {
	x, z, y := b.view(in.In[0]), b.view(in.In[1]), b.view(in.Out[0])
	g := newGrid(y.shape, x.stride, z.stride, y.stride)
	f := binaryLoop(b.tier, in.Attr.Binary)
	b.add(step{
		kernel: "binary_" + in.Attr.Binary.String(), reads: []operand{x, z}, writes: []operand{y},
		tasks: g.tasks, local: 3 * piece,
		bind: func(m *memory) task {
			xa, za, ya := m.array(x), m.array(z), m.array(y)
			return func(t int, local []float32) {
				first := t / g.pieces * g.perTask
				from := t % g.pieces * grain
				to := min(from+grain, g.n)
				for i := first; i < min(first+g.perTask, g.count); i++ {
					xo, zo, yo := g.offset(0, i), g.offset(1, i), g.offset(2, i)
					for lo := from; lo < to; lo += piece {
						n := min(piece, to-lo)
						dst := ya.dst(yo+lo, n, local[2*piece:])
						f(dst, xa.gather(xo+lo*g.inner[0], n, g.inner[0], local[:piece]),
							za.gather(zo+lo*g.inner[1], n, g.inner[1], local[piece:2*piece]))
						ya.store(yo+lo, dst)
					}
				}
			}
		},
	})
}

// binaryLoop is y[i] = a[i] . b[i] over slices of equal length.
func binaryLoop(t *simd.Tier, k kernels.BinaryKind) func(y, a, b []float32) {
	switch k {
	case kernels.Add:
		return t.Add
	case kernels.Sub:
		return t.Sub
	case kernels.Mul:
		return t.Mul
	case kernels.Div:
		return t.Div
	default:
		return t.Equal
	}
}

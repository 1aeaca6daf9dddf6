package vulkan

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"graft/kernels"
	"graft/kernels/kerneltest"
	"graft/kernels/ref"
)

// strided adds a persistent slot for a view with the given strides, filled with v, and NaN
// in its gaps.
func (r *rig) strided(name string, typ kernels.DType, offset int, v []float64, shape, stride []int) kernels.View {
	r.t.Helper()
	view := kernels.View{Offset: offset, Shape: shape, Stride: stride}
	_, n := view.Extent()
	view.Slot = r.add(name, typ, kernels.Persistent, n).Slot
	mem := bytes.Repeat([]byte{0xff}, n*typ.Size())
	ref.WriteView(typ, mem, view, v)
	r.data[view.Slot] = mem
	return view
}

// dense are the strides of a dense array.
func dense(shape []int) []int { return kernels.Dense(0, 0, shape...).Stride }

// kernelsOf lists what a program's only instruction launches, with the specialisation
// constant at index i.
func (r *rig) kernelsOf(i int) (names []string) {
	r.t.Helper()
	for _, l := range must(expandInstr(r.b.target(), &r.prog, 0, r.prog.Code[0])).launches {
		names = append(names, fmt.Sprintf("%s:%d", l.kernel, l.spec[i]))
	}
	return names
}

// untouched fails where a run changed what is no element of the first output.
func (r *rig) untouched(t *testing.T, y kernels.View) {
	t.Helper()
	got, want := r.readBytes(y), bytes.Clone(r.data[y.Slot])
	size := r.prog.DType(y).Size()
	ref.Each(y, func(_, at int) { copy(want[at*size:(at+1)*size], got[at*size:]) })
	if !bytes.Equal(got, want) {
		t.Error("wrote outside of the output")
	}
}

// TestCopyPaths holds each way of copying to the oracle. The path column is the kernel and
// the bytes of its unit.
func TestCopyPaths(t *testing.T) {
	b := open(t)
	f, h, e, i32, u8 := kernels.F32, kernels.BF16, kernels.F16, kernels.I32, kernels.U8
	for _, c := range []struct {
		name     string
		from, to kernels.DType
		offset   int
		shape    []int
		sx, sy   []int
		path     []string
	}{
		{"flat", f, f, 4, []int{4, 50}, []int{50, 1}, []int{50, 1}, []string{"copy:16"}},
		{"flat, odd offset", h, h, 1, []int{4, 50}, []int{50, 1}, []int{50, 1}, []string{"copy:2"}},
		{"rows with gaps", h, h, 8, []int{5, 48}, []int{56, 1}, []int{64, 1}, []string{"copy:16"}},
		{"rows with odd gaps", h, h, 8, []int{5, 48}, []int{58, 1}, []int{64, 1}, []string{"copy:4"}},
		{"bytes", u8, u8, 3, []int{5, 7}, []int{9, 1}, []int{7, 1}, []string{"copy:1"}},
		{"aligned bytes", u8, u8, 16, []int{5, 32}, []int{48, 1}, []int{32, 1}, []string{"copy:16"}},
		{"bytes by words", u8, u8, 4, []int{5, 12}, []int{20, 1}, []int{12, 1}, []string{"copy:4"}},
		{"cast in vectors", f, h, 8, []int{5, 48}, []int{56, 1}, []int{64, 1}, []string{"copy:0"}},
		{"cast of elements", e, f, 1, []int{5, 47}, []int{51, 1}, []int{47, 1}, []string{"copy:0"}},
		{"repeated rows", h, f, 0, []int{3, 4, 16}, []int{0, 16, 1}, []int{64, 16, 1}, []string{"copy:0"}},
		{"heads before tokens", h, h, 0, []int{3, 7, 16}, []int{16, 48, 1}, []int{112, 16, 1}, []string{"copy:16"}},
		{"transposed", f, f, 1, []int{130, 67}, []int{1, 131}, []int{67, 1}, []string{"transpose:4"}},
		{"transposed output", i32, i32, 0, []int{64, 128}, []int{128, 1}, []int{1, 64}, []string{"transpose:4"}},
		{"transposed halves", h, h, 3, []int{65, 16}, []int{1, 70}, []int{20, 1}, []string{"transpose:2"}},
		{"transposed bytes", u8, u8, 3, []int{33, 70}, []int{1, 33}, []int{70, 1}, []string{"transpose:1"}},
		{"transposed and cast", f, e, 0, []int{70, 40}, []int{1, 70}, []int{40, 1}, []string{"transpose:0"}},
		{"transposed batches", h, h, 2, []int{2, 3, 2, 20, 33}, []int{4800, 1600, 760, 1, 21}, []int{8000, 2500, 1000, 33, 1}, []string{"transpose:2"}},
		{"short axis", f, f, 0, []int{8, 100}, []int{1, 8}, []int{100, 1}, []string{"copy:4"}},
		{"five axes", f, f, 0, []int{2, 3, 2, 5, 3}, []int{301, 100, 49, 9, 2}, []int{401, 132, 65, 13, 3}, []string{"copy:4"}},
		{"six axes", f, f, 0, []int{2, 3, 2, 3, 2, 2}, []int{601, 200, 99, 30, 13, 5}, []int{701, 230, 110, 35, 16, 5}, []string{"copy:4", "copy:4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, b)
			v := kernels.View{Shape: c.shape}
			data := values(7, v.Len())
			if !c.from.Float() {
				for i := range data {
					data[i] = float64(i * 7 % 251)
				}
			}
			for i, s := range c.sx { // repeats hold one value
				if s == 0 {
					n := len(data) / c.shape[i]
					data = slices.Repeat(data[:n], c.shape[i])
				}
			}
			x := r.strided("x", c.from, c.offset, data, c.shape, c.sx)
			y := r.strided("y", c.to, c.offset, make([]float64, v.Len()), c.shape, c.sy)
			r.emit(kernels.Copy, kernels.Attr{}, []kernels.View{y}, x)
			if got := r.kernelsOf(0); !slices.Equal(got, c.path) {
				t.Errorf("got the path %v, want %v", got, c.path)
			}
			r.run(1)
			want := ref.ReadView(c.from, r.data[x.Slot], x)
			for i := range want {
				want[i] = ref.Round(c.to, want[i])
			}
			if got := ref.ReadView(c.to, r.readBytes(y), y); !slices.Equal(got, want) {
				t.Error("the copy differs")
			}
			r.untouched(t, y)
		})
	}
}

// TestReducePaths holds each way of reducing to the oracle. The path column has the
// vectors of each launch: 1 along terms, 2 along outputs.
func TestReducePaths(t *testing.T) {
	kerneltest.NeedsLong(t)
	b := open(t)
	f, h, e := kernels.F32, kernels.BF16, kernels.F16
	for _, c := range []struct {
		name   string
		typ    kernels.DType
		offset int
		x, y   []int
		sx     []int
		beta   float32
		path   []string
	}{
		{"rows", h, 0, []int{5, 640}, []int{5, 1}, nil, 0, []string{"reduce:1"}},
		{"rows, odd offset", h, 1, []int{5, 640}, []int{5, 1}, nil, 0, []string{"reduce:0"}},
		{"rows, odd stride", f, 0, []int{5, 64}, []int{5, 1}, []int{65, 1}, 1, []string{"reduce:0"}},
		{"columns", h, 0, []int{70, 640}, []int{1, 640}, nil, 0, []string{"reduce:2"}},
		{"columns of odd rows", e, 0, []int{70, 63}, []int{1, 63}, nil, -0.5, []string{"reduce:0"}},
		{"columns with gaps", f, 0, []int{9, 16}, []int{1, 16}, []int{24, 1}, 0.5, []string{"reduce:2"}},
		{"many rows to few columns", f, 0, []int{20000, 8}, []int{1, 8}, nil, 0.25, []string{"reduce:2", "reduce:2"}},
		{"many rows to odd columns", h, 0, []int{9001, 3}, []int{1, 3}, nil, 1, []string{"reduce:0", "reduce:0"}},
		{"a long sum", f, 0, []int{1 << 18}, []int{1}, nil, 1, []string{"reduce:1", "reduce:1"}},
		{"middle", f, 0, []int{3, 40, 24}, []int{3, 1, 24}, nil, 0, []string{"reduce:2"}},
		{"outer and inner", f, 0, []int{3, 5, 16}, []int{1, 5, 1}, nil, 0, []string{"reduce:1"}},
		{"three and three axes", f, 0, []int{2, 3, 4, 3, 2, 5}, []int{2, 1, 4, 1, 2, 1}, nil, 0, []string{"reduce:0"}},
		{"four kept axes", f, 0, []int{2, 3, 4, 3, 2, 3, 5}, []int{2, 1, 4, 1, 2, 1, 5}, nil, 0, []string{"reduce:0", "reduce:0"}},
		{"four reduced axes", f, 0, []int{3, 3, 4, 3, 2, 3, 2}, []int{1, 3, 1, 3, 1, 3, 1}, nil, 0, []string{"reduce:0", "reduce:0", "reduce:0"}},
		{"repeats", f, 0, []int{17, 16}, []int{1, 16}, []int{0, 1}, 0, []string{"reduce:2"}},
		{"nothing", h, 0, []int{5, 16}, []int{5, 16}, nil, 0, []string{"reduce:2"}},
	} {
		for kind := range kernels.NumReduce {
			if kind == kernels.Max && c.beta != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%v", c.name, kind), func(t *testing.T) {
				r := newRig(t, b)
				stride := c.sx
				if stride == nil {
					stride = dense(c.x)
				}
				data := values(9, kernels.View{Shape: c.x}.Len())
				if slices.Contains(stride, 0) {
					data = slices.Repeat(data[:c.x[1]], c.x[0])
				}
				x := r.strided("x", c.typ, c.offset, data, c.x, stride)
				y := r.operand("y", kernels.F32, 1, values(3, kernels.View{Shape: c.y}.Len()), c.y...)
				r.emit(kernels.Reduce, kernels.Attr{Reduce: kind, Beta: c.beta}, []kernels.View{y}, x)
				if got := r.kernelsOf(6); !slices.Equal(got, c.path) {
					t.Errorf("got the path %v, want %v", got, c.path)
				}
				r.holdToOracle(t)
				r.untouched(t, y)
			})
		}
	}
}

// TestBinaryPaths holds broadcasts to the oracle. The path column says which launches take
// vectors.
func TestBinaryPaths(t *testing.T) {
	kerneltest.NeedsLong(t)
	b := open(t)
	for _, c := range []struct {
		name   string
		typ    kernels.DType
		offset int
		shape  []int
		sa, sb []int
		path   []string
	}{
		{"dense", kernels.BF16, 8, []int{5, 40}, []int{40, 1}, []int{40, 1}, []string{"binary:1"}},
		{"dense and a rest", kernels.F32, 4, []int{5, 41}, []int{41, 1}, []int{41, 1}, []string{"binary:1", "binary:0"}},
		{"odd offset", kernels.F32, 1, []int{5, 40}, []int{40, 1}, []int{40, 1}, []string{"binary:0"}},
		{"a row for all", kernels.BF16, 0, []int{5, 40}, []int{40, 1}, []int{0, 1}, []string{"binary:1"}},
		{"a number a row", kernels.F32, 0, []int{5, 40}, []int{40, 1}, []int{1, 0}, []string{"binary:1"}},
		{"numbers of both", kernels.F16, 0, []int{5, 40}, []int{0, 1}, []int{3, 0}, []string{"binary:1"}},
		{"one number", kernels.F32, 0, []int{5, 40}, []int{0, 0}, []int{40, 1}, []string{"binary:1"}},
		{"odd stride", kernels.F32, 0, []int{5, 40}, []int{40, 1}, []int{41, 1}, []string{"binary:0"}},
		{"transposed", kernels.F32, 0, []int{16, 24}, []int{1, 16}, []int{24, 1}, []string{"binary:0"}},
		{"five axes", kernels.BF16, 0, []int{2, 3, 4, 5, 8}, []int{0, 40, 120, 8, 1}, []int{160, 8, 24, 0, 1}, []string{"binary:1"}},
	} {
		for kind := range kernels.NumBinary {
			t.Run(fmt.Sprintf("%s/%v", c.name, kind), func(t *testing.T) {
				r := newRig(t, b)
				n := kernels.View{Shape: c.shape}.Len()
				fill := func(name string, seed uint64, stride []int) kernels.View {
					v := kernels.View{Offset: c.offset, Shape: c.shape, Stride: stride}
					_, size := v.Extent()
					v.Slot = r.slot(name, c.typ, values(seed, size), size).Slot
					return v
				}
				x, z := fill("a", 1, c.sa), fill("b", 2, c.sb)
				y := r.operand("y", c.typ, c.offset, make([]float64, n), c.shape...)
				r.emit(kernels.Binary, kernels.Attr{Binary: kind}, []kernels.View{y}, x, z)
				if got := r.kernelsOf(3); !slices.Equal(got, c.path) {
					t.Errorf("got the path %v, want %v", got, c.path)
				}
				r.holdToOracle(t)
				r.untouched(t, y)
			})
		}
	}
}

// TestDivisor divides as the kernels do: at multiples of the divisor and beside them.
func TestDivisor(t *testing.T) {
	quotient := func(n, magic, shift uint32) uint32 {
		return uint32((uint64(n)*uint64(magic)>>32 + uint64(n)) >> shift)
	}
	ds := []int{1, 2, 3, 5, 7, 8, 9, 63, 64, 65, 641, 1000, 6700417, 1<<30 - 1, 1 << 30, math.MaxInt32}
	for i := range 200 {
		ds = append(ds, 11+i*i*i*173)
	}
	for _, d := range ds {
		magic, shift := divisor(d)
		for _, k := range []int{0, 1, 2, 3, 1000, math.MaxInt32 / d / 2, math.MaxInt32 / d} {
			for _, n := range []int{k*d - 1, k * d, k*d + 1, k*d + d - 1, math.MaxInt32} {
				if n < 0 || n > math.MaxInt32 {
					continue
				}
				if got := quotient(uint32(n), magic, shift); got != uint32(n/d) {
					t.Fatalf("%d / %d: got %d, want %d", n, d, got, n/d)
				}
			}
		}
	}
}

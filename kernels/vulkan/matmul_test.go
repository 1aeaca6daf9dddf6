package vulkan

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"graft/kernels"
	"graft/kernels/kerneltest"
)

// matmulCase is a shape with what is added to the product.
type matmulCase struct {
	name           string
	batch          []int
	m, k, n        int
	transA, transB bool
	bias, residual bool
	inPlace        bool // c is the residual
	alpha, beta    float32
	types          [4]kernels.DType // a, b, c and residual, bias
}

func matmulCases() []matmulCase {
	f, h, e := kernels.F32, kernels.BF16, kernels.F16
	cases := []matmulCase{
		{name: "one element", m: 1, k: 1, n: 1, alpha: 1},
		{name: "one tile", m: 16, k: 16, n: 16, alpha: 1},
		{name: "below a tile", m: 15, k: 15, n: 15, alpha: 1},
		{name: "above a tile", m: 17, k: 17, n: 17, alpha: 1},
		{name: "primes", m: 37, k: 101, n: 53, alpha: 1},
		{name: "long sum", m: 3, k: 4099, n: 5, alpha: 1},
		{name: "everything", batch: []int{2, 3}, m: 19, k: 33, n: 21, bias: true, residual: true, alpha: 0.5, beta: 1},
		{name: "residual in place", m: 19, k: 33, n: 21, residual: true, inPlace: true, alpha: 2},
		{name: "beta half", m: 18, k: 5, n: 40, alpha: 1, beta: 0.5},
		{name: "bf16", m: 33, k: 70, n: 31, bias: true, alpha: 1, types: [4]kernels.DType{h, h, h, h}},
		{name: "f16", m: 33, k: 70, n: 31, bias: true, alpha: 1, types: [4]kernels.DType{e, e, e, e}},
		{name: "mixed", m: 20, k: 21, n: 22, bias: true, residual: true, alpha: 1, beta: 1, types: [4]kernels.DType{h, f, e, f}},
		{name: "five batch axes", batch: []int{2, 3, 2, 2, 2}, m: 4, k: 5, n: 6, alpha: 1},
	}
	for i := range 4 {
		cases = append(cases, matmulCase{name: fmt.Sprintf("transposed %02b", i), batch: []int{2}, m: 23, k: 18, n: 35,
			transA: i&1 != 0, transB: i&2 != 0, alpha: 1})
	}
	return cases
}

func TestMatMul(t *testing.T) {
	b := open(t)
	for _, c := range matmulCases() {
		t.Run(c.name, func(t *testing.T) { testMatMul(t, b, c) })
	}
}

func testMatMul(t *testing.T, b *Backend, c matmulCase) {
	r := newRig(t, b)
	shape := func(x, y int) []int { return append(slices.Clone(c.batch), x, y) }
	batches := 1
	for _, n := range c.batch {
		batches *= n
	}
	as, bs := shape(c.m, c.k), shape(c.k, c.n)
	if c.transA {
		as = shape(c.k, c.m)
	}
	if c.transB {
		bs = shape(c.n, c.k)
	}
	va, vb, vc := values(1, batches*c.m*c.k), values(2, batches*c.k*c.n), values(3, batches*c.m*c.n)
	vbias, vres := values(4, c.n), values(5, batches*c.m*c.n)
	attr := kernels.Attr{Alpha: c.alpha, Beta: c.beta, TransA: c.transA, TransB: c.transB}
	in := []kernels.View{r.slot("a", c.types[0], va, as...), r.slot("b", c.types[1], vb, bs...)}
	if c.bias {
		attr.Opt |= kernels.WithBias
		in = append(in, r.slot("bias", c.types[3], vbias, c.n))
	}
	out := r.slot("c", c.types[2], vc, shape(c.m, c.n)...)
	if c.residual {
		attr.Opt |= kernels.WithResidual
		if res := out; c.inPlace {
			vres = slices.Clone(vc)
			in = append(in, res)
		} else {
			in = append(in, r.slot("residual", c.types[2], vres, shape(c.m, c.n)...))
		}
	}
	r.emit(kernels.MatMul, attr, []kernels.View{out}, in...)
	r.run(1)

	want, scale := make([]float64, len(vc)), make([]float64, len(vc))
	for i := range want {
		z, m, n := i/(c.m*c.n), i/c.n%c.m, i%c.n
		for k := range c.k {
			ai, bi := (z*c.m+m)*c.k+k, (z*c.k+k)*c.n+n
			if c.transA {
				ai = (z*c.k+k)*c.m + m
			}
			if c.transB {
				bi = (z*c.n+n)*c.k + k
			}
			want[i] += float64(c.alpha) * va[ai] * vb[bi]
			scale[i] += math.Abs(float64(c.alpha) * va[ai] * vb[bi])
		}
		for _, add := range []struct {
			on bool
			x  float64
		}{{c.bias, vbias[n]}, {c.residual, vres[i]}, {c.beta != 0, float64(c.beta) * vc[i]}} {
			if add.on {
				want[i] += add.x
				scale[i] += math.Abs(add.x)
			}
		}
	}
	near(t, "c", c.types[2], r.read(out), want, scale, kernels.Table[kernels.MatMul].C*math.Sqrt(float64(c.k)))
}

// TestMatMulStrides reads and writes columns of wider matrices and repeats a batch, as
// grouped heads do.
func TestMatMulStrides(t *testing.T) {
	r := newRig(t, open(t))
	const kv, groups, m, k, n, wide = 3, 2, 5, 7, 4, 40
	va, vb := values(1, m*kv*groups*k), values(2, kv*k*n)
	a := r.slot("a", kernels.F32, va, m, kv*groups*k)
	bb := r.slot("b", kernels.F32, vb, kv, k, n)
	vc := slices.Repeat([]float64{7}, kv*groups*m*wide)
	out := r.slot("c", kernels.F32, vc, kv*groups*m*wide)
	// a: (kv, groups, m, k) with heads inside a row; b: every group reads the same.
	av := kernels.View{Slot: a.Slot, Shape: []int{kv, groups, m, k}, Stride: []int{groups * k, k, kv * groups * k, 1}}
	bv := kernels.View{Slot: bb.Slot, Shape: []int{kv, groups, k, n}, Stride: []int{k * n, 0, n, 1}}
	cv := kernels.View{Slot: out.Slot, Offset: 3, Shape: []int{kv, groups, m, n}, Stride: []int{groups * m * wide, m * wide, wide, 1}}
	r.emit(kernels.MatMul, kernels.Attr{Alpha: 1}, []kernels.View{cv}, av, bv)
	r.run(1)

	want, scale := slices.Repeat([]float64{7}, len(vc)), make([]float64, len(vc))
	for z := range kv * groups {
		for i := range m {
			for j := range n {
				at := z*m*wide + i*wide + j + 3
				want[at] = 0
				for x := range k {
					term := va[i*kv*groups*k+z*k+x] * vb[(z/groups)*k*n+x*n+j]
					want[at] += term
					scale[at] += math.Abs(term)
				}
			}
		}
	}
	near(t, "c", kernels.F32, r.read(out), want, scale, 2*math.Sqrt(k))
}

// TestMatMulBatchAxes has four batch axes that do not collapse, one more than the
// kernel walks: a is transposed among them, b repeats two of them.
func TestMatMulBatchAxes(t *testing.T) {
	r := newRig(t, open(t))
	dims := []int{2, 3, 2, 4}
	const k, m, n = 3, 2, 5
	va, vb := values(1, 48*m*k), values(2, 6*k*n)
	a, bb := r.slot("a", kernels.F32, va, 48*m*k), r.slot("b", kernels.F32, vb, 6*k*n)
	out := r.slot("c", kernels.F32, make([]float64, 48*m*n), append(slices.Clone(dims), m, n)...)
	sa, sb := []int{6, 12, 144, 36}, []int{0, 15, 45, 0}
	view := func(v kernels.View, strides []int, rows, cols int) kernels.View {
		return kernels.View{Slot: v.Slot, Shape: append(slices.Clone(dims), rows, cols), Stride: append(slices.Clone(strides), cols, 1)}
	}
	r.emit(kernels.MatMul, kernels.Attr{Alpha: 1}, []kernels.View{out}, view(a, sa, m, k), view(bb, sb, k, n))
	r.run(1)
	want, scale := make([]float64, 48*m*n), make([]float64, 48*m*n)
	for i := range want {
		rest, fa, fb := i/(m*n), i/n%m*k, i%n
		for x := 3; x >= 0; x-- {
			fa, fb = fa+rest%dims[x]*sa[x], fb+rest%dims[x]*sb[x]
			rest /= dims[x]
		}
		for x := range k {
			want[i] += va[fa+x] * vb[fb+x*n]
			scale[i] += math.Abs(va[fa+x] * vb[fb+x*n])
		}
	}
	near(t, "c", kernels.F32, r.read(out), want, scale, 2*math.Sqrt(k))
}

// TestMatMulSplit holds launches for shapes beyond the grid to a list: every one starts
// where the one before it ended. It needs no device.
func TestMatMulSplit(t *testing.T) {
	type want struct {
		a, b, c int // first elements
		groups  [3]uint32
	}
	for _, c := range []struct {
		name  string
		shape [3][]int // a, b, c
		trans bool     // both
		want  []want
	}{
		{"batches", [3][]int{{70000, 2, 3}, {70000, 3, 4}, {70000, 2, 4}}, false, []want{
			{0, 0, 0, [3]uint32{1, 1, 65535}},
			{65535 * 6, 65535 * 12, 65535 * 8, [3]uint32{1, 1, 4465}}}},
		{"rows", [3][]int{{65535*32 + 17, 3}, {3, 4}, {65535*32 + 17, 4}}, false, []want{
			{0, 0, 0, [3]uint32{1, 65535, 1}},
			{65535 * 32 * 3, 0, 65535 * 32 * 4, [3]uint32{1, 1, 1}}}},
		{"columns of a transposed product", [3][]int{{3, 2}, {65535*32 + 1, 3}, {2, 65535*32 + 1}}, true, []want{
			{0, 0, 0, [3]uint32{65535, 1, 1}},
			{0, 65535 * 32 * 3, 65535 * 32, [3]uint32{1, 1, 1}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			a, b := r.add("a", kernels.F32, kernels.Input, c.shape[0]...), r.add("b", kernels.F32, kernels.Input, c.shape[1]...)
			out := r.add("c", kernels.F32, kernels.Output, c.shape[2]...)
			x, err := expandInstr(target{}, &r.prog, 0, kernels.Instr{Op: kernels.MatMul, In: []kernels.View{a, b}, Out: []kernels.View{out},
				Attr: kernels.Attr{Alpha: 1, TransA: c.trans, TransB: c.trans}})
			if err != nil {
				t.Fatal(err)
			}
			var got []want
			for _, l := range x.launches {
				got = append(got, want{int(l.addrs[0].offset / 4), int(l.addrs[1].offset / 4), int(l.addrs[4].offset / 4), l.groups})
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// matmulVariant is a choice that tests force on products.
func matmulVariant(name string, buffers, parts int) choice {
	i := slices.IndexFunc(matmulTiles[:], func(t tile) bool { return t.name == name })
	return choice{matmulTiles[i], buffers, parts}
}

// TestMatMulVariants makes products by every variant, whatever the table would choose: in
// all transpositions, at addresses that allow wide loads and ones that do not, with edges
// inside tiles, and c a window whose surroundings must stay.
func TestMatMulVariants(t *testing.T) {
	kerneltest.NeedsLong(t)
	b := open(t)
	f, h, e := kernels.F32, kernels.BF16, kernels.F16
	types := [][3]kernels.DType{{f, f, f}, {h, h, h}, {h, f, f}, {e, e, e}, {f, h, f}, {f, e, h}}
	for i, v := range []choice{matmulVariant("large", 1, 1), matmulVariant("medium", 2, 3), matmulVariant("small", 1, 3), matmulVariant("small", 2, 1)} {
		for trans := range 4 {
			wide := (i+trans+trans/2)%2 == 0
			w := window{t: types[(4*i+trans)%len(types)], m: v.bm + 8, n: v.bn + 16, k: 5*v.bk + 8, transA: trans&1 != 0, transB: trans&2 != 0, pad: 8}
			if !wide {
				w.m, w.n, w.k, w.pad = w.m-3, w.n-5, w.k+1, 3
			}
			t.Run(fmt.Sprintf("%s/%d/%d/%02b/%v%v%v/%v", v.name, v.buffers, v.parts, trans, w.t[0], w.t[1], w.t[2], wide), func(t *testing.T) {
				b.product = &v
				testWindow(t, b, w)
			})
		}
	}
	for i, m := range []int{1, 3, 8} {
		for _, wide := range []bool{true, false} {
			v := choice{rowsTile(m), 1, 1 + i}
			w := window{t: types[(i+2)%len(types)], m: m, n: 40, k: 1208, transB: true, pad: 8}
			if !wide {
				w.n, w.k, w.pad = 37, 1201, 3
			}
			t.Run(fmt.Sprintf("%d rows/%v%v%v/%v", m, w.t[0], w.t[1], w.t[2], wide), func(t *testing.T) {
				b.product = &v
				testWindow(t, b, w)
			})
		}
	}
	b.product = nil
}

// window is a product of matrices that lie inside wider ones.
type window struct {
	t              [3]kernels.DType // a, b, c
	m, n, k        int
	transA, transB bool
	pad            int // elements before the first row and between rows
}

// testWindow multiplies in two batches, with everything that may be added, and compares
// all of c's memory.
func testWindow(t *testing.T, b *Backend, w window) {
	const batch = 2
	r := newRig(t, b)
	matrix := func(name string, seed uint64, typ kernels.DType, rows, cols int) (kernels.View, []float64) {
		ld := cols + w.pad
		v := values(seed, w.pad+batch*rows*ld)
		for i := range v {
			if i < w.pad || (i-w.pad)%ld >= cols {
				v[i] = math.NaN() // no lane may take what lies beside its matrix
			}
		}
		all := r.slot(name, typ, v, len(v))
		return kernels.View{Slot: all.Slot, Offset: w.pad, Shape: []int{batch, rows, cols}, Stride: []int{rows * ld, ld, 1}}, v
	}
	rows := func(trans bool, x, y int) (int, int) {
		if trans {
			return y, x
		}
		return x, y
	}
	am, ak := rows(w.transA, w.m, w.k)
	bk, bn := rows(w.transB, w.k, w.n)
	a, va := matrix("a", 1, w.t[0], am, ak)
	bb, vb := matrix("b", 2, w.t[1], bk, bn)
	c, vc := matrix("c", 3, w.t[2], w.m, w.n)
	res, vr := matrix("residual", 4, w.t[2], w.m, w.n)
	vbias := values(5, w.n)
	bias := r.slot("bias", w.t[0], vbias, w.n)
	r.emit(kernels.MatMul, kernels.Attr{Alpha: 0.5, Beta: 2, TransA: w.transA, TransB: w.transB, Opt: kernels.WithBias | kernels.WithResidual},
		[]kernels.View{c}, a, bb, bias, res)
	r.run(1)

	want, scale := slices.Clone(vc), make([]float64, len(vc))
	at := func(v kernels.View, trans bool, z, i, j int) int {
		i, j = rows(trans, i, j)
		return v.Offset + z*v.Stride[0] + i*v.Stride[1] + j
	}
	for z := range batch {
		for i := range w.m {
			for j := range w.n {
				ci := at(c, false, z, i, j)
				sum, size := 0.0, 0.0
				for k := range w.k {
					term := va[at(a, w.transA, z, i, k)] * vb[at(bb, w.transB, z, k, j)]
					sum, size = sum+term, size+math.Abs(term)
				}
				want[ci] = 0.5*sum + vbias[j] + vr[ci] + 2*vc[ci]
				scale[ci] = 0.5*size + math.Abs(vbias[j]) + math.Abs(vr[ci]) + 2*math.Abs(vc[ci])
			}
		}
	}
	got := r.read(kernels.Dense(c.Slot, 0, len(vc)))
	for i := range got {
		if beside := i < w.pad || (i-w.pad)%c.Stride[1] >= w.n; beside != math.IsNaN(got[i]) {
			t.Fatalf("element %d of c's memory is %v: it wrote beside c, or took what lies beside an operand", i, got[i])
		} else if beside {
			got[i], want[i] = 0, 0
		}
	}
	near(t, "c", w.t[2], got, want, scale, kernels.Table[kernels.MatMul].C*math.Sqrt(float64(w.k)))
}

// TestMatMulChoice holds the table to what it is for, and to devices that allow little.
func TestMatMulChoice(t *testing.T) {
	discrete := target{sharedMemory: 48 << 10, invocations: 1024, units: 96}
	least := target{sharedMemory: 16 << 10, invocations: 128, units: 16}
	for _, c := range []struct {
		name             string
		device           target
		batches, m, n, k int
		want             choice
	}{
		{"ffn of 4096 tokens", discrete, 1, 4096, 14336, 4096, matmulVariant("large", 1, 1)},
		{"square of the device's size", discrete, 1, 1024, 1024, 1024, matmulVariant("large", 1, 1)},
		{"few tiles", discrete, 1, 512, 512, 512, matmulVariant("medium", 2, 1)},
		{"few tiles, long sums", discrete, 1, 512, 512, 8192, matmulVariant("large", 1, 6)},
		{"gradient of a small weight", discrete, 1, 64, 64, 16384, matmulVariant("small", 2, 16)},
		{"many small matrices", discrete, 512, 64, 64, 64, matmulVariant("medium", 2, 1)},
		{"a few rows", discrete, 1, 24, 4096, 4096, matmulVariant("small", 2, 1)},
		{"one tile", discrete, 1, 16, 16, 64, matmulVariant("small", 2, 1)},
		{"one row", discrete, 1, 1, 4096, 4096, choice{rowsTile(1), 1, 1}},
		{"one row of few columns", discrete, 1, 1, 128, 4096, choice{rowsTile(1), 1, 8}},
		{"eight rows", discrete, 1, 8, 128256, 4096, choice{rowsTile(8), 1, 1}},
		{"nine rows", discrete, 1, 9, 4096, 4096, matmulVariant("small", 2, 1)},
		{"the least device", least, 1, 4096, 4096, 4096, matmulVariant("medium", 1, 1)},
		{"no device", target{}, 1, 4096, 4096, 4096, matmulVariant("small", 1, 1)},
	} {
		g := gemm{batch: []int{c.batches}, m: c.m, n: c.n, k: c.k, transB: true}
		for _, o := range []*operand{&g.a, &g.b, &g.c} {
			o.batch = []int{0}
		}
		if got := c.device.choose(&product{gemm: g, axes: g.axes()}); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestMatMulLimits holds the variants to what every device allows, and to tiles that an
// invocation's loads divide without rest.
func TestMatMulLimits(t *testing.T) {
	for m := 1; m <= mostRows; m++ {
		if v := rowsTile(m); v.size > 128 || 4*v.size*v.tn*v.bm > 16<<10 || v.size*v.tn%v.bn != 0 || v.bk != 8*v.size*v.tn/v.bn {
			t.Errorf("%d rows: %+v does not fit every device, or its lanes its step", m, v)
		}
	}
	for i, v := range matmulTiles {
		if v.size*v.tm*v.tn != v.bm*v.bn || v.tm%4 != 0 || v.tn%4 != 0 || v.bk%16 != 0 {
			t.Errorf("%s: %d invocations with %dx%d elements don't make %dx%d", v.name, v.size, v.tm, v.tn, v.bm, v.bn)
		}
		for _, chunk := range []int{4, 8} {
			if v.bm*v.bk%(chunk*v.size) != 0 || v.bn*v.bk%(chunk*v.size) != 0 {
				t.Errorf("%s: chunks of %d don't divide evenly", v.name, chunk)
			}
		}
		if got := v.shared(1); got > mostShared {
			t.Errorf("%s: %d bytes of shared memory, at most %d", v.name, got, mostShared)
		}
		if v.size > 256 {
			t.Errorf("%s: %d invocations, at most 256", v.name, v.size)
		}
		if i == len(matmulTiles)-1 && (v.size > 128 || v.shared(1) > 16<<10) {
			t.Errorf("%s: the last variant must fit every device: %d invocations, %d bytes", v.name, v.size, v.shared(1))
		}
	}
	for shared := 1 << 10; shared <= 64<<10; shared += 1 << 10 {
		for _, v := range matmulTiles {
			if n := v.buffers(target{sharedMemory: shared, invocations: 1024}); n > 0 && v.shared(n) > min(shared, mostShared) {
				t.Errorf("%s: %d buffers take %d bytes of %d", v.name, n, v.shared(n), shared)
			}
		}
	}
}

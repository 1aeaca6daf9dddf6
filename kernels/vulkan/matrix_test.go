package vulkan

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
	"graft/shaders"
)

// lavapipe is what Mesa 26 offers on a processor, hopper about what NVIDIA's driver does.
var (
	lavapipe = matrixOffer{features: vk.MatrixFeatures{Subgroup: true}, preferred: 8,
		sizes: vk.SubgroupSizes{Min: 8, Max: 8, MostSubgroups: 32},
		shapes: []vk.MatrixShape{{M: 8, N: 8, K: 8, A: vk.ComponentF16, B: vk.ComponentF16, Sum: vk.ComponentF16},
			{M: 8, N: 8, K: 8, A: vk.ComponentF16, B: vk.ComponentF16, Sum: vk.ComponentF32}}}
	hopper = matrixOffer{features: vk.MatrixFeatures{Subgroup: true, BFloat16: true, Workgroup: true}, preferred: 32,
		sizes: vk.SubgroupSizes{Min: 32, Max: 32, MostSubgroups: 32}, most: 1024,
		shapes: []vk.MatrixShape{
			{M: 16, N: 8, K: 16, A: vk.ComponentBF16, B: vk.ComponentBF16, Sum: vk.ComponentF32},
			{M: 16, N: 16, K: 16, A: vk.ComponentBF16, B: vk.ComponentBF16, Sum: vk.ComponentF32},
			{M: 16, N: 16, K: 16, A: vk.ComponentF16, B: vk.ComponentF16, Sum: vk.ComponentF16},
			{M: 16, N: 16, K: 16, A: vk.ComponentBF16, B: vk.ComponentBF16, Sum: vk.ComponentF32, Workgroup: true, Invocations: 128},
			{M: 32, N: 16, K: 16, A: vk.ComponentBF16, B: vk.ComponentBF16, Sum: vk.ComponentF32, Workgroup: true, Invocations: 256}}}
)

func TestMatrixCandidates(t *testing.T) {
	intelOffer := lavapipe
	intelOffer.vendor, intelOffer.preferred, intelOffer.sizes = intel, 32, vk.SubgroupSizes{Min: 8, Max: 32, MostSubgroups: 64}
	odd := lavapipe
	odd.shapes = []vk.MatrixShape{{M: 16, N: 12, K: 16, A: vk.ComponentF16, B: vk.ComponentF16, Sum: vk.ComponentF32}}
	for _, c := range []struct {
		name  string
		offer matrixOffer
		typ   int // in matrixTypes
		want  []string
		lacks string
	}{
		{"lavapipe in f16", lavapipe, 1, []string{"f16 KHR 8x8x8 of 8"}, ""},
		{"lavapipe in bf16", lavapipe, 0, nil, "VK_KHR_shader_bfloat16"},
		{"hopper in bf16", hopper, 0, []string{"bf16 NV 32x16x16", "bf16 KHR 16x16x16 of 32"}, ""},
		{"sums in f16 only", hopper, 1, nil, "no matrices of a workgroup in f16, no matrices of a subgroup in f16"},
		{"intel's smallest subgroup", intelOffer, 1, []string{"f16 KHR 8x8x8 of 8"}, ""},
		{"odd size", odd, 1, nil, "no matrices of a subgroup"},
	} {
		paths, lacks := c.offer.candidates(matrixTypes[c.typ].typ, matrixTypes[c.typ].part)
		var got []string
		for _, p := range paths {
			got = append(got, p.String())
		}
		if why := strings.Join(lacks, ", "); !slices.Equal(got, c.want) || !strings.Contains(why, c.lacks) || c.lacks == "" && why != "" {
			t.Errorf("%s: got %v, %q, want %v, %q", c.name, got, why, c.want, c.lacks)
		}
	}
}

// TestMatrixTiles holds what the tables make of known hardware to the kernels' demands.
func TestMatrixTiles(t *testing.T) {
	device := target{sharedMemory: minShared, invocations: minInvocations, units: 96}
	for _, c := range []struct {
		shape    matrixShape
		subgroup int
		tiles    int
	}{
		{matrixShape{m: 16, n: 16, k: 16}, 32, 3},
		{matrixShape{m: 16, n: 16, k: 16}, 64, 3},
		{matrixShape{m: 16, n: 8, k: 16}, 32, 3},
		{matrixShape{m: 8, n: 16, k: 16}, 16, 3},
		{matrixShape{m: 8, n: 8, k: 16}, 8, 3},
		{matrixShape{m: 8, n: 8, k: 8}, 4, 3},
		{matrixShape{m: 32, n: 32, k: 16}, 64, 2},
		{matrixShape{m: 16, n: 16, k: 64}, 32, 0},
	} {
		p := matrixPath{typ: kernels.F16, subgroup: c.subgroup, subgroups: 32}
		p.shapes[0] = c.shape
		all := p.choices(device)
		if len(all) != c.tiles {
			t.Errorf("%v: %d variants, want %d", p, len(all), c.tiles)
		}
		for _, v := range all {
			wm, wn := int(v.cores.spec[3]), int(v.cores.spec[4])
			if n := v.bm / wm * (v.bn / wn); n*c.subgroup != v.size || v.bm%wm != 0 || v.bn%wn != 0 || n > 32 {
				t.Errorf("%v: %d invocations for %d parts of %dx%d", p, v.size, n, wm, wn)
			}
			if wm%c.shape.m != 0 || wn%c.shape.n != 0 || v.bk%c.shape.k != 0 {
				t.Errorf("%v: parts of %dx%dx%d are no whole matrices", p, wm, wn, v.bk)
			}
			if v.bm*v.bk/8%v.size != 0 || v.bn*v.bk/8%v.size != 0 {
				t.Errorf("%v: chunks of %dx%dx%d don't divide among %d", p, v.bm, v.bn, v.bk, v.size)
			}
		}
	}
	for _, typ := range []kernels.DType{kernels.BF16, kernels.F16} {
		for _, workgroup := range []bool{false, true} {
			if p := (matrixPath{typ: typ, workgroup: workgroup}); !hasKernel(p.kernel()) {
				t.Errorf("no kernel %s", p.kernel())
			}
		}
	}
	wide := matrixPath{typ: kernels.BF16, workgroup: true, most: 1024, reserved: 8 << 10, subgroup: 32, subgroups: 32,
		shapes: [2]matrixShape{{32, 16, 16, 256}, {16, 16, 16, 128}}}
	if all := wide.choices(device); len(all) != 3 {
		t.Errorf("%v: %d variants, want 3", wide, len(all))
	}
	if wide.most = 128; len(wide.choices(device)) != 2 {
		t.Errorf("at most 128 rows: %d variants, want 2", len(wide.choices(device)))
	}
	if wide.reserved = 64 << 10; len(wide.choices(device)) != 0 {
		t.Error("the driver takes all shared memory: there are variants")
	}
}

func hasKernel(name string) bool {
	_, err := shaders.SPIRV(name)
	return err == nil
}

// TestMatrixTrials shows that a trial passes what is right and notices what is not.
func TestMatrixTrials(t *testing.T) {
	for _, typ := range []kernels.DType{kernels.BF16, kernels.F16} {
		for i, c := range matrixTrials(typ) {
			prog := &kernels.Program{}
			c.emit(prog, typ)
			var data [3][]byte
			for s := range data {
				data[s] = make([]byte, prog.Slots[s].Bytes())
			}
			c.fill(typ, data[0], data[1], uint32(i))
			size := c.out.Size()
			for m := range c.m {
				for n := range c.n {
					var sum float64
					for k := range c.k {
						sum += half(typ, data[0], c.index(c.transA, c.m, c.k, m, k)) * half(typ, data[1], c.index(c.transB, c.k, c.n, k, n))
					}
					put(c.out, data[2][c.index(false, c.m, c.n, m, n)*size:], float32(sum))
				}
			}
			if err := c.check(typ, data[0], data[1], data[2]); err != nil {
				t.Errorf("%v trial %d: right, but %v", typ, i, err)
			}
			last := data[2][c.index(false, c.m, c.n, c.m-1, c.n-2)*size:]
			was := get(c.out, last)
			for _, wrong := range []float64{math.NaN(), -was, was * 1.03, 0} {
				if put(c.out, last, float32(wrong)); c.check(typ, data[0], data[1], data[2]) == nil && get(c.out, last) != was {
					t.Errorf("%v trial %d: %v instead of %v passes", typ, i, wrong, was)
				}
			}
		}
	}
}

// hasMatrix tells whether the device has a path for matrix cores. It fails without one
// when KERNELTEST_REQUIRE names matrix.
func hasMatrix(t *testing.T, b *Backend) bool {
	t.Helper()
	if len(b.Caps().MatrixTypes) > 0 {
		return true
	}
	if strings.Contains(os.Getenv("KERNELTEST_REQUIRE"), "matrix") {
		t.Fatalf("KERNELTEST_REQUIRE asks for matrix cores: %v", b.Caps().Notes)
	}
	return false
}

// madeBy multiplies matrices of a type, compares, and says by which kernel.
func madeBy(t *testing.T, b *Backend, typ kernels.DType, m, n, k int) (kernel string) {
	t.Helper()
	r := newRig(t, b)
	va, vb := values(1, m*k), values(2, k*n)
	a, bb := r.slot("a", typ, va, m, k), r.slot("b", typ, vb, k, n)
	c := r.slot("c", kernels.F32, make([]float64, m*n), m, n)
	r.emit(kernels.MatMul, kernels.Attr{Alpha: 1}, []kernels.View{c}, a, bb)
	pl, err := b.Plan(&r.prog)
	if err != nil {
		t.Fatal(err)
	}
	r.run(1)
	want, scale := make([]float64, m*n), make([]float64, m*n)
	for i := range m {
		for j := range n {
			for l := range k {
				x := va[i*k+l] * vb[l*n+j]
				want[i*n+j] += x
				scale[i*n+j] += math.Abs(x)
			}
		}
	}
	near(t, "c", kernels.F32, r.read(c), want, scale, kernels.Table[kernels.MatMul].C*math.Sqrt(float64(k)))
	return pl.Dispatches[0].Kernel
}

// TestMatrixTaken demands that products really are made by matrix cores where there are
// some, that too small ones and other types are not, and that the fingerprint tells.
func TestMatrixTaken(t *testing.T) {
	b := open(t)
	hasMatrix(t, b)
	for _, typ := range []kernels.DType{kernels.F32, kernels.BF16, kernels.F16} {
		path, want := b.matrix.of(typ), "matmul"
		if !path.none() {
			want = path.kernel()
			if c := b.Caps(); !slices.Contains(c.MatrixTypes, typ) || !strings.Contains(c.Fingerprint, path.String()) ||
				!strings.Contains(strings.Join(c.Notes, "\n"), path.String()+" PASS") {
				t.Errorf("%v: not in %v, %q, %q", path, c.MatrixTypes, c.Fingerprint, c.Notes)
			}
		}
		for _, shape := range [][3]int{{16, 16, 16}, {17, 33, 40}, {70, 130, 600}, {150, 140, 64}} {
			if got := madeBy(t, b, typ, shape[0], shape[1], shape[2]); got != want {
				t.Errorf("%v %v: made by %s, want %s", typ, shape, got, want)
			}
		}
		if got := madeBy(t, b, typ, 1, 64, 64); got != "matmul" {
			t.Errorf("one row of %v: made by %s", typ, got)
		}
	}
}

// TestMatrixFails opens the device while something changes two bits of every trial's
// result: no path may be taken, and products are right without.
func TestMatrixFails(t *testing.T) {
	offered := hasMatrix(t, open(t))
	b, err := openWith("", setup{tamper: func(c []byte) { c[1] ^= 0x80; c[3] ^= 0xc0 }})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c := b.Caps()
	failed := strings.Contains(strings.Join(c.Notes, "\n"), "FAIL: (24, 40) x (40, 32): element (0, 0) is")
	if len(c.MatrixTypes) != 0 || failed != offered || strings.Contains(c.Fingerprint, "KHR") {
		t.Errorf("types %v, notes %q, fingerprint %q", c.MatrixTypes, c.Notes, c.Fingerprint)
	}
	for _, typ := range []kernels.DType{kernels.F16, kernels.BF16} {
		if got := madeBy(t, b, typ, 64, 64, 64); got != "matmul" {
			t.Errorf("%v: made by %s", typ, got)
		}
	}
}

// TestMatrixOff opens the device as the environment variable asks for.
func TestMatrixOff(t *testing.T) {
	t.Setenv(matrixEnv, "off")
	b := open(t)
	if c := b.Caps(); len(c.MatrixTypes) != 0 || !slices.Equal(c.Notes, []string{"matrix cores: off by GRAFT_MATRIX"}) {
		t.Errorf("types %v, notes %q", c.MatrixTypes, c.Notes)
	}
	if got := madeBy(t, b, kernels.F16, 64, 64, 64); got != "matmul" {
		t.Errorf("made by %s", got)
	}
}

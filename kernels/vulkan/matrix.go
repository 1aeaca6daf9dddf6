package vulkan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
)

// matrixEnv, set to "off", keeps products away from matrix cores.
const matrixEnv = "GRAFT_MATRIX"

// errMatrixLost means that the device stopped working in the test of its matrix cores.
var errMatrixLost = errors.New("the test of the matrix cores ended the device")

// matrixShape is what a device multiplies at once, or with matrices of a workgroup, what
// sizes have to be multiples of in workgroups of some size.
type matrixShape struct{ m, n, k, invocations int }

// matrixPath is a way to multiply matrices of one 16-bit type by matrix cores, with sums
// in f32. The zero path is none.
type matrixPath struct {
	typ       kernels.DType
	workgroup bool           // matrices of a workgroup, not of a subgroup
	shapes    [2]matrixShape // of a subgroup one; of a workgroup one for each size of workgroup
	most      int            // the largest size of a matrix of a workgroup
	reserved  int            // bytes of shared memory that the driver takes
	subgroup  int            // invocations of a subgroup
	subgroups int            // most of them in a workgroup
}

func (p matrixPath) none() bool { return p.shapes[0].m == 0 }

// kernel is the name of the matmul kernel.
func (p matrixPath) kernel() string {
	if p.workgroup {
		return "matmul_cm2_" + p.typ.String()
	}
	return "matmul_cm_" + p.typ.String()
}

// String names the path as the fingerprint and reports do.
func (p matrixPath) String() string {
	s := p.shapes[0]
	if p.workgroup {
		return fmt.Sprintf("%v NV %dx%dx%d", p.typ, s.m, s.n, s.k)
	}
	return fmt.Sprintf("%v KHR %dx%dx%d of %d", p.typ, s.m, s.n, s.k, p.subgroup)
}

// matrixPaths are the paths that a device takes, by type.
type matrixPaths struct{ bf16, f16 matrixPath }

func (ps *matrixPaths) of(typ kernels.DType) *matrixPath {
	switch typ {
	case kernels.BF16:
		return &ps.bf16
	case kernels.F16:
		return &ps.f16
	}
	return &matrixPath{}
}

// matrixTypes are the types that there are kernels for.
var matrixTypes = [...]struct {
	typ  kernels.DType
	part vk.ComponentType
}{{kernels.BF16, vk.ComponentBF16}, {kernels.F16, vk.ComponentF16}}

// matrixOffer is what a driver says of its matrix cores.
type matrixOffer struct {
	features  vk.MatrixFeatures
	shapes    []vk.MatrixShape // of subgroups, then of workgroups
	most      int
	reserved  int
	sizes     vk.SubgroupSizes
	preferred int // size of subgroups that the driver uses by itself
	vendor    uint32
}

func matrixOfferOf(d vk.PhysicalDevice, t traits) (o matrixOffer, err error) {
	o = matrixOffer{features: t.features.Matrix, sizes: d.SubgroupSizes(), preferred: t.props.SubgroupSize, vendor: t.props.VendorID}
	if o.shapes, err = d.MatrixShapes(); err != nil || !o.features.Workgroup {
		return o, err
	}
	var wide []vk.MatrixShape
	wide, o.most, o.reserved, err = d.WorkgroupMatrixShapes()
	o.shapes = append(o.shapes, wide...)
	return o, err
}

// intel is Intel's number. Its drivers have matrices for the smallest size of subgroups
// only, whatever size they prefer elsewhere.
const intel = 0x8086

// candidates lists the paths for a type that are worth a test, best first, and says why
// there are none of a kind.
func (o matrixOffer) candidates(typ kernels.DType, part vk.ComponentType) (paths []matrixPath, lacks []string) {
	if typ == kernels.BF16 && !o.features.BFloat16 {
		return nil, []string{"the driver lacks VK_KHR_shader_bfloat16 with matrices"}
	}
	var sub, wide []vk.MatrixShape
	for _, s := range o.shapes {
		switch {
		case s.A != part || s.B != part || s.Sum != vk.ComponentF32:
		case s.Workgroup:
			wide = append(wide, s)
		case s.M%8 == 0 && s.N%8 == 0 && s.K%8 == 0: // the kernel counts in chunks of eight
			sub = append(sub, s)
		}
	}
	size := o.preferred
	if o.vendor == intel || size < o.sizes.Min || size > o.sizes.Max {
		size = o.sizes.Min
	}
	path := matrixPath{typ: typ, subgroup: size, subgroups: o.sizes.MostSubgroups}
	slices.SortFunc(wide, func(a, b vk.MatrixShape) int { return cmp.Compare(b.Invocations, a.Invocations) })
	if p := path; len(wide) > 0 {
		p.workgroup, p.most, p.reserved = true, o.most, o.reserved
		for i, s := range wide[:min(len(wide), len(p.shapes))] {
			p.shapes[i] = matrixShape{s.M, s.N, s.K, s.Invocations}
		}
		paths = append(paths, p)
	} else if o.features.Workgroup {
		lacks = append(lacks, "no matrices of a workgroup in "+typ.String())
	}
	if len(sub) == 0 || size == 0 {
		return paths, append(lacks, fmt.Sprintf("no matrices of a subgroup in %v with sums in f32", typ))
	}
	// The largest product does the most work an instruction.
	best := slices.MaxFunc(sub, func(a, b vk.MatrixShape) int { return cmp.Compare(a.M*a.N*a.K, b.M*b.N*b.K) })
	path.shapes[0] = matrixShape{m: best.M, n: best.N, k: best.K}
	return append(paths, path), lacks
}

// openMatrix tests what the driver offers and takes for each type the first path that
// passes.
func (b *Backend) openMatrix(t traits, o setup) error {
	if o.plain {
		b.matrixNotes = []string{"matrix cores: off by " + matrixEnv}
		return nil
	}
	if !t.features.Matrix.Subgroup {
		b.matrixNotes = []string{"matrix cores: off: the driver lacks VK_KHR_cooperative_matrix or what it needs"}
		return nil
	}
	offer, err := matrixOfferOf(b.phys, t)
	if err != nil {
		return err
	}
	for _, t := range matrixTypes {
		paths, lacks := offer.candidates(t.typ, t.part)
		note := func(format string, args ...any) {
			b.matrixNotes = append(b.matrixNotes, fmt.Sprintf("matrix cores: %v: ", t.typ)+fmt.Sprintf(format, args...))
		}
		for _, p := range paths {
			err := b.testMatrix(p, o.tamper)
			if errors.Is(err, kernels.ErrDeviceLost) {
				return fmt.Errorf("%w: %v: %w", errMatrixLost, p, err)
			}
			if errors.Is(err, kernels.ErrOutOfMemory) {
				return err // says nothing about the path
			}
			if err != nil {
				note("%v FAIL: %v", p, err)
				continue
			}
			note("%v PASS", p)
			*b.matrix.of(t.typ) = p
			break
		}
		if len(lacks) > 0 {
			note("%s", strings.Join(lacks, ", "))
		}
	}
	return nil
}

// fingerprint names the paths taken, each after a slash.
func (ps matrixPaths) fingerprint() string {
	text := ""
	for _, typ := range ps.types() {
		text += "/" + ps.of(typ).String()
	}
	return text
}

// types lists the types that have a path.
func (ps matrixPaths) types() (types []kernels.DType) {
	for _, t := range matrixTypes {
		if !ps.of(t.typ).none() {
			types = append(types, t.typ)
		}
	}
	return types
}

package vulkan

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"graft/internal/f16"
	"graft/kernels"
)

// matrixTrial is a product that a path must get right before it is taken: a, b (as stored)
// and c with pad elements behind each row. Elements of a and b are of the sizes given,
// with both signs; special puts a NaN and infinities among them.
type matrixTrial struct {
	m, n, k, pad   int
	transA, transB bool
	out            kernels.DType
	sizeA, sizeB   float64
	special        bool
}

// matrixTrials has every variant's tile, with full and ragged edges, every order of
// storage, wide and element-wise loads, and the ends of the type's range.
func matrixTrials(typ kernels.DType) []matrixTrial {
	small, big := 1e-8, 1e5
	if typ == kernels.F16 {
		small, big = 1e-6, 1e4 // subnormal, and near the largest
	}
	return []matrixTrial{
		{m: 24, n: 32, k: 40, out: kernels.F32, sizeA: 1, sizeB: 1, special: true},
		{m: 31, n: 17, k: 33, pad: 1, transA: true, transB: true, out: typ, sizeA: small, sizeB: big},
		{m: 64, n: 40, k: 48, transB: true, out: kernels.F32, sizeA: small, sizeB: small},
		{m: 43, n: 64, k: 51, pad: 3, out: typ, sizeA: 1, sizeB: 1, special: true},
		{m: 128, n: 136, k: 80, transA: true, out: typ, sizeA: 1, sizeB: small},
		{m: 131, n: 129, k: 67, pad: 5, transB: true, out: kernels.F32, sizeA: big, sizeB: big},
	}
}

// testMatrix runs the trials on a path and says what is wrong with it. tamper, if not nil,
// changes what the device has computed before it is looked at.
func (b *Backend) testMatrix(p matrixPath, tamper func(c []byte)) error {
	// Plans depend on the target alone. With one unit they take the largest tile.
	units, matrix := b.units, b.matrix
	defer func() { b.units, b.matrix = units, matrix }()
	b.units, b.matrix = 1, matrixPaths{}
	*b.matrix.of(p.typ) = p

	trials := matrixTrials(p.typ)
	prog := &kernels.Program{Name: "matrix trials"}
	var views [][3]kernels.View
	for _, t := range trials {
		v := t.emit(prog, p.typ)
		views = append(views, v)
	}
	pl, err := b.Plan(prog)
	if err != nil {
		return err
	}
	for _, d := range pl.Dispatches {
		if d.Kernel != p.kernel() {
			return fmt.Errorf("no variant of %s fits the device", p.kernel())
		}
	}
	mem, bind, err := b.bindPersistent(prog)
	if err != nil {
		return err
	}
	defer mem.Close()
	data := make([][]byte, len(prog.Slots))
	for i, s := range prog.Slots {
		data[i] = make([]byte, s.Bytes())
	}
	for i, t := range trials {
		t.fill(p.typ, data[views[i][0].Slot], data[views[i][1].Slot], uint32(i))
	}
	for i, d := range data {
		if _, err := mem.WriteAt(d, bind[kernels.SlotID(i)].Offset); err != nil {
			return err
		}
	}
	ex, err := b.Compile(prog, pl, bind, kernels.Region{})
	if err != nil {
		return err
	}
	defer ex.Close()
	if err := ex.Run(context.Background(), 1); err != nil {
		return err
	}
	for i, t := range trials {
		a, bb, c := views[i][0].Slot, views[i][1].Slot, views[i][2].Slot
		if _, err := mem.ReadAt(data[c], bind[c].Offset); err != nil {
			return err
		}
		if tamper != nil {
			tamper(data[c])
		}
		if err := t.check(p.typ, data[a], data[bb], data[c]); err != nil {
			return err
		}
	}
	return nil
}

// bindPersistent allocates the program's slots, all persistent, in one buffer.
func (b *Backend) bindPersistent(p *kernels.Program) (*Buffer, map[kernels.SlotID]kernels.Region, error) {
	bind, total := map[kernels.SlotID]kernels.Region{}, int64(0)
	for i, s := range p.Slots {
		bind[kernels.SlotID(i)] = kernels.Region{Offset: total, Size: s.Bytes()}
		total = roundUp(total+s.Bytes(), b.align)
	}
	mem, err := b.alloc(total, kernels.Device)
	if err != nil {
		return nil, nil, err
	}
	for id, r := range bind {
		r.Buffer = mem
		bind[id] = r
	}
	return mem, bind, nil
}

// emit appends the product and its slots; the views are those of a, b and c.
func (t matrixTrial) emit(prog *kernels.Program, typ kernels.DType) (views [3]kernels.View) {
	shapes := [3][2]int{{t.m, t.k}, {t.k, t.n}, {t.m, t.n}}
	if t.transA {
		shapes[0] = [2]int{t.k, t.m}
	}
	if t.transB {
		shapes[1] = [2]int{t.n, t.k}
	}
	for i, typ := range [3]kernels.DType{typ, typ, t.out} {
		rows, cols := shapes[i][0], shapes[i][1]
		id := kernels.SlotID(len(prog.Slots))
		prog.Slots = append(prog.Slots, kernels.Slot{Name: fmt.Sprintf("%c%d", "abc"[i], id), DType: typ,
			Shape: []int{rows, cols + t.pad}, Role: kernels.Persistent})
		views[i] = kernels.Dense(id, 0, rows, cols)
		views[i].Stride[0] = cols + t.pad
	}
	prog.Code = append(prog.Code, kernels.Instr{Op: kernels.MatMul, In: views[:2:2], Out: views[2:],
		Attr: kernels.Attr{TransA: t.transA, TransB: t.transB, Alpha: 1}})
	return views
}

// fill gives a and b their elements, and NaN to what lies between their rows.
func (t matrixTrial) fill(typ kernels.DType, a, b []byte, seed uint32) {
	state := seed*2654435761 + 1
	number := func(size float64) float64 {
		state = state*1664525 + 1013904223
		return size * (float64(state>>8)/(1<<23) - 1)
	}
	set := func(data []byte, trans bool, rows, cols int, size float64) {
		for i := range len(data) / 2 {
			putHalf(typ, data, i, math.NaN())
		}
		for i := range rows * cols {
			putHalf(typ, data, t.index(trans, rows, cols, i/cols, i%cols), number(size))
		}
	}
	set(a, t.transA, t.m, t.k, t.sizeA)
	set(b, t.transB, t.k, t.n, t.sizeB)
	if t.special {
		putHalf(typ, a, t.index(t.transA, t.m, t.k, 3, 5), math.NaN())
		putHalf(typ, a, t.index(t.transA, t.m, t.k, t.m-1, t.k-1), math.Inf(1))
		putHalf(typ, b, t.index(t.transB, t.k, t.n, 1, t.n-1), math.Inf(-1))
	}
}

// index is where element (i, j) of a matrix of rows x cols lies.
func (t matrixTrial) index(trans bool, rows, cols, i, j int) int {
	if trans {
		return j*(rows+t.pad) + i
	}
	return i*(cols+t.pad) + j
}

// check holds c to the bound of the operation.
func (t matrixTrial) check(typ kernels.DType, a, b, c []byte) error {
	allowed := kernels.Table[kernels.MatMul].C * kernels.F32.Roundoff() * math.Sqrt(float64(t.k))
	for i := range t.m {
		for j := range t.n {
			var want, scale float64
			for k := range t.k {
				x := half(typ, a, t.index(t.transA, t.m, t.k, i, k)) * half(typ, b, t.index(t.transB, t.k, t.n, k, j))
				want += x
				scale += math.Abs(x)
			}
			got, at := 0.0, t.index(false, t.m, t.n, i, j)
			if t.out == kernels.F32 {
				got = float64(math.Float32frombits(binary.LittleEndian.Uint32(c[4*at:])))
			} else {
				got = half(t.out, c, at)
			}
			if !t.near(got, want, allowed*scale) {
				return fmt.Errorf("(%d, %d) x (%d, %d): element (%d, %d) is %v, should be %v", t.m, t.k, t.k, t.n, i, j, got, want)
			}
		}
	}
	return nil
}

// near tells whether got is want but for an error of the arithmetic and the rounding to
// the type of c.
func (t matrixTrial) near(got, want, arithmetic float64) bool {
	switch {
	case math.IsNaN(want):
		return math.IsNaN(got)
	case math.IsInf(want, 0):
		return got == want
	}
	bound := arithmetic + t.out.Roundoff()*math.Abs(want)
	if t.out == kernels.F16 {
		bound = max(bound, 0x1p-25) // half of the smallest subnormal
	}
	return math.Abs(got-want) <= bound
}

func putHalf(typ kernels.DType, b []byte, i int, x float64) {
	h := f16.ToBF16(float32(x))
	if typ == kernels.F16 {
		h = f16.ToF16(float32(x))
	}
	binary.LittleEndian.PutUint16(b[2*i:], h)
}

func half(typ kernels.DType, b []byte, i int) float64 {
	h := binary.LittleEndian.Uint16(b[2*i:])
	if typ == kernels.F16 {
		return float64(f16.FromF16(h))
	}
	return float64(f16.FromBF16(h))
}

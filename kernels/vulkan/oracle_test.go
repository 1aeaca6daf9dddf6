package vulkan

import (
	"encoding/binary"
	"math"
	"testing"

	"graft/kernels"
	"graft/kernels/ref"
)

// operand adds a persistent slot for a view of the given shape that starts at element
// offset, and fills it with v. What lies before the view is NaN.
func (r *rig) operand(name string, typ kernels.DType, offset int, v []float64, shape ...int) kernels.View {
	r.t.Helper()
	view := kernels.Dense(0, offset, shape...)
	if len(v) != view.Len() {
		r.t.Fatalf("%s: %d values for shape %v", name, len(v), shape)
	}
	view.Slot = r.add(name, typ, kernels.Persistent, offset+len(v)).Slot
	mem := make([]byte, (offset+len(v))*typ.Size())
	for i := range mem {
		mem[i] = 0xff
	}
	ref.WriteView(typ, mem, view, v)
	r.data[view.Slot] = mem
	return view
}

// holdToOracle runs the one instruction of the program and holds its results to package
// ref, within the bound of the operation's row.
func (r *rig) holdToOracle(t *testing.T) {
	t.Helper()
	in := r.prog.Code[0]
	row := &kernels.Table[in.Op]
	d, err := kernels.Check(&r.prog, in)
	if err != nil {
		t.Fatal(err)
	}
	want, err := ref.Eval(&r.prog, in, func(v kernels.View) []float64 {
		return ref.ReadView(r.prog.DType(v), r.data[v.Slot], v)
	})
	if err != nil {
		t.Fatal(err)
	}
	r.run(1)
	for o, v := range in.Out {
		typ := r.prog.DType(v)
		got := ref.ReadView(typ, r.readBytes(v), v)
		c := row.C * math.Sqrt(float64(row.Terms(in, d)))
		near(t, kernels.OutPorts(in)[o].Name, typ, got, want[o].Exact, want[o].Scale, c)
	}
}

func putInt(mem []byte, x int32) { binary.LittleEndian.PutUint32(mem, uint32(x)) }

package vulkan

import (
	"context"
	"os"
	"testing"

	"graft/kernels"
)

// TestWriteOutside writes past the end of a buffer. It is no test of Graft but of the
// GPU-assisted validation that watches the other tests: the lane gpu-assisted of .ci/slow
// asks for it and demands that the layer objects. Without the layer the write would be real.
func TestWriteOutside(t *testing.T) {
	if os.Getenv("GRAFT_WRITE_OUTSIDE") == "" {
		t.Skip("needs GRAFT_WRITE_OUTSIDE, and GPU-assisted validation with it")
	}
	b := open(t)
	const n = 256
	p := kernels.Program{Name: "outside",
		Slots: []kernels.Slot{{Name: "y", DType: kernels.F32, Shape: []int{n}, Role: kernels.Persistent}},
		Code:  []kernels.Instr{{Op: kernels.Fill, Out: []kernels.View{kernels.Dense(0, 0, n)}, Attr: kernels.Attr{Alpha: 1}}},
	}
	buf, err := b.alloc(4*n, kernels.Device)
	if err != nil {
		t.Fatal(err)
	}
	first := &buf.pieces[0]
	first.addr += uint64(first.bytes(b))
	ex, err := b.Compile(&p, must(b.Plan(&p)), map[kernels.SlotID]kernels.Region{0: {Buffer: buf, Size: 4 * n}}, kernels.Region{})
	if err != nil {
		t.Fatal(err)
	}
	if err := ex.Run(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
}

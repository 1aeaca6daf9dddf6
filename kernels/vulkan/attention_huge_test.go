//go:build amd64 || arm64

package vulkan

import (
	"errors"
	"slices"
	"testing"

	"graft/kernels"
)

// TestAttentionHuge splits a batch whose elements a kernel cannot count, and refuses a
// sequence of that kind. It needs no device and no memory.
func TestAttentionHuge(t *testing.T) {
	const far = 1 << 30
	plan := func(batch, position int) (*expansion, error) {
		r := newRig(t, nil)
		big := r.add("big", kernels.BF16, kernels.Persistent, 8*far)
		kv := kernels.View{Slot: big.Slot, Shape: []int{5, 3, 1, 8}, Stride: []int{batch, position, 8, 1}}
		small := func(typ kernels.DType, shape ...int) kernels.View {
			return r.add("small", typ, kernels.Persistent, shape...)
		}
		return expandInstr(target{}, &r.prog, 0, kernels.Instr{Op: kernels.Attention, Attr: kernels.Attr{Scale: 1},
			In:  []kernels.View{small(kernels.BF16, 5, 3, 1, 8), kv, kv, small(kernels.I32, 2, 5, 3)},
			Out: []kernels.View{small(kernels.BF16, 5, 3, 1, 8), small(kernels.F32, 5, 1, 3)}})
	}
	x, err := plan(far, 8)
	if err != nil {
		t.Fatal(err)
	}
	var starts []int64
	sequences := uint32(0)
	for _, l := range x.launches {
		starts = append(starts, l.addrs[1].offset/2)
		sequences += l.groups[2]
	}
	if want := []int64{0, 2 * far, 4 * far}; !slices.Equal(starts, want) || sequences != 5 {
		t.Errorf("launches start at %v with %d sequences, want %v with 5", starts, sequences, want)
	}
	if _, err := plan(8, far); !errors.Is(err, kernels.ErrUnsupported) {
		t.Errorf("a sequence of 2^31 elements: got %v, want ErrUnsupported", err)
	}
}

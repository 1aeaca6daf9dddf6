//go:build amd64 || arm64

package vulkan

import (
	"math"
	"slices"
	"testing"

	"graft/kernels"
)

// TestHugeOperands plans operations over more elements than a kernel's signed indices
// count: they are split, or count rows in 64 bits. It needs no device and no memory.
func TestHugeOperands(t *testing.T) {
	r := newRig(t, nil)
	const n, rows, cols = 5 << 30, 1 << 22, 1 << 10
	const g = 1 << 30
	big := r.add("big", kernels.F32, kernels.Persistent, n)
	other := r.add("other", kernels.F32, kernels.Persistent, n)
	flat := kernels.Dense(big.Slot, 0, 3*g)
	matrix := kernels.Dense(big.Slot, 0, rows, cols)
	out := kernels.Dense(other.Slot, 0, rows, cols)
	gaps := func(v kernels.View) kernels.View {
		v.Stride = []int{1280, 1}
		return v
	}
	ids, freqs := r.add("ids", kernels.I32, kernels.Persistent, rows), r.add("freqs", kernels.F32, kernels.Persistent, 64)
	heads := func(v kernels.View) kernels.View { return kernels.Dense(v.Slot, 0, rows, 8, 128) }
	square := func(slot kernels.SlotID, a, b int) kernels.View {
		return kernels.View{Slot: slot, Shape: []int{1 << 16, 1 << 16}, Stride: []int{a, b}}
	}
	quarters := []int64{0, g, 2 * g, 3 * g}
	var squares []int64 // of 2^14 by 2^14 elements
	for i := range int64(4) {
		for j := range int64(4) {
			squares = append(squares, j<<14+i<<30)
		}
	}
	for _, c := range []struct {
		name string
		in   kernels.Instr
		want []int64 // first elements of big
	}{
		{"unary", kernels.Instr{Op: kernels.Unary, In: []kernels.View{flat}, Out: []kernels.View{kernels.Dense(other.Slot, 0, 3*g)}}, quarters[:3]},
		{"copy of far rows", kernels.Instr{Op: kernels.Copy, In: []kernels.View{{Slot: big.Slot, Shape: []int{2, 2}, Stride: []int{2 * g, 1}}},
			Out: []kernels.View{kernels.Dense(other.Slot, 0, 2, 2)}}, []int64{0, 2 * g}},
		{"transposition", kernels.Instr{Op: kernels.Copy, In: []kernels.View{square(big.Slot, 1, 1<<16)}, Out: []kernels.View{square(other.Slot, 1<<16, 1)}}, squares},
		{"binary", kernels.Instr{Op: kernels.Binary, In: []kernels.View{matrix, {Slot: freqs.Slot, Shape: []int{rows, cols}, Stride: []int{0, 0}}}, Out: []kernels.View{out}}, quarters},
		{"glu", kernels.Instr{Op: kernels.GLU, In: []kernels.View{matrix, matrix}, Out: []kernels.View{out}}, quarters},
		{"glu of rows with gaps", kernels.Instr{Op: kernels.GLU, In: []kernels.View{gaps(kernels.Dense(big.Slot, 0, rows, cols)), matrix}, Out: []kernels.View{out}}, []int64{0}},
		{"gather", kernels.Instr{Op: kernels.Gather, In: []kernels.View{matrix, ids}, Out: []kernels.View{out}}, []int64{0}},
		{"put rows", kernels.Instr{Op: kernels.PutRows, In: []kernels.View{matrix, ids}, Out: []kernels.View{out}}, []int64{0}},
		{"rope", kernels.Instr{Op: kernels.RoPE, In: []kernels.View{heads(big), ids, freqs}, Out: []kernels.View{heads(other)}, Attr: kernels.Attr{Sign: 1, Scale: 1}}, []int64{0}},
		{"sums of rows", kernels.Instr{Op: kernels.Reduce, In: []kernels.View{matrix}, Out: []kernels.View{kernels.Dense(other.Slot, 0, rows, 1)}}, quarters},
		{"sums of columns", kernels.Instr{Op: kernels.Reduce, In: []kernels.View{matrix}, Out: []kernels.View{kernels.Dense(other.Slot, 0, 1, cols)}}, quarters},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := expandInstr(target{}, &r.prog, 0, c.in)
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, l := range x.launches {
				if l.addrs[0].slot == big.Slot {
					got = append(got, l.addrs[0].offset/4)
				}
				if len(l.addrs)*8+len(l.words)*4 > pushBytes {
					t.Errorf("%s: %d addresses and %d words are more than %d bytes", l.kernel, len(l.addrs), len(l.words), pushBytes)
				}
				for _, count := range l.groups {
					if count < 1 || count > maxGroups {
						t.Errorf("%s: %v workgroups", l.kernel, l.groups)
					}
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("launches start at %v, want %v", got, c.want)
			}
		})
	}
}

// TestSplit walks the parts of many axes and finds every element once, in parts that a
// kernel can count.
func TestSplit(t *testing.T) {
	for _, axes := range [][]axis{
		{},
		{{5, []int{1, 3}}},
		{{2, []int{900, 1}}, {3, []int{300, 2}}, {4, []int{70, 6}}, {5, []int{13, 24}}, {2, []int{6, 120}}, {3, []int{2, 240}}},
	} {
		for most := 1; most <= 5; most++ {
			seen := map[[2]int]int{}
			split(axes, most, []int{7, 11}, func(part []axis, at []int) {
				if len(part) > most {
					t.Errorf("a part has %d axes, want at most %d", len(part), most)
				}
				for i := range count(part) {
					e := [2]int{at[0], at[1]}
					for k := len(part) - 1; k >= 0; k-- {
						e[0] += i % part[k].size * part[k].stride[0]
						e[1] += i % part[k].size * part[k].stride[1]
						i /= part[k].size
					}
					seen[e]++
				}
			})
			if len(seen) != count(axes) {
				t.Errorf("%d axes in parts of %d: %d elements, want %d", len(axes), most, len(seen), count(axes))
			}
			for e, n := range seen {
				if n != 1 {
					t.Errorf("element %v is in %d parts", e, n)
				}
			}
		}
	}
	total, parts := 0, 0
	huge := []axis{{1 << 20, []int{1 << 13, 0}}, {3, []int{1 << 11, 1}}, {1 << 11, []int{1, 1}}}
	split(huge, 3, []int{0, 0}, func(part []axis, at []int) {
		total += count(part)
		parts++
		for k := range at {
			if count(part) > maxPiece || reach(part, k) > math.MaxInt32 {
				t.Errorf("a part has %d elements that reach over %d", count(part), reach(part, k))
			}
		}
	})
	if total != count(huge) || parts < 8 {
		t.Errorf("%d elements in %d parts, want %d", total, parts, count(huge))
	}
}

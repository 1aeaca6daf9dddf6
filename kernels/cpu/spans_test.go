package cpu

import (
	"bytes"
	"fmt"
	"testing"

	"graft/kernels"
)

// TestSpansAreTrue runs every step of one instruction of each operation alone,
// with NaNs in every byte that it does not say it reads: the result must be
// the same, and no byte may change that it does not say it writes.
func TestSpansAreTrue(t *testing.T) {
	be := open(t, 1, false)
	for _, trials := range [][]*trial{elementTrials(b16), reduceTrials(f32), indexTrials(b16), matmulTrials(b16),
		modelTrials(b16), attentionTrials(f32), lossTrials(f32), optimTrials(b16)} {
		for _, tr := range trials {
			if kernels.CostOf(tr.p, tr.p.Code[0], kernels.Dims{}).Bytes > 1<<20 {
				continue
			}
			t.Run(tr.name, func(t *testing.T) { checkSpans(t, be, tr) })
		}
	}
}

// image is a copy of all memory of a program: its slots, then its arena.
type image [][]byte

func (m image) clone() image {
	c := make(image, len(m))
	for i := range m {
		c[i] = bytes.Clone(m[i])
	}
	return c
}

// keep marks the bytes of spans.
func (m image) keep(spans []kernels.Span) [][]bool {
	marks := make([][]bool, len(m))
	for i := range m {
		marks[i] = make([]bool, len(m[i]))
	}
	for _, s := range spans {
		at := int(s.Slot)
		if s.Slot == kernels.Scratch {
			at = len(m) - 1
		}
		for b := s.Lo; b < s.Hi; b++ {
			marks[at][b] = true
		}
	}
	return marks
}

func checkSpans(t *testing.T, be *Backend, tr *trial) {
	t.Helper()
	pl, err := be.Plan(tr.p)
	if err != nil {
		t.Fatal(err)
	}
	bind := map[kernels.SlotID]kernels.Region{}
	var mem image
	for i, data := range append(tr.content(5), make([]byte, pl.TempBytes)) {
		mem = append(mem, bytes.Clone(data))
		if i < len(tr.p.Slots) {
			mem[i] = alignedBytes(t, data)
			bind[kernels.SlotID(i)] = kernels.Region{Buffer: &buffer{mem: mem[i]}, Size: int64(len(data))}
		}
	}
	last := len(mem) - 1
	mem[last] = alignedBytes(t, mem[last])
	poison(mem[last])
	x, err := be.Compile(tr.p, pl, bind, kernels.Region{Buffer: &buffer{mem: mem[last]}, Size: pl.TempBytes})
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range pl.Dispatches {
		before := mem.clone()
		runStep(x.(*exec), i)
		after := mem.clone()
		reads, writes := mem.keep(d.Reads), mem.keep(d.Writes)
		poisoned := before.clone()
		for s := range mem {
			for b := range mem[s] {
				if !reads[s][b] {
					poisoned[s][b] = 0xff
				}
			}
			copy(mem[s], poisoned[s])
		}
		runStep(x.(*exec), i)
		if err := compareStep(before, after, poisoned, mem, writes); err != nil {
			t.Fatalf("dispatch %d %s: %v", i, d.Kernel, err)
		}
		for s := range mem {
			copy(mem[s], after[s])
		}
	}
}

func alignedBytes(t *testing.T, data []byte) []byte {
	t.Helper()
	b, err := heap(int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	copy(b, data)
	return b
}

// runStep runs one step with NaNs in the goroutine's buffer.
func runStep(x *exec, i int) {
	for k := range x.locals[0] {
		x.locals[0][k] = negInf - negInf
	}
	for task := range x.steps[i].tasks {
		x.bound[i](task, x.locals[0])
	}
}

func compareStep(before, after, poisoned, got image, writes [][]bool) error {
	for s := range got {
		for b, v := range got[s] {
			switch {
			case !writes[s][b] && v != poisoned[s][b]:
				return fmt.Errorf("slot %d byte %d is no declared output and changed", s, b)
			case writes[s][b] && v != after[s][b] && (v != poisoned[s][b] || after[s][b] != before[s][b]):
				return fmt.Errorf("slot %d byte %d depends on bytes that are not declared as read", s, b)
			}
		}
	}
	return nil
}

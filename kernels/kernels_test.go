package kernels

import (
	"errors"
	"math"
	"testing"
)

// TestTableComplete walks the table: every op has a row, its own name, a
// formula, a cost and a bound, and its aliases name its ports.
func TestTableComplete(t *testing.T) {
	seen := map[string]bool{}
	for op := range NumOps {
		r := Table[op]
		if r.Op != op || r.Name == "" || r.Doc == "" || r.FLOPs == nil || r.Terms == nil || len(r.Out) == 0 {
			t.Errorf("op %d: incomplete row %+v", op, r.Name)
		}
		if seen[r.Name] {
			t.Errorf("%s: name used twice", r.Name)
		}
		seen[r.Name] = true
		if r.C < 0 || r.C > 4 {
			t.Errorf("%s: C = %v, want 0 to 4", r.Name, r.C)
		}
		has := func(ports []Port, name string) bool {
			for _, p := range ports {
				if p.Name == name {
					return true
				}
			}
			return false
		}
		for _, a := range r.Alias {
			if !has(r.Out, a.Out) || !has(r.In, a.In) {
				t.Errorf("%s: alias %v names no port", r.Name, a)
			}
		}
	}
}

// matmul is a program with one product of the given stored shapes.
func matmul(a, b, c []int, at Attr) *Program {
	p := &Program{Name: "t"}
	sa := p.AddSlot(Slot{Name: "a", Shape: a, Role: Input})
	sb := p.AddSlot(Slot{Name: "b", Shape: b, Role: Input})
	sc := p.AddSlot(Slot{Name: "c", Shape: c, Role: Output})
	p.Code = []Instr{{Op: MatMul, Attr: at, In: []View{Dense(sa, 0, a...), Dense(sb, 0, b...)}, Out: []View{Dense(sc, 0, c...)}}}
	return p
}

func TestValidate(t *testing.T) {
	broken := func(f func(*Program)) *Program {
		p := matmul([]int{2, 3}, []int{3, 4}, []int{2, 4}, Attr{Alpha: 1})
		f(p)
		return p
	}
	for _, c := range []struct {
		name string
		p    *Program
		ok   bool
	}{
		{"nn", matmul([]int{2, 3}, []int{3, 4}, []int{2, 4}, Attr{Alpha: 1}), true},
		{"nt", matmul([]int{2, 3}, []int{4, 3}, []int{2, 4}, Attr{Alpha: 1, TransB: true}), true},
		{"tn batch", matmul([]int{5, 3, 2}, []int{5, 3, 4}, []int{5, 2, 4}, Attr{Alpha: 1, TransA: true}), true},
		{"inner", matmul([]int{2, 3}, []int{2, 4}, []int{2, 4}, Attr{Alpha: 1}), false},
		{"batch", matmul([]int{5, 2, 3}, []int{4, 3, 4}, []int{5, 2, 4}, Attr{Alpha: 1}), false},
		{"beta reads an unwritten output", matmul([]int{2, 3}, []int{3, 4}, []int{2, 4}, Attr{Alpha: 1, Beta: 1}), false},
		{"negative size", broken(func(p *Program) { p.Slots[0].Shape[0] = -2 }), false},
		{"overflow", broken(func(p *Program) { p.Slots[0].Shape = []int{math.MaxInt, math.MaxInt} }), false},
		{"view past the end", broken(func(p *Program) { p.Code[0].In[0].Offset = 1 }), false},
		{"unknown slot", broken(func(p *Program) { p.Code[0].In[0].Slot = 9 }), false},
		{"writes an input", broken(func(p *Program) { p.Slots[2].Role = Input }), false},
		{"reads a temp", broken(func(p *Program) { p.Slots[0].Role = Temp }), false},
		{"integer operand", broken(func(p *Program) { p.Slots[0].DType = I32 }), false},
		{"no alias", broken(func(p *Program) {
			p.Code[0].Out[0] = Dense(0, 0, 2, 4)
			p.Slots[0].Shape = []int{2, 4}
			p.Slots[0].Role = Persistent
		}), false},
		{"unknown option", broken(func(p *Program) { p.Code[0].Attr.Opt = WithDocuments }), false},
		{"missing operand", broken(func(p *Program) { p.Code[0].Attr.Opt = WithBias }), false},
		{"column stride", broken(func(p *Program) { p.Code[0].In[0].Stride = []int{1, 2} }), false},
		{"repeating output", broken(func(p *Program) { p.Code[0].Out[0].Stride[0] = 0 }), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.p.Validate()
			if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrProgram) {
				t.Errorf("got %v, want ok %v", err, c.ok)
			}
		})
	}
}

func TestRowStride(t *testing.T) {
	for _, c := range []struct {
		name   string
		v      View
		inner  int
		stride int
		ok     bool
	}{
		{"dense", Dense(0, 0, 2, 3, 4), 1, 4, true},
		{"dense heads", Dense(0, 0, 2, 3, 4), 2, 12, true},
		{"columns", View{Shape: []int{5, 4}, Stride: []int{10, 1}}, 1, 10, true},
		{"repeated", View{Shape: []int{5, 4}, Stride: []int{0, 1}}, 1, 0, true},
		{"two strides", View{Shape: []int{2, 5, 4}, Stride: []int{100, 10, 1}}, 1, 0, false},
		{"inner strided", View{Shape: []int{5, 4}, Stride: []int{1, 5}}, 1, 0, false},
		{"one row", View{Shape: []int{1, 4}, Stride: []int{7, 1}}, 1, 4, true},
	} {
		if s, ok := c.v.RowStride(c.inner); s != c.stride || ok != c.ok {
			t.Errorf("%s: got %d, %v, want %d, %v", c.name, s, ok, c.stride, c.ok)
		}
	}
}

func TestOverlap(t *testing.T) {
	col := func(off, n int) View { return View{Offset: off, Shape: []int{5, n}, Stride: []int{10, 1}} }
	for _, c := range []struct {
		name string
		v, w View
		want bool
	}{
		{"columns apart", col(0, 4), col(4, 6), false},
		{"columns shared", col(0, 5), col(4, 6), true},
		{"ranges apart", Dense(0, 0, 8), Dense(0, 8, 8), false},
		{"ranges meet", Dense(0, 0, 9), Dense(0, 8, 8), true},
		{"other slot", Dense(0, 0, 9), Dense(1, 0, 9), false},
		{"wrapping row", col(8, 4), col(0, 1), true},
	} {
		if got := Overlap(c.v, c.w); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

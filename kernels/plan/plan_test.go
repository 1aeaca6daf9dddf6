package plan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
)

// randomProgram is a program of unary, binary and matmul steps over temps of
// several sizes, some written in pieces through views into the middle.
func randomProgram(r *rand.Rand, steps int) *kernels.Program {
	p := &kernels.Program{Name: fmt.Sprintf("random%d", steps)}
	sizes := []int{16, 64, 64, 256}
	x := p.AddSlot(kernels.Slot{Name: "x", Shape: []int{256}, Role: kernels.Input})
	written := []kernels.View{}
	full := map[kernels.SlotID]bool{x: true}
	for i := range steps {
		n := sizes[r.IntN(len(sizes))]
		src := kernels.Dense(x, r.IntN(256-n+1), n)
		for range 4 { // prefer a recent temp that is large enough
			if len(written) > 0 {
				w := written[max(0, len(written)-1-r.IntN(6))]
				if w.Len() >= n && full[w.Slot] {
					src = kernels.Dense(w.Slot, 0, n)
					if r.IntN(3) == 0 {
						src.Offset = r.IntN(w.Len() - n + 1)
					}
				}
			}
		}
		y := kernels.Dense(p.AddSlot(kernels.Slot{Name: fmt.Sprintf("t%d", i), Shape: []int{n}}), 0, n)
		switch r.IntN(3) {
		case 0:
			p.Code = append(p.Code, kernels.Instr{Op: kernels.Unary, In: []kernels.View{src}, Out: []kernels.View{y}, Attr: kernels.Attr{Unary: kernels.ReLU}})
		case 1:
			p.Code = append(p.Code, kernels.Instr{Op: kernels.Binary, In: []kernels.View{src, kernels.Dense(x, 0, n)}, Out: []kernels.View{y}})
		case 2: // in two halves
			for h := range 2 {
				a, b := src, y
				a.Shape, b.Shape = []int{n / 2}, []int{n / 2}
				a.Offset += h * n / 2
				b.Offset += h * n / 2
				p.Code = append(p.Code, kernels.Instr{Op: kernels.Unary, In: []kernels.View{a}, Out: []kernels.View{b}})
			}
		}
		written, full[y.Slot] = append(written, y), true
	}
	last := written[len(written)-1]
	out := p.AddSlot(kernels.Slot{Name: "out", Shape: []int{last.Len()}, Role: kernels.Output})
	p.Code = append(p.Code, kernels.Instr{Op: kernels.Copy, In: []kernels.View{last}, Out: []kernels.View{kernels.Dense(out, 0, last.Len())}})
	return p
}

func viewSpan(p *kernels.Program, v kernels.View) kernels.Span {
	lo, hi := v.Extent()
	n := int64(p.DType(v).Size())
	return kernels.Span{Slot: v.Slot, Lo: int64(lo) * n, Hi: int64(hi) * n}
}

// dispatches makes one dispatch per instruction.
func dispatches(p *kernels.Program, l Layout, scratch []int64) []kernels.Dispatch {
	var ds []kernels.Dispatch
	for i, in := range p.Code {
		d := kernels.Dispatch{Instr: i, Kernel: in.Op.String()}
		for _, v := range in.In {
			d.Reads = append(d.Reads, viewSpan(p, v))
		}
		for _, v := range in.Out {
			d.Writes = append(d.Writes, viewSpan(p, v))
		}
		if scratch != nil && scratch[i] > 0 {
			d.Writes = append(d.Writes, kernels.Span{Slot: kernels.Scratch, Lo: l.Scratch[i], Hi: l.Scratch[i] + scratch[i]})
		}
		ds = append(ds, d)
	}
	return ds
}

func randomScratch(r *rand.Rand, n int) []int64 {
	s := make([]int64, n)
	for i := range s {
		if r.IntN(3) == 0 {
			s[i] = int64(1 + r.IntN(500))
		}
	}
	return s
}

// interpret runs a program of the kinds above on bytes of the arena, giving
// each element a name that tells how it was computed: what memory reuse breaks
// shows in the output.
func interpret(t *testing.T, p *kernels.Program, l Layout, scratch []int64) []uint64 {
	t.Helper()
	mem := make([]uint64, l.Bytes/4+1)
	own := map[kernels.SlotID][]uint64{}
	at := func(v kernels.View) []uint64 {
		if p.Slots[v.Slot].Role == kernels.Temp {
			o := l.Offsets[v.Slot]/4 + int64(v.Offset)
			return mem[o : o+int64(v.Len())]
		}
		if own[v.Slot] == nil {
			own[v.Slot] = make([]uint64, p.Slots[v.Slot].Len())
			for i := range own[v.Slot] {
				own[v.Slot][i] = uint64(i) + 1
			}
		}
		return own[v.Slot][v.Offset : v.Offset+v.Len()]
	}
	for i, in := range p.Code {
		if scratch != nil {
			for k := int64(0); k < scratch[i]; k += 4 {
				mem[(l.Scratch[i]+k)/4] = 0xdead
			}
		}
		out := at(in.Out[0])
		for e := range out {
			h := uint64(1469598103934665603)
			for _, v := range in.In {
				h = (h ^ at(v)[e]) * 1099511628211
			}
			if in.Op == kernels.Copy {
				h = at(in.In[0])[e]
			}
			out[e] = h
		}
	}
	s, _ := p.Find("out")
	return own[s]
}

func TestMemoryRandomPrograms(t *testing.T) {
	inPlace, moved, saved := 0, 0, 0.0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := randomProgram(r, 5+r.IntN(40))
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		scratch := randomScratch(r, len(p.Code))
		l, err := Memory(p, Options{Align: 64, Scratch: scratch})
		if err != nil {
			t.Fatal(err)
		}
		checkLayout(t, p, l, scratch, 64)
		sep, err := Memory(p, Options{Align: 64, Scratch: scratch, Separate: true})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := interpret(t, p, l, scratch), interpret(t, p, sep, scratch); !slices.Equal(got, want) {
			t.Fatalf("seed %d: shared memory changes the result\n%v%+v", seed, p, l)
		}
		// Piece sizes at which a slot or scratch just fits, and is not aligned.
		for _, piece := range []int64{1024, 1088, 2048} {
			cut, err := Memory(p, Options{Align: 64, Piece: piece, Scratch: scratch})
			if err != nil {
				t.Fatal(err)
			}
			checkLayout(t, p, cut, scratch, 64)
			checkPieces(t, p, cut, scratch, piece)
			if got, want := interpret(t, p, cut, scratch), interpret(t, p, sep, scratch); !slices.Equal(got, want) {
				t.Fatalf("seed %d: pieces of %d bytes change the result\n%v%+v", seed, piece, p, cut)
			}
			if cut.Bytes > l.Bytes {
				moved++
			}
		}
		inPlace += l.InPlace
		saved += float64(l.Bytes) / float64(sep.Bytes) / 200
	}
	if moved == 0 {
		t.Error("no block was moved out of a border of pieces in 600 layouts")
	}
	if inPlace == 0 {
		t.Error("no output took over an input in 200 programs")
	}
	if saved > 0.6 {
		t.Errorf("arenas hold on average %.2f of the sum, want at most 0.6", saved)
	}
}

// checkLayout holds a layout to its definition: whatever is alive at the same
// instruction shares no bytes, unless an output took over an input there.
func checkLayout(t *testing.T, p *kernels.Program, l Layout, scratch []int64, align int64) {
	t.Helper()
	life := lifetimes(p)
	for a := range p.Slots {
		if temp(p, kernels.SlotID(a)) && l.Offsets[a]%align != 0 {
			t.Fatalf("slot %d lies at %d, not aligned to %d", a, l.Offsets[a], align)
		}
		if !temp(p, kernels.SlotID(a)) {
			if l.Offsets[a] != -1 {
				t.Fatalf("slot %d is %v and has offset %d", a, p.Slots[a].Role, l.Offsets[a])
			}
			continue
		}
		for b := range a {
			if !temp(p, kernels.SlotID(b)) || !life[a].meets(life[b]) {
				continue
			}
			if l.Offsets[a] < l.Offsets[b]+p.Slots[b].Bytes() && l.Offsets[b] < l.Offsets[a]+p.Slots[a].Bytes() &&
				!(l.Offsets[a] == l.Offsets[b] && (life[a].first == life[b].last || life[b].first == life[a].last)) {
				t.Fatalf("slots %d and %d are alive together and share bytes\n%v", a, b, p)
			}
		}
		for i, n := range scratch {
			s := span{i, i}
			if n > 0 && life[a].meets(s) && l.Offsets[a] < l.Scratch[i]+n && l.Scratch[i] < l.Offsets[a]+p.Slots[a].Bytes() {
				t.Fatalf("scratch of instruction %d meets slot %d", i, a)
			}
		}
	}
}

// checkPieces fails where something straddles a multiple of piece.
func checkPieces(t *testing.T, p *kernels.Program, l Layout, scratch []int64, piece int64) {
	t.Helper()
	check := func(what string, off, size int64) {
		if off/piece != (off+size-1)/piece {
			t.Fatalf("%s lies at [%d, %d), in two pieces of %d", what, off, off+size, piece)
		}
	}
	for i, s := range p.Slots {
		if l.Offsets[i] >= 0 {
			check(s.Name, l.Offsets[i], s.Bytes())
		}
	}
	for i, n := range scratch {
		if n > 0 {
			check(fmt.Sprintf("scratch of %d", i), l.Scratch[i], n)
		}
	}
}

func TestMemoryTooLargeForPiece(t *testing.T) {
	p := chain(100, func(a, b kernels.View) kernels.Instr {
		return kernels.Instr{Op: kernels.Unary, In: []kernels.View{a}, Out: []kernels.View{b}}
	})
	for _, c := range []struct {
		name    string
		scratch []int64
		piece   int64
		want    string
	}{
		{"slot", nil, 399, `temporary "a" [100] takes 400 bytes, one piece of a buffer holds 399`},
		{"scratch", []int64{0, 500, 0}, 400, `scratch of instruction 1 (unary) takes 500 bytes`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Memory(p, Options{Piece: c.piece, Scratch: c.scratch})
			if !errors.Is(err, kernels.ErrOutOfMemory) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrOutOfMemory with %q", err, c.want)
			}
		})
	}
}

func TestBarriersRandomPrograms(t *testing.T) {
	caught := 0
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := randomProgram(r, 5+r.IntN(30))
		scratch := randomScratch(r, len(p.Code))
		l, err := Memory(p, Options{Align: 16, Scratch: scratch})
		if err != nil {
			t.Fatal(err)
		}
		ds := dispatches(p, l, scratch)
		groups := Barriers(p, ds, l.Offsets)
		if err := Check(p, ds, groups, l.Offsets, l.Bytes); err != nil {
			t.Fatal(err)
		}
		for g := 1; g < len(groups); g++ {
			less := slices.Delete(slices.Clone(groups), g, g+1)
			if err := Check(p, ds, less, l.Offsets, l.Bytes); err == nil {
				t.Fatalf("seed %d: Check accepts the plan without barrier %d of %v", seed, g, groups)
			}
			caught++
		}
	}
	if caught == 0 {
		t.Error("no program had a barrier")
	}
}

// chain is x -> a -> b -> out with the given instruction in the middle.
func chain(n int, mid func(a, b kernels.View) kernels.Instr) *kernels.Program {
	p := &kernels.Program{Name: "chain"}
	x := kernels.Dense(p.AddSlot(kernels.Slot{Name: "x", Shape: []int{n}, Role: kernels.Input}), 0, n)
	a := kernels.Dense(p.AddSlot(kernels.Slot{Name: "a", Shape: []int{n}}), 0, n)
	b := kernels.Dense(p.AddSlot(kernels.Slot{Name: "b", Shape: []int{n}}), 0, n)
	o := kernels.Dense(p.AddSlot(kernels.Slot{Name: "o", Shape: []int{n}, Role: kernels.Output}), 0, n)
	p.Code = []kernels.Instr{
		{Op: kernels.Copy, In: []kernels.View{x}, Out: []kernels.View{a}},
		mid(a, b),
		{Op: kernels.Copy, In: []kernels.View{b}, Out: []kernels.View{o}},
	}
	return p
}

func TestInPlace(t *testing.T) {
	unary := func(a, b kernels.View) kernels.Instr {
		return kernels.Instr{Op: kernels.Unary, In: []kernels.View{a}, Out: []kernels.View{b}}
	}
	binary := func(second func(kernels.View) kernels.View) func(a, b kernels.View) kernels.Instr {
		return func(a, b kernels.View) kernels.Instr {
			return kernels.Instr{Op: kernels.Binary, In: []kernels.View{a, second(a)}, Out: []kernels.View{b}}
		}
	}
	for _, c := range []struct {
		name string
		p    *kernels.Program
		want bool
	}{
		{"unary", chain(8, unary), true},
		{"x + x", chain(8, binary(func(a kernels.View) kernels.View { return a })), true},
		{"x + x[0]", chain(8, binary(func(a kernels.View) kernels.View { a.Stride = []int{0}; return a })), false},
		{"copy may not", chain(8, func(a, b kernels.View) kernels.Instr {
			return kernels.Instr{Op: kernels.Copy, In: []kernels.View{a}, Out: []kernels.View{b}}
		}), false},
		{"used later", func() *kernels.Program {
			p := chain(8, unary)
			o := p.AddSlot(kernels.Slot{Name: "o2", Shape: []int{8}, Role: kernels.Output})
			p.Code = append(p.Code, kernels.Instr{Op: kernels.Copy, In: []kernels.View{kernels.Dense(1, 0, 8)}, Out: []kernels.View{kernels.Dense(o, 0, 8)}})
			return p
		}(), false},
		{"another place in the slot", func() *kernels.Program {
			p := chain(8, unary)
			p.Slots[1].Shape = []int{12}
			p.Code[0].Out[0].Offset, p.Code[1].In[0].Offset = 4, 4
			return p
		}(), false},
		{"another type", func() *kernels.Program {
			p := chain(8, unary)
			p.Slots[2].DType = kernels.BF16
			p.Code[1].In[0] = kernels.Dense(1, 0, 8)
			return p
		}(), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := Memory(c.p, Options{Align: 4})
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Offsets[1] == l.Offsets[2]; got != c.want {
				t.Errorf("got in place %v, want %v (%+v)", got, c.want, l)
			}
		})
	}
}

func TestCheckErrors(t *testing.T) {
	p := chain(8, func(a, b kernels.View) kernels.Instr {
		return kernels.Instr{Op: kernels.Unary, In: []kernels.View{a}, Out: []kernels.View{b}}
	})
	l, err := Memory(p, Options{Align: 4})
	if err != nil {
		t.Fatal(err)
	}
	ds := dispatches(p, l, nil)
	for _, c := range []struct {
		name   string
		change func(ds []kernels.Dispatch, groups []int) []int
		want   string
	}{
		{"no barrier", func(_ []kernels.Dispatch, _ []int) []int { return []int{0} }, `dispatch 1 unary (instruction 1) reads "a"`},
		{"no first group", func(_ []kernels.Dispatch, g []int) []int { return g[1:] }, "do not start"},
		{"out of order", func(_ []kernels.Dispatch, _ []int) []int { return []int{0, 2, 1} }, "out of order"},
		{"past the slot", func(d []kernels.Dispatch, g []int) []int { d[0].Reads[0].Hi = 33; return g }, "span [0, 33) of 32 bytes"},
		{"past the arena", func(d []kernels.Dispatch, g []int) []int {
			d[0].Writes = append(d[0].Writes, kernels.Span{Slot: kernels.Scratch, Lo: 0, Hi: 1000})
			return g
		}, "in the arena"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ds := slices.Clone(ds)
			for i := range ds {
				ds[i].Reads, ds[i].Writes = slices.Clone(ds[i].Reads), slices.Clone(ds[i].Writes)
			}
			groups := c.change(ds, Barriers(p, ds, l.Offsets))
			err := Check(p, ds, groups, l.Offsets, l.Bytes)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestMemoryBadScratch(t *testing.T) {
	p := randomProgram(rand.New(rand.NewPCG(1, 1)), 3)
	for _, s := range [][]int64{{1}, append(make([]int64, len(p.Code)-1), -1)} {
		if _, err := Memory(p, Options{Scratch: s}); err == nil {
			t.Errorf("scratch %v: got no error", s)
		}
	}
}

func TestReport(t *testing.T) {
	p := &kernels.Program{}
	for _, s := range []kernels.Slot{
		{Name: "weights/a", Shape: []int{1 << 28}, Role: kernels.Persistent},
		{Name: "weights/b", Shape: []int{1 << 28}, Role: kernels.Persistent},
		{Name: "moments/a", Shape: []int{1 << 29}, Role: kernels.Persistent},
		{Name: "bare", Shape: []int{1 << 27}, Role: kernels.Persistent},
	} {
		p.AddSlot(s)
	}
	r := Report{Memory: 8 << 30}
	r.Add(p, kernels.Plan{TempBytes: 1 << 30, Scratch: 1 << 29})
	r.Add(p, kernels.Plan{TempBytes: 1 << 29, HostBytes: 1 << 29})
	want := "weights 2.5, moments 2.0, activations 0.5, scratch 0.5, host 0.5 = 6.0 of 8.0 GiB"
	if got := r.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	r.Memory = 5 << 30
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "of 5.0 GiB") {
		t.Errorf("got %v, want it to say of 5.0 GiB", err)
	}
}

package kerneltest

import (
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/plan"
	"graft/kernels/ref"
)

// listed is the oracle, running the dispatches that a plan lists in their order. edit
// changes its plans.
type listed struct {
	kernels.Backend
	edit func(*kernels.Plan)
}

func (b listed) Plan(p *kernels.Program) (kernels.Plan, error) {
	pl, err := b.Backend.Plan(p)
	pl.Groups = plan.Barriers(p, pl.Dispatches, pl.Offsets)
	b.edit(&pl)
	return pl, err
}

func (b listed) Compile(p *kernels.Program, pl kernels.Plan, bind map[kernels.SlotID]kernels.Region, temp kernels.Region) (kernels.Exec, error) {
	q := *p
	q.Code = nil
	for _, d := range pl.Dispatches {
		q.Code = append(q.Code, p.Code[d.Instr])
	}
	return b.Backend.Compile(&q, pl, bind, temp)
}

// TestBarriersNotice breaks plans in every way that the proof is for.
func TestBarriersNotice(t *testing.T) {
	p := &kernels.Program{Name: "two chains"}
	const n = 6
	slot := func(name string, role kernels.Role) kernels.View {
		return kernels.Dense(p.AddSlot(kernels.Slot{Name: name, Role: role, Shape: []int{n}}), 0, n)
	}
	add := func(op kernels.Op, a kernels.Attr, y kernels.View, in ...kernels.View) {
		p.Code = append(p.Code, kernels.Instr{Op: op, Attr: a, In: in, Out: []kernels.View{y}})
	}
	x, out, sum := slot("x", kernels.Input), slot("out", kernels.Output), slot("sum", kernels.Output)
	a, b := slot("a", kernels.Temp), slot("b", kernels.Temp)
	// 0 and 1 may run at once, 2 needs both, 3 and 4 only 2.
	add(kernels.Unary, kernels.Attr{Alpha: 2}, a, x)
	add(kernels.Unary, kernels.Attr{Alpha: 3}, b, x)
	add(kernels.Binary, kernels.Attr{Binary: kernels.Sub}, out, a, b)
	add(kernels.Unary, kernels.Attr{Alpha: 1, Beta: 1}, sum, out)
	add(kernels.Unary, kernels.Attr{Alpha: 5}, a, out)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		edit func(*kernels.Plan)
		want string
	}{
		{"nothing", func(*kernels.Plan) {}, ""},
		{"a missing barrier", func(pl *kernels.Plan) { pl.Groups = slices.Delete(pl.Groups, 1, 2) }, "backwards in each barrier group: other bits"},
		{"a barrier too many", func(pl *kernels.Plan) { pl.Groups = slices.Insert(pl.Groups, 1, 1) }, "barrier before dispatch 1 is not needed"},
		{"a read not declared", func(pl *kernels.Plan) { pl.Dispatches[2].Reads = pl.Dispatches[2].Reads[:1] }, "dispatch 2, part 0 of instruction 2, binary: byte"},
		{"part of a read not declared", func(pl *kernels.Plan) { pl.Dispatches[3].Reads[0].Hi -= 4 }, "dispatch 3"},
		{"a write not declared", func(pl *kernels.Plan) { pl.Dispatches[1].Writes = nil }, "dispatch 1, part 0 of instruction 1, unary: it writes what"},
		{"part of a write not declared", func(pl *kernels.Plan) { pl.Dispatches[3].Writes[0].Lo += 4 }, "dispatch 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Barriers(listed{ref.New(ref.Options{}), c.edit}, p, nil, true)
			if c.want == "" {
				if want := (BarrierReport{Dispatches: 5, Groups: 3, Largest: 2, Noticed: 2}); err != nil || r != want {
					t.Errorf("got %+v, %v, want %+v", r, err, want)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

package kerneltest

import (
	"testing"

	"graft/kernels"
	"graft/kernels/ref"
)

func openRef() (kernels.Backend, error) { return ref.New(ref.Options{}), nil }

func TestOracle(t *testing.T) { Run(t, openRef, Options{Name: "ref"}) }

// TestTable walks the table: every row has an oracle, cases, and in-place
// cases for each of its aliases.
func TestTable(t *testing.T) {
	for op := range kernels.NumOps {
		cases := Cases(op, false)
		if len(cases) < 5 {
			t.Errorf("%v: %d cases, want at least 5", op, len(cases))
		}
		aliased := map[kernels.Alias]bool{}
		for _, c := range cases {
			in := c.Instr()
			for o, v := range in.Out {
				for i, w := range in.In {
					if v.Same(w) {
						aliased[kernels.Alias{Out: kernels.OutPorts(in)[o].Name, In: kernels.InPorts(in)[i].Name}] = true
					}
				}
			}
		}
		for _, a := range kernels.Table[op].Alias {
			if !aliased[a] {
				t.Errorf("%v: no case with %s in place of %s", op, a.Out, a.In)
			}
		}
		if len(cases) > 0 {
			if _, err := cases[0].oracle(); err != nil {
				t.Errorf("%v: no oracle: %v", op, err)
			}
		}
	}
}

package plan

import (
	"fmt"
	"strings"

	"graft/kernels"
)

// Kind is a line of a report.
type Kind struct {
	Name  string
	Bytes int64
}

// Report says where the bytes of one or more programs go. Programs of a run
// share persistent slots, which are matched by name, and one temporary region,
// which counts once with its largest size.
type Report struct {
	// KindOf names the kind of a persistent slot; nil takes what stands before
	// the first slash or colon of its name, and "weights" where there is none.
	KindOf func(kernels.Slot) string
	// Memory is what the device has; 0 is unknown.
	Memory int64

	kinds         []Kind
	seen          map[string]bool
	temp, scratch int64
	io, host      int64
}

// Add counts a program and its plan.
func (r *Report) Add(p *kernels.Program, pl kernels.Plan) {
	if r.seen == nil {
		r.seen = make(map[string]bool)
	}
	kindOf := r.KindOf
	if kindOf == nil {
		kindOf = prefix
	}
	for _, s := range p.Slots {
		if s.Role != kernels.Persistent || r.seen[s.Name] {
			continue
		}
		r.seen[s.Name] = true
		r.count(kindOf(s), s.Bytes())
	}
	if pl.TempBytes > r.temp {
		r.temp, r.scratch = pl.TempBytes, pl.Scratch
	}
	r.io += pl.IOBytes
	r.host += pl.HostBytes
}

func (r *Report) count(kind string, n int64) {
	for i := range r.kinds {
		if r.kinds[i].Name == kind {
			r.kinds[i].Bytes += n
			return
		}
	}
	r.kinds = append(r.kinds, Kind{kind, n})
}

func prefix(s kernels.Slot) string {
	if i := strings.IndexAny(s.Name, "/:"); i > 0 {
		return s.Name[:i]
	}
	return "weights"
}

// Kinds lists persistent kinds in order of appearance, then activations,
// scratch, inputs and outputs, and host memory; empty ones are left out.
func (r *Report) Kinds() []Kind {
	all := append([]Kind{}, r.kinds...)
	for _, k := range []Kind{
		{"activations", r.temp - r.scratch}, {"scratch", r.scratch}, {"inputs and outputs", r.io}, {"host", r.host},
	} {
		if k.Bytes > 0 {
			all = append(all, k)
		}
	}
	return all
}

// Total is the sum of all kinds.
func (r *Report) Total() int64 {
	var n int64
	for _, k := range r.Kinds() {
		n += k.Bytes
	}
	return n
}

// Err is nil, or says that the total does not fit.
func (r *Report) Err() error {
	if r.Memory > 0 && r.Total() > r.Memory {
		return fmt.Errorf("plan: needs more memory than the device has: %s", r)
	}
	return nil
}

// String is one line: "weights 2.1, moments 3.5, activations 0.9 = 6.5 of 16.0 GiB".
func (r *Report) String() string {
	unit, size := "MiB", float64(1<<20)
	if r.Total() >= 1<<30 {
		unit, size = "GiB", 1<<30
	}
	var b strings.Builder
	for i, k := range r.Kinds() {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %.1f", k.Name, float64(k.Bytes)/size)
	}
	fmt.Fprintf(&b, " = %.1f", float64(r.Total())/size)
	if r.Memory > 0 {
		fmt.Fprintf(&b, " of %.1f", float64(r.Memory)/size)
	}
	return b.String() + " " + unit
}

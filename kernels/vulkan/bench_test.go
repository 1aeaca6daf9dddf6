package vulkan

import (
	"context"
	"testing"

	"graft/kernels"
)

// BenchmarkRun is the cost of a step that does next to nothing: submit, one workgroup,
// wait.
func BenchmarkRun(b *testing.B) {
	r := newRig(b, open(b))
	y := r.slot("y", kernels.F32, []float64{0}, 1)
	r.emit(kernels.Fill, kernels.Attr{Alpha: 1}, []kernels.View{y})
	ex := r.compile()
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := ex.Run(ctx, 1); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecord is the cost of planning and recording one dispatch of a program of a
// thousand.
func BenchmarkRecord(b *testing.B) {
	const n = 1000
	r := newRig(b, open(b))
	y := r.slot("y", kernels.F32, []float64{0}, 1)
	for range n {
		r.emit(kernels.Fill, kernels.Attr{Alpha: 1}, []kernels.View{y})
	}
	r.compile().Close()
	for b.Loop() {
		pl, err := r.b.Plan(&r.prog)
		if err != nil {
			b.Fatal(err)
		}
		ex, err := r.b.Compile(&r.prog, pl, r.bind, kernels.Region{})
		if err != nil {
			b.Fatal(err)
		}
		ex.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/dispatch")
}

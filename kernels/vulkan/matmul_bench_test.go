package vulkan

import (
	"context"
	"fmt"
	"testing"

	"graft/kernels"
)

// BenchmarkMatMul is a square product of weights stored (N, K), by each variant and by the
// table's choice, and one row, as generation has it. Matrices are small on a software
// driver, where only the order of magnitude means anything.
func BenchmarkMatMul(b *testing.B) {
	dev := open(b)
	size := 4096
	if dev.info.Software {
		size = 256
	}
	all := append([]tile{{name: "chosen"}}, matmulTiles[:]...)
	for _, typ := range []kernels.DType{kernels.BF16, kernels.F32} {
		for _, v := range append(all, rowsTile(1)) {
			m := size
			if v.name == "rows" {
				m = 1
			}
			b.Run(fmt.Sprintf("%s/%v/%dx%dx%d", v.name, typ, m, size, size), func(b *testing.B) {
				if v.name != "chosen" {
					buffers := 1
					if v.name != "rows" {
						buffers = v.buffers(dev.target())
					}
					if buffers == 0 {
						b.Skip("the device lacks shared memory or invocations")
					}
					dev.product = &choice{v, buffers, 1}
					defer func() { dev.product = nil }()
				}
				benchMatMul(b, dev, typ, m, size)
			})
		}
	}
}

func benchMatMul(b *testing.B, dev *Backend, typ kernels.DType, m, size int) {
	r := newRig(b, dev)
	a := r.slot("a", typ, values(1, m*size), m, size)
	w := r.slot("w", typ, values(2, size*size), size, size)
	c := r.slot("c", typ, make([]float64, m*size), m, size)
	r.emit(kernels.MatMul, kernels.Attr{Alpha: 1, TransB: true}, []kernels.View{c}, a, w)
	ex := r.compile()
	defer ex.Close()
	ctx := context.Background()
	run := func() {
		if err := ex.Run(ctx, 1); err != nil {
			b.Fatal(err)
		}
	}
	run() // a driver may compile at the first run
	for b.Loop() {
		run()
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(2*float64(m)*float64(size)*float64(size)/seconds/1e9, "GFLOP/s")
	b.ReportMetric(float64((2*m*size+size*size)*typ.Size())/seconds/1e9, "GB/s")
}

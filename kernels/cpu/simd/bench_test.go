package simd

import "testing"

// BenchmarkElements runs the kernels that memory should limit on arrays that
// no cache holds, beside a copy: the figures to compare are those of MB/s,
// which count the bytes read and written.
func BenchmarkElements(b *testing.B) {
	const n = 1 << 22
	_, o := newOperands(n, 0)
	x, y, z, w, v := o.f[0], o.f[1], o.f[2], o.f[3], o.f[4]
	squares(o) // y
	h := o.h[0]
	kernels := []struct {
		name  string
		bytes int // of an element
		run   func(t *Tier)
	}{
		{"Copy", 8, func(*Tier) { copy(x, z) }},
		{"Add", 12, func(t *Tier) { t.Add(x, y, z) }},
		{"Affine", 8, func(t *Tier) { t.Affine(x, z, 0.5, 1) }},
		{"Exp", 8, func(t *Tier) { t.Exp(x, z) }},
		{"Log", 8, func(t *Tier) { t.Log(x, y) }},
		{"Tanh", 8, func(t *Tier) { t.Tanh(x, z) }},
		{"Sigmoid", 8, func(t *Tier) { t.Sigmoid(x, z) }},
		{"SiLU", 12, func(t *Tier) { t.SiLU(x, z, w) }},
		{"GELU", 12, func(t *Tier) { t.GELU(x, z, w) }},
		{"SiLUBwd", 20, func(t *Tier) { t.SiLUBwd(x, v, z, w, y) }},
		{"GELUBwd", 20, func(t *Tier) { t.GELUBwd(x, v, z, w, y) }},
		{"AdamW", 28, func(t *Tier) { t.AdamW(x, z, y, w, 1, 0.9, 0.1, 0.999, 0.001, 1, 1e-4, 2, 1e-8) }},
		{"SumSq", 4, func(t *Tier) { t.SumSq(x) }},
		{"WidenBF16", 6, func(t *Tier) { t.WidenBF16(x, h) }},
		{"NarrowBF16", 6, func(t *Tier) { t.NarrowBF16(h, z) }},
		{"WidenF16", 6, func(t *Tier) { t.WidenF16(x, h) }},
		{"NarrowF16", 6, func(t *Tier) { t.NarrowF16(h, z) }},
	}
	rows := func(f func(x, z []float32)) {
		const width = 512
		for i := 0; i < n; i += width {
			f(x[i:i+width], z[i:i+width])
		}
	}
	ones := o.f[5][:512]
	kernels = append(kernels, []struct {
		name  string
		bytes int
		run   func(t *Tier)
	}{
		{"Softmax of 512", 8, func(t *Tier) {
			rows(func(x, z []float32) { t.Scale(x, x, 1/t.ExpSum(x, z, 0.5, 0.5*t.MaxOf(z))) })
		}},
		{"RMSNorm of 512", 8, func(t *Tier) {
			rows(func(x, z []float32) { t.NormRow(x, z, ones, t.SumSq(z)) })
		}},
		{"RoPE of 64", 8, func(t *Tier) {
			rows(func(x, z []float32) {
				t.Rotate(x, z, ones[:32], ones[32:64], 8, 64)
			})
		}},
	}...)
	for _, tier := range Tiers() {
		for _, k := range kernels {
			b.Run(tier.Name+"/"+k.name, func(b *testing.B) {
				b.SetBytes(int64(k.bytes) * n)
				for b.Loop() {
					k.run(tier)
				}
			})
		}
	}
}

package main

import "graft/bench/versus"

var (
	shape8B    = versus.Shape{Name: "8B", Width: 4096, FFN: 14336, Layers: 32, Heads: 32, KV: 8, Head: 128, Vocab: 128256}
	shape1B    = versus.Shape{Name: "1B", Width: 2048, FFN: 8192, Layers: 16, Heads: 32, KV: 8, Head: 64, Vocab: 128256, Tied: true}
	shapeSmall = versus.Shape{Name: "tiny", Width: 64, FFN: 172, Layers: 4, Heads: 4, KV: 2, Head: 16, Vocab: 512, Tied: true}
)

// allCases lists the cases, those that matter most first: a budget may end the run
// early. small ones take seconds on a software driver.
func allCases(small bool) []versus.Case {
	if small {
		s := shapeSmall
		cs := []versus.Case{
			versus.MatMul("square", "bf16", 96, 96, 96, false, true),
			versus.MatMul("square", "f32", 96, 96, 96, false, true),
			versus.MatMul("dW", "bf16", s.Width, 128, s.FFN, true, false),
			versus.LinearCE(64, s, "bf16", false),
			versus.LinearCE(64, s, "bf16", true),
			versus.AdamW(10000),
			versus.Step(s, "bf16", false, 2, 64),
			versus.Step(s, "bf16", true, 2, 64),
		}
		return append(cs, versus.Attention(2, 64, s, "bf16")...)
	}
	s := shape8B
	const rows = 4096
	cs := []versus.Case{
		versus.MatMul("square", "bf16", 4096, 4096, 4096, false, true),
		versus.MatMul("square", "bf16", 8192, 8192, 8192, false, true),
		versus.Step(shape8B, "bf16", false, 1, 4096),
		versus.Step(shape1B, "bf16", false, 4, 2048),
		versus.Step(shape1B, "bf16", true, 4, 2048),
		versus.MatMul("square", "f32", 4096, 4096, 4096, false, true),
		versus.MatMul("square", "f32", 8192, 8192, 8192, false, true),
		versus.LinearCE(rows, s, "bf16", false),
		versus.LinearCE(rows, s, "bf16", true),
		versus.AdamW(436 << 20),
	}
	cs = append(cs, versus.Attention(2, rows, s, "bf16")...)
	return append(cs,
		versus.MatMul("qkv", "bf16", rows, s.Width, (s.Heads+2*s.KV)*s.Head, false, true),
		versus.MatMul("up", "bf16", rows, s.Width, s.FFN, false, true),
		versus.MatMul("down", "bf16", rows, s.FFN, s.Width, false, true),
		versus.MatMul("up dX", "bf16", rows, s.FFN, s.Width, false, false),
		versus.MatMul("up dW", "bf16", s.FFN, rows, s.Width, true, false),
		versus.MatMul("decode", "bf16", 1, s.Width, s.FFN, false, true),
	)
}

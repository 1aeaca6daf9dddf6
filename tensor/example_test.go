package tensor_test

import (
	"context"
	"fmt"
	"math"

	"graft/kernels"
	_ "graft/kernels/cpu"
	"graft/tensor"
	"graft/tensor/optim"
)

// A two-layer perceptron learns exclusive or. The graph is built once; each
// step replays the same program.
func Example_perceptron() {
	be, err := kernels.Open("cpu")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer be.Close()

	flat, err := optim.NewFlat([]optim.Param{{Name: "w1", Shape: []int{8, 2}}, {Name: "b1", Shape: []int{8}}, {Name: "w2", Shape: []int{2, 8}}}, kernels.F32, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	g := tensor.New("xor")
	x, y := g.Input("x", kernels.F32, 4, 2), g.Input("y", kernels.I32, 4)
	w1, b1, w2 := flat.Weight(g, "w1"), flat.Weight(g, "b1"), flat.Weight(g, "w2")
	h := g.Tanh(g.Linear(x, w1, b1, nil, tensor.TransB))              // (4, 8)
	loss := g.Mean(g.CrossEntropy(g.MatMul(h, w2, tensor.TransB), y)) // (1)
	into := []*tensor.Tensor{flat.Grad(g, "w1"), flat.Grad(g, "b1"), flat.Grad(g, "w2")}
	g.GradInto(loss, []*tensor.Tensor{w1, b1, w2}, into)
	g.AddSum(g.Param(optim.LossSlot, kernels.F32, 1), loss)
	g.Output("loss", loss)
	flat.Update(g, optim.Defaults())

	prog, err := g.Compile()
	if err != nil {
		fmt.Println(err)
		return
	}
	s := tensor.NewStore(be)
	defer s.Close()
	if err := s.Declare(prog); err != nil {
		fmt.Println(err)
		return
	}
	if err := s.Alloc(); err != nil {
		fmt.Println(err)
		return
	}
	ex, err := s.Compile(prog)
	if err != nil {
		fmt.Println(err)
		return
	}
	set := func(name string, v any) {
		id, _ := prog.Find(name)
		data, _ := tensor.Encode(prog.Slots[id], v)
		copy(ex.Input(id), data)
	}
	set("x", []float32{0, 0, 0, 1, 1, 0, 1, 1})
	set("y", []int32{0, 1, 1, 0})
	set(optim.HyperSlot, []float32{kernels.HyperLR: 0.05, kernels.HyperLen - 1: 0})
	start := make([]float32, flat.Len())
	for i := range start {
		start[i] = float32(math.Sin(float64(3*i + 1))) // anything that breaks the symmetry
	}
	data, _ := tensor.Encode(kernels.Slot{Shape: []int{flat.Len()}}, start)
	if err := s.Write(optim.WeightSlot, 0, data); err != nil {
		fmt.Println(err)
		return
	}
	if err := ex.Run(context.Background(), 500); err != nil {
		fmt.Println(err)
		return
	}
	id, _ := prog.Find("loss")
	final := tensor.Decode(kernels.F32, ex.Output(id)).([]float32)[0]
	fmt.Println("learned:", final < 0.01)
	// Output: learned: true
}

// The gradient of an attention block, computed once.
func Example_attention() {
	be, err := kernels.Open("cpu")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer be.Close()
	g := tensor.New("attention")
	q := g.Param("q", kernels.F32, 1, 3, 2, 4) // (B, T, H, D)
	k := g.Param("k", kernels.F32, 1, 3, 1, 4) // (B, T, K, D)
	docs := g.Input("docs", kernels.I32, 2, 1, 3)
	o := g.Attention(q, k, k, tensor.Visible{Documents: docs}, 0.5, 0)
	dq := g.Grad(g.Sum(g.Mul(o, o)), q)[0]
	g.Output("dq", dq)
	values := tensor.Values{"docs": []int32{0, 0, 2, 2, 2, 3}} // rows 0 and 1 are a document, row 2 is one
	for name, n := range map[string]int{"q": 24, "k": 12} {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(math.Cos(float64(i)))
		}
		values[name] = x
	}
	out, err := tensor.Eval(be, g, values)
	if err != nil {
		fmt.Println(err)
		return
	}
	grad := out.Float32s("dq")
	fmt.Println(g.Err(), len(grad))
	// A query that sees only itself has nothing to choose: no gradient.
	fmt.Println("first row zero:", grad[0] == 0, "second row zero:", grad[8] == 0, "third row zero:", grad[16] == 0)
	// Output:
	// <nil> 24
	// first row zero: true second row zero: false third row zero: true
}

// gaussian is a new operation made of existing ones: exp(-x^2). It needs no
// kernel and no gradient of its own.
func gaussian(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
	return g.Exp(g.Affine(g.Mul(x, x), -1, 0))
}

func Example_compositeOperation() {
	be, err := kernels.Open("cpu")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer be.Close()
	g := tensor.New("gaussian")
	x := g.Param("x", kernels.F32, 3)
	y := gaussian(g, x)
	g.Output("y", y)
	g.Output("dx", g.Grad(y, x)[0]) // -2x exp(-x^2)
	out, err := tensor.Eval(be, g, tensor.Values{"x": []float32{-1, 0.5, 2}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.4f\n%.4f\n", out.Float32s("y"), out.Float32s("dx"))
	// Output:
	// [0.3679 0.7788 0.0183]
	// [0.7358 -0.7788 -0.0733]
}

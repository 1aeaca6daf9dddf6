package kernels

import (
	"fmt"
	"math"
	"slices"
)

func checkCopy(p *Program, in Instr, _ Dims) error {
	x, y := p.DType(in.In[0]), p.DType(in.Out[0])
	if x != y && (!x.Float() || !y.Float()) {
		return fmt.Errorf("no cast from %v to %v", x, y)
	}
	return nil
}

func checkUnary(_ *Program, in Instr, _ Dims) error {
	if in.Attr.Unary >= NumUnary {
		return fmt.Errorf("unknown function %v", in.Attr.Unary)
	}
	return nil
}

func checkBinary(_ *Program, in Instr, _ Dims) error {
	if in.Attr.Binary >= NumBinary {
		return fmt.Errorf("unknown function %v", in.Attr.Binary)
	}
	return nil
}

func checkReduce(_ *Program, in Instr, _ Dims) error {
	x, y := in.In[0].Shape, in.Out[0].Shape
	if in.Attr.Reduce >= NumReduce {
		return fmt.Errorf("unknown function %v", in.Attr.Reduce)
	}
	if in.Attr.Reduce == Max && in.Attr.Beta != 0 {
		return fmt.Errorf("max does not accumulate (Beta %v)", in.Attr.Beta)
	}
	ok := len(x) == len(y)
	for i := 0; ok && i < len(x); i++ {
		ok = y[i] == x[i] || y[i] == 1
	}
	if !ok {
		return fmt.Errorf("x has shape %v, y %v: sizes must be equal or 1 in y", x, y)
	}
	return nil
}

// MatMulShape returns the sizes of c = op(a) op(b): rows, inner, columns.
func MatMulShape(in Instr) (m, k, n int) {
	c := in.Out[0].Shape
	return c[len(c)-2], matmulK(in), c[len(c)-1]
}

func matmulK(in Instr) int {
	a := in.In[0].Shape
	if in.Attr.TransA {
		return a[len(a)-2]
	}
	return a[len(a)-1]
}

func checkMatMul(p *Program, in Instr, _ Dims) error {
	a, b, c := in.In[0].Shape, in.In[1].Shape, in.Out[0].Shape
	if len(c) < 2 || len(a) != len(c) || len(b) != len(c) {
		return fmt.Errorf("a has shape %v, b %v, c %v: want equal ranks of at least 2", a, b, c)
	}
	r := len(c) - 2
	am, ak, bk, bn := a[r], a[r+1], b[r], b[r+1]
	if in.Attr.TransA {
		am, ak = ak, am
	}
	if in.Attr.TransB {
		bk, bn = bn, bk
	}
	if ak != bk {
		return fmt.Errorf("inner dimensions differ: %v x %v (TransA %v, TransB %v)", a, b, in.Attr.TransA, in.Attr.TransB)
	}
	if am != c[r] || bn != c[r+1] || !slices.Equal(a[:r], c[:r]) || !slices.Equal(b[:r], c[:r]) {
		return fmt.Errorf("%v x %v does not give %v (TransA %v, TransB %v)", a, b, c, in.Attr.TransA, in.Attr.TransB)
	}
	if v, ok := In(in, "bias"); ok && !slices.Equal(v.Shape, []int{bn}) {
		return fmt.Errorf("bias has shape %v, want [%d]", v.Shape, bn)
	}
	if v, ok := In(in, "residual"); ok {
		if !slices.Equal(v.Shape, c) {
			return fmt.Errorf("residual has shape %v, want %v", v.Shape, c)
		}
		if p.DType(v) != p.DType(in.Out[0]) {
			return fmt.Errorf("residual is %v, c is %v", p.DType(v), p.DType(in.Out[0]))
		}
	}
	return nil
}

func checkEmbedBwd(_ *Program, _ Instr, d Dims) error {
	if d.Get('P') != d.Get('N')+1 {
		return fmt.Errorf("starts has %d elements, want N + 1 = %d", d.Get('P'), d.Get('N')+1)
	}
	return nil
}

func checkRoPE(_ *Program, in Instr, d Dims) error {
	if 2*d.Get('R') > d.Get('D') {
		return fmt.Errorf("%d frequencies for head size %d", d.Get('R'), d.Get('D'))
	}
	if s := in.Attr.Sign; s != 1 && s != -1 {
		return fmt.Errorf("Sign is %v, want 1 or -1", s)
	}
	return scaled(in)
}

func checkGLU(_ *Program, in Instr, _ Dims) error {
	if in.Attr.Act >= NumActivations {
		return fmt.Errorf("unknown activation %v", in.Attr.Act)
	}
	return nil
}

// scaled refuses a forgotten Scale and a meaningless cap or window.
func scaled(in Instr) error {
	a := in.Attr
	if a.Scale == 0 || math.IsNaN(float64(a.Scale)) || math.IsInf(float64(a.Scale), 0) {
		return fmt.Errorf("Scale is %v, want a finite factor that is not 0", a.Scale)
	}
	if !(a.SoftCap >= 0) || a.Window < 0 {
		return fmt.Errorf("SoftCap %v, Window %d: want 0 or more", a.SoftCap, a.Window)
	}
	return nil
}

func checkAttention(_ *Program, in Instr, d Dims) error {
	if d.Get('H')%d.Get('K') != 0 {
		return fmt.Errorf("%d heads over %d key heads", d.Get('H'), d.Get('K'))
	}
	if in.Attr.Opt&WithRows == 0 && d.Get('T') != d.Get('S') {
		return fmt.Errorf("%d queries and %d keys need rows", d.Get('T'), d.Get('S'))
	}
	return scaled(in)
}

func checkSoftmax(_ *Program, in Instr, d Dims) error {
	opt := in.Attr.Opt
	if opt&WithRows != 0 && opt&WithDocuments == 0 {
		return fmt.Errorf("rows without documents")
	}
	if opt&WithDocuments != 0 && opt&WithRows == 0 && d.Get('T') != d.Get('S') {
		return fmt.Errorf("%d queries and %d keys need rows", d.Get('T'), d.Get('S'))
	}
	if in.Op == Softmax && in.Attr.Window != 0 && opt&WithDocuments == 0 {
		return fmt.Errorf("Window %d without documents", in.Attr.Window)
	}
	return scaled(in)
}

func checkLoss(_ *Program, in Instr, _ Dims) error { return scaled(in) }

func checkOptim(_ *Program, in Instr, _ Dims) error {
	a := in.Attr
	if !(a.Beta1 >= 0 && a.Beta1 < 1 && a.Beta2 >= 0 && a.Beta2 < 1) {
		return fmt.Errorf("Beta1 %v, Beta2 %v: want [0, 1)", a.Beta1, a.Beta2)
	}
	if !(a.Eps >= 0 && a.Decay >= 0) {
		return fmt.Errorf("Eps %v, Decay %v: want 0 or more", a.Eps, a.Decay)
	}
	return nil
}

// Package tensor builds programs: a static graph of operations on named
// memory, and reverse-mode autograd from graph to graph.
//
// A graph is built once, compiled to a kernels.Program and run by any backend.
// Nothing is computed while it is built:
//
//	g := tensor.New("mlp")
//	x := g.Input("x", kernels.F32, 32, 784)            // (N, C)
//	w := g.Param("w", kernels.F32, 10, 784)            // (V, C)
//	loss := g.Sum(g.CrossEntropy(g.MatMul(x, w, tensor.TransB), g.Input("y", kernels.I32, 32)))
//	dw := g.Grad(loss, w)[0]                           // appends the backward instructions
//	prog, err := g.Compile()                           // first error of all the above
//
// Errors are sticky: after the first one every method returns a tensor without
// shape, and Compile reports the error with the operation, the shapes and the
// caller's line. There is no eager mode but Eval, which compiles and runs a
// small graph for tests and examples.
//
// The package knows no devices (package kernels does) and no models (package
// model does). A new operation made of existing ones is a Go function; a new
// kernel is described in docs/adding-an-op.md.
package tensor

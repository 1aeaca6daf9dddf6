// Package versus runs the same cases in Graft and in its peers, in turns.
//
// A Case is one operation at the shape of a real model, or one optimizer step. A
// Side runs cases: Local in this process, a Process in one of its own that reads
// requests and writes answers, a line of JSON each. Such a process is Graft again
// (Serve), PyTorch (pytorch.py) or the libraries of matrix products (blas.py). All
// hold their operands as random numbers, never zeros. Measure gives each side its
// turn, round by round, so that whatever else the machine does meets them alike.
//
// The work of a case is that of its definition: attention counts the pairs that a
// causal mask leaves.
package versus

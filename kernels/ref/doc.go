// Package ref is the oracle: the backend that every other one is compared to.
//
// It runs every operation of the table, on every allowed type and layout, and
// it is meant to be read: an operation is written as its formula, operands are
// read from storage into float64, everything is computed in float64, and the
// result is rounded once, to the nearest value of the output's type.
//
//	import _ "graft/kernels/ref"
//	be, err := kernels.Open("ref")
//
// Besides running programs it says, through [Eval], how far another backend
// may be off. Each number is carried with a scale: the sum of the magnitudes
// of the terms that make it up, where an intermediate result that is itself
// inexact enters through the derivative (running error analysis, as in Higham,
// Accuracy and Stability of Numerical Algorithms, section 3.3). A row of the
// table turns the scale into a bound.
//
// It is slow, allocates at every step and uses one thread. It is no fallback
// for users.
package ref

// Package kerneltest holds every backend to the op table.
//
// A backend's own test calls [Run]:
//
//	func TestConformance(t *testing.T) {
//		open := func() (kernels.Backend, error) { return kernels.Open("cpu") }
//		kerneltest.Run(t, open, kerneltest.Options{Name: "cpu"})
//	}
//
// Cases are generated from the table: every operation, every signature of
// types, shapes around the sizes at which kernels change their path, every
// layout the row allows, every output in place of every input that the row
// allows, and cases by hand for NaN, infinities, zeros and indices out of
// range. A case is compared, element by element, to the float64 oracle in
// package ref within the bound of its row, is run three times for equal bits,
// with NaN around and between its operands, in its temporaries and in outputs
// that it must overwrite, and every byte outside its outputs must survive.
// Random whole programs, and the same lowered to plain operations, test the
// planning of memory and barriers.
//
// What a backend does not support is skipped, one listed subtest each. A
// backend that cannot be opened is skipped too, unless the environment
// variable KERNELTEST_REQUIRE, names with commas between, holds its name. The flag -long adds shapes of
// real models.
//
// The suite prints the worst error of each operation as a share of its bound
// and fails when that is below a hundredth: such a bound would let mistakes
// pass. Its own tests run an oracle that is wrong on purpose, in several ways
// for every operation, and demand that the suite notices each.
package kerneltest

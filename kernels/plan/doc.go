// Package plan is what every backend does before it allocates anything: it
// gives temporaries and scratch offsets in one arena, groups dispatches
// between barriers, proves that grouping, and prints where the bytes go. It is
// pure Go and knows no device:
//
//	l, err := plan.Memory(prog, plan.Options{Align: 64, Scratch: perInstr})
//	ds := dispatches(prog, l)                     // the backend's own
//	groups := plan.Barriers(prog, ds, l.Offsets)
//	err = plan.Check(prog, ds, groups, l.Offsets) // in tests, and under a debug flag
//
// Lifetimes are those of whole slots, counted in instructions: a slot is alive
// from the first instruction that names it to the last, through whatever views.
// Memory is reused as soon as it is dead, so offsets alone don't keep two
// dispatches apart; Barriers compares bytes after placement and so sees reuse.
//
// The package does not reorder instructions and does not move persistent
// slots: their regions are the caller's and are taken to be disjoint.
package plan

package main

import (
	"fmt"
	"slices"
)

// prune turns operations without effect, whose result nobody reads, into labels
// that nobody jumps to.
func (k *Kernel) prune() {
	for again := true; again; {
		again = false
		read := make([]bool, k.vregs+1)
		for i := range k.code {
			for _, v := range k.code[i].reads() {
				read[v] = true
			}
		}
		for i := range k.code {
			if in := &k.code[i]; in.d > 0 && !read[in.d] {
				*in, again = ins{op: opLabel}, true
			}
		}
	}
}

// interval is the part of the code in which a vector register holds a value.
type interval struct {
	v        V
	from, to int
}

// reads are the vectors that an instruction reads.
func (in *ins) reads() []V {
	var out []V
	for _, s := range in.s {
		if s > 0 {
			out = append(out, s)
		}
	}
	if in.upd && in.d > 0 {
		out = append(out, in.d)
	}
	return out
}

// intervals finds where each vector lives. One that was there before a loop
// and is touched in it lives until the loop's end, for the next turn.
func (k *Kernel) intervals() []interval {
	iv := make([]interval, k.vregs+1)
	for i := range iv {
		iv[i] = interval{V(i), -1, -1}
	}
	for i := range k.code {
		in := &k.code[i]
		for _, v := range in.reads() {
			if iv[v].from < 0 {
				panic(fmt.Sprintf("%s: instruction %d reads vector %d, which has no value", k.name, i, v))
			}
			iv[v].to = i
		}
		if in.d > 0 {
			if iv[in.d].from < 0 {
				iv[in.d].from = i
			}
			iv[in.d].to = i
		}
	}
	touched := func(v V, loop [2]int) bool {
		for i := loop[0]; i <= loop[1]; i++ {
			if in := &k.code[i]; in.d == v || slices.Contains(in.reads(), v) {
				return true
			}
		}
		return false
	}
	for changed := true; changed; {
		changed = false
		for _, l := range k.loops {
			for i := range iv {
				x := &iv[i]
				if x.from >= 0 && x.from < l[0] && x.to >= l[0] && x.to < l[1] && touched(x.v, l) {
					x.to, changed = l[1], true
				}
			}
		}
	}
	iv = slices.DeleteFunc(iv, func(x interval) bool { return x.from < 0 })
	slices.SortFunc(iv, func(a, b interval) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return int(a.v - b.v)
	})
	return iv
}

// allocate gives vectors register numbers, in the order in which they begin,
// and what is left over to constants, those that are used in loops first.
// Index len(regs)+V of consts is a constant's register, or -1.
func (k *Kernel) allocate() (regs []int, consts []int) {
	free := make([]bool, k.Vectors()-k.scratch())
	used := make([]bool, len(free))
	for i := range free {
		free[i] = true
	}
	regs = make([]int, k.vregs+1)
	var live []interval
	for _, x := range k.intervals() {
		in := &k.code[x.from]
		early := k.EarlyClobber(in)
		var dying []V // whose registers this one may take over
		live = slices.DeleteFunc(live, func(l interval) bool {
			keep := l.to > x.from || l.to == x.from && (slices.Contains(early, l.v) || !slices.Contains(in.reads(), l.v))
			if !keep {
				free[regs[l.v]] = true
				if l.to == x.from {
					dying = append(dying, l.v)
				}
			}
			return !keep
		})
		r := slices.Index(free, true)
		// The sum of a product and a sum is formed in the register of the sum.
		for _, s := range []V{in.s[2], in.s[0], in.s[1]} {
			if (in.op == opFMA || in.op == opFNMA) && slices.Contains(dying, s) {
				r = regs[s]
				break
			}
		}
		if r < 0 {
			panic(fmt.Sprintf("%s: out of vector registers at instruction %d", k.name, x.from))
		}
		regs[x.v], free[r], used[r] = r, false, true
		live = append(live, x)
	}
	return regs, k.constants(used)
}

// constants gives registers that no vector uses to constants.
func (k *Kernel) constants(used []bool) []int {
	weight := make([]int, len(k.consts))
	at := make([]int, len(k.consts))
	for i := range k.code {
		w := 1
		for _, l := range k.loops {
			if i >= l[0] && i <= l[1] {
				w = 100
			}
		}
		for _, s := range k.code[i].s {
			if s < 0 {
				weight[-1-s] += w
			}
		}
	}
	order := make([]int, len(k.consts))
	for i := range order {
		order[i], at[i] = i, -1
	}
	slices.SortStableFunc(order, func(a, b int) int { return weight[b] - weight[a] })
	for _, c := range order {
		r := slices.Index(used, false)
		if r < 0 || weight[c] < 2 {
			break
		}
		at[c], used[r] = r, true
	}
	return at
}

// scratch is the number of vector registers, from the end, that are kept for
// instructions which need one in passing.
func (k *Kernel) scratch() int {
	n := 0
	for i := range k.code {
		n = max(n, k.Scratch(&k.code[i]))
	}
	return n
}

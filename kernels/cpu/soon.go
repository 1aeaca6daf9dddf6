package cpu

// extent is bytes of memory that will be read.
type extent struct{ addr, size int }

// errand is memory that a goroutine fetches into its second cache while it has nothing
// else to do: left bytes of the pieces, behind the first skip.
type errand struct {
	pieces     []extent
	skip, left int
	after      int64 // the launch that was left, as pool.opened counts
}

const (
	// mostSoon is how much a goroutine fetches at most: a part of its second cache.
	mostSoon = 256 << 10
	// soonStep is how much it fetches before it looks for a launch again.
	soonStep = 4 << 10
)

// step fetches some of it and reports whether there was anything left.
func (e *errand) step(fetch func(addr, size int)) bool {
	for len(e.pieces) > 0 && e.left > 0 {
		p := e.pieces[0]
		if e.skip >= p.size {
			e.pieces, e.skip = e.pieces[1:], e.skip-p.size
			continue
		}
		n := min(soonStep, p.size-e.skip, e.left)
		fetch(p.addr+e.skip, n)
		e.skip, e.left = e.skip+n, e.left-n
		return true
	}
	return false
}

// lookAhead tells each launch what the next one that has something to fetch, will read:
// pieces are those of each step.
func lookAhead(launches []launch, pieces [][]extent) {
	var soon []extent
	step := len(pieces)
	for i := len(launches) - 1; i >= 0; i-- {
		l := &launches[i]
		l.soon = soon
		step -= len(l.work)
		var own []extent
		for _, ps := range pieces[step : step+len(l.work)] {
			own = append(own, ps...)
		}
		if len(own) > 0 {
			soon = own
		}
	}
}

package onig

import (
	"sort"
	"unicode"
	"unicode/utf8"
)

// runeRange is an inclusive range of code points.
type runeRange struct{ lo, hi rune }

// ranges is a set of code points: sorted, disjoint, not adjacent.
type ranges []runeRange

const maxRune = unicode.MaxRune

func normalize(r ranges) ranges {
	if len(r) < 2 {
		return r
	}
	sort.Slice(r, func(i, j int) bool { return r[i].lo < r[j].lo })
	out := r[:1]
	for _, x := range r[1:] {
		last := &out[len(out)-1]
		if x.lo <= last.hi+1 {
			last.hi = max(last.hi, x.hi)
			continue
		}
		out = append(out, x)
	}
	return out
}

func (r ranges) negate() ranges {
	var out ranges
	next := rune(0)
	for _, x := range r {
		if x.lo > next {
			out = append(out, runeRange{next, x.lo - 1})
		}
		next = x.hi + 1
	}
	if next <= maxRune {
		out = append(out, runeRange{next, maxRune})
	}
	return out
}

func union(a, b ranges) ranges {
	out := make(ranges, 0, len(a)+len(b))
	return normalize(append(append(out, a...), b...))
}

func intersect(a, b ranges) ranges {
	return union(a.negate(), b.negate()).negate()
}

// fold adds every code point that differs from a member only by case.
func (r ranges) fold() ranges {
	out := append(ranges(nil), r...)
	for _, x := range r {
		// Beyond the last cased script nothing folds; skipping keeps a
		// negated class from walking the whole code space.
		for c := x.lo; c <= min(x.hi, 0x1F000); c++ {
			for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
				out = append(out, runeRange{f, f})
			}
		}
	}
	return normalize(out)
}

func fromTable(t *unicode.RangeTable) ranges {
	var out ranges
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			out = append(out, runeRange{lo, hi})
			return
		}
		for c := lo; c <= hi; c += stride {
			out = append(out, runeRange{c, c})
		}
	}
	for _, x := range t.R16 {
		add(rune(x.Lo), rune(x.Hi), rune(x.Stride))
	}
	for _, x := range t.R32 {
		add(rune(x.Lo), rune(x.Hi), rune(x.Stride))
	}
	return normalize(out)
}

func (r ranges) has(c rune) bool {
	i := sort.Search(len(r), func(i int) bool { return r[i].hi >= c })
	return i < len(r) && r[i].lo <= c
}

// bmpPages is the number of 64-bit words that cover the basic plane.
const bmpPages = 0x10000 / 64

// set answers membership in constant time for the basic plane.
type set struct {
	r     ranges
	ascii [utf8.RuneSelf]bool
	first [256]bool // bytes that can start a member
	bmp   *[bmpPages]uint64
	high  ranges // members above the basic plane
}

func newSet(r ranges) *set {
	s := &set{r: r}
	for _, x := range r {
		for c := x.lo; c <= min(x.hi, utf8.RuneSelf-1); c++ {
			s.ascii[c] = true
			s.first[c] = true
		}
		if x.hi < utf8.RuneSelf {
			continue
		}
		lo := max(x.lo, utf8.RuneSelf)
		for b := leadByte(lo); ; b++ {
			s.first[b] = true
			if b >= leadByte(x.hi) {
				break
			}
		}
		if x.hi > 0xFFFF {
			s.high = append(s.high, runeRange{max(x.lo, 0x10000), x.hi})
		}
		if lo > 0xFFFF {
			continue
		}
		if s.bmp == nil {
			s.bmp = new([bmpPages]uint64)
		}
		for c := lo; c <= min(x.hi, 0xFFFF); c++ {
			s.bmp[c>>6] |= 1 << (c & 63)
		}
	}
	return s
}

// leadByte returns the first byte of c in UTF-8; surrogates, which no valid
// text holds, count as their neighbours do.
func leadByte(c rune) byte {
	switch {
	case c < 0x80:
		return byte(c)
	case c < 0x800:
		return 0xC0 | byte(c>>6)
	case c < 0x10000:
		return 0xE0 | byte(c>>12)
	}
	return 0xF0 | byte(c>>18)
}

func (s *set) has(c rune) bool {
	if c < utf8.RuneSelf {
		return s.ascii[c]
	}
	if c <= 0xFFFF {
		return s.bmp != nil && s.bmp[c>>6]&(1<<(c&63)) != 0
	}
	return s.high.has(c)
}

// next returns the length of the member that starts at text[pos], 0 if none.
func (s *set) next(text string, pos int) int {
	if pos >= len(text) {
		return 0
	}
	if b := text[pos]; b < utf8.RuneSelf {
		if s.ascii[b] {
			return 1
		}
		return 0
	}
	c, n := utf8.DecodeRuneInString(text[pos:])
	if s.has(c) {
		return n
	}
	return 0
}

func disjoint(a, b *set) bool { return len(intersect(a.r, b.r)) == 0 }

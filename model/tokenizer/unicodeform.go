package tokenizer

import (
	"sync"

	"golang.org/x/text/unicode/norm"
)

// Normalization forms as the edits of their characters, which is what offsets
// need; golang.org/x/text has the tables but not the edits. Unicode Standard
// Annex 15.

func (n unicodeForm) form() norm.Form {
	switch {
	case n.compose && n.compatible:
		return norm.NFKC
	case n.compose:
		return norm.NFC
	case n.compatible:
		return norm.NFKD
	}
	return norm.NFD
}

func (n unicodeForm) isNormal(text string) bool { return n.form().IsNormalString(text) }

// combiningClass returns 0 for characters the library's tables do not have.
func combiningClass(c rune) uint8 {
	if c < 0x300 || !normTable.has(c) {
		return 0
	}
	return norm.NFD.PropertiesString(string(c)).CCC()
}

// decompose appends the full decomposition of text in canonical order. Of the
// characters one decomposes into, the first is in place and the rest added.
func decompose(s *scratch, out []edit, text string, compatible bool) []edit {
	form := norm.NFD
	if compatible {
		form = norm.NFKD
	}
	base := len(out)
	for _, c := range text {
		if c < 0xC0 && !compatible || c < 0xA0 {
			out = append(out, edit{c, 0})
			continue
		}
		if c >= hangulBase && c < hangulBase+hangulCount {
			out = decomposeHangul(out, c-hangulBase)
			continue
		}
		d := form.PropertiesString(string(c)).Decomposition()
		if d == nil || !normTable.has(c) {
			out = append(out, edit{c, 0})
			continue
		}
		change := 0
		for _, r := range string(d) {
			out = append(out, edit{r, change})
			change = 1
		}
	}
	sortMarks(s, out[base:])
	return out
}

const (
	hangulBase  = 0xAC00
	hangulCount = 11172
)

// decomposeHangul appends the two or three letters of a syllable.
func decomposeHangul(out []edit, i rune) []edit {
	out = append(out, edit{0x1100 + i/588, 0}, edit{0x1161 + i%588/28, 1})
	if i%28 > 0 {
		out = append(out, edit{0x11A7 + i%28, 1})
	}
	return out
}

// sortMarks puts every stretch of combining characters in order of class, in time
// that grows with its length alone.
func sortMarks(s *scratch, out []edit) {
	for i := 0; i < len(out); i++ {
		s.classes = s.classes[:0]
		sorted := true
		for k := i; k < len(out); k++ {
			c := combiningClass(out[k].char)
			if c == 0 {
				break
			}
			sorted = sorted && (k == i || s.classes[k-i-1] <= c)
			s.classes = append(s.classes, c)
		}
		n := len(s.classes)
		s.work += int64(n) + 1
		if !sorted {
			s.sorted = sortByClass(s.sorted[:0], out[i:i+n], s.classes)
			s.work += int64(n)
		}
		i += n
	}
}

// sortByClass sorts marks, a stretch with these classes, by counting; equals keep
// their order. It returns its memory.
func sortByClass(memory, marks []edit, classes []uint8) []edit {
	var place [256]int
	for _, c := range classes {
		place[c]++
	}
	next := 0
	for c, n := range place {
		place[c], next = next, next+n
	}
	memory = append(memory, marks...)
	for i, c := range classes {
		marks[place[c]] = memory[i]
		place[c]++
	}
	return memory
}

type runePair struct{ a, b rune }

// compositions maps pairs to their primary composite.
var compositions = sync.OnceValue(func() map[runePair]rune {
	table := map[runePair]rune{}
	for c := rune(0xC0); c < 0x30000; c++ {
		if c >= hangulBase && c < hangulBase+hangulCount {
			continue // Hangul composes by arithmetic
		}
		if !normTable.has(c) {
			continue
		}
		d := []rune(string(norm.NFD.PropertiesString(string(c)).Decomposition()))
		if len(d) < 2 || !norm.NFC.IsNormalString(string(c)) {
			continue
		}
		head := []rune(norm.NFC.String(string(d[:len(d)-1])))
		if len(head) == 1 {
			table[runePair{head[0], d[len(d)-1]}] = c
		}
	}
	return table
})

func composePair(table map[runePair]rune, a, b rune) (rune, bool) {
	switch {
	case a >= 0x1100 && a < 0x1113 && b >= 0x1161 && b < 0x1176:
		return hangulBase + ((a-0x1100)*21+(b-0x1161))*28, true
	case a >= hangulBase && a < hangulBase+hangulCount && (a-hangulBase)%28 == 0 && b > 0x11A7 && b < 0x11C3:
		return a + b - 0x11A7, true
	}
	c, ok := table[runePair{a, b}]
	return c, ok
}

// compose composes a decomposed text in place. A composite takes the changes
// of its parts: each part that was there before is one character removed.
func compose(in []edit) []edit {
	table := compositions()
	out := in[:0]
	starter := -1   // index in out of the last starter
	lastClass := -1 // class of what stands between it and the next; -1 if nothing
	for _, e := range in {
		class := int(combiningClass(e.char))
		if starter >= 0 && lastClass < class || starter >= 0 && lastClass < 0 {
			if c, ok := composePair(table, out[starter].char, e.char); ok {
				out[starter].char = c
				out[starter].change += e.change - 1
				continue
			}
		}
		out = append(out, e)
		if class == 0 {
			starter, lastClass = len(out)-1, -1
		} else {
			lastClass = class
		}
	}
	return out
}

package tokenizer

import (
	"sort"
	"unicode"
)

// runeTable is a set of characters: sorted inclusive ranges.
type runeTable [][2]rune

func (t runeTable) has(c rune) bool {
	i := sort.Search(len(t), func(i int) bool { return t[i][1] >= c })
	return i < len(t) && t[i][0] <= c
}

// toLower returns the small letter of a capital.
func toLower(c rune) rune {
	if c < lowerTable[0][0] {
		return unicode.ToLower(c)
	}
	i := sort.Search(len(lowerTable), func(i int) bool { return lowerTable[i][0] >= c })
	if i < len(lowerTable) && lowerTable[i][0] == c {
		return lowerTable[i][1]
	}
	return unicode.ToLower(c)
}

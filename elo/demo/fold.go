package demo

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// kept are the letters with a mark that the base's vocabulary has as a token
// of their own and has seen in training.
const kept = "éñ"

// plain maps punctuation the vocabulary lacks, or hardly saw, to ASCII.
var plain = strings.NewReplacer(
	"¿", "", "¡", "",
	"«", `"`, "»", `"`, "“", `"`, "”", `"`, "„", `"`, "‟", `"`,
	"‘", "'", "’", "'", "‚", "'", "‛", "'", "‹", "'", "›", "'", "´", "'",
	"‐", "-", "‑", "-", "‒", "-", "–", "-", "—", "-", "―", "-", "−", "-",
	"…", "...", "ª", "a", "º", "o",
	"\u00a0", " ", "\u2009", " ", "\u200a", " ", "\u202f", " ", "\u00ad", "", "\u200b", "",
)

// Fold writes Spanish with what the base's vocabulary spells: letters lose
// their marks but for é and ñ (É and Ñ lose theirs), the opening marks ¿ and ¡
// go, quotes and dashes become those of ASCII. Everything else stays. Folding
// twice changes nothing more.
func Fold(s string) string {
	var b strings.Builder
	for _, r := range plain.Replace(norm.NFC.String(s)) {
		if r < 0x80 || strings.ContainsRune(kept, r) {
			b.WriteRune(r)
			continue
		}
		for _, d := range norm.NFD.String(string(r)) {
			if !unicode.Is(unicode.Mn, d) {
				b.WriteRune(d)
			}
		}
	}
	return norm.NFC.String(b.String())
}

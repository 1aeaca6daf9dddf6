package tokenizer

import "unicode/utf8"

// Byte-level BPE, as GPT-2 introduced it, spells each byte as one printable
// character: visible Latin-1 stands for itself, the other 68 bytes take the
// characters from U+0100 on, in order.

// byteChars gives the character of each byte.
var byteChars = func() (t [256]rune) {
	next := rune(256)
	for b := range t {
		if b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE {
			t[b] = rune(b)
			continue
		}
		t[b] = next
		next++
	}
	return t
}()

// charBytes is the inverse: the byte of each character below its length, or -1.
var charBytes = func() (t [256 + 68]int16) {
	for i := range t {
		t[i] = -1
	}
	for b, c := range byteChars {
		t[c] = int16(b)
	}
	return t
}()

func charByte(c rune) (byte, bool) {
	if int(c) >= len(charBytes) || charBytes[c] < 0 {
		return 0, false
	}
	return byte(charBytes[c]), true
}

// toByteChars spells the bytes of p as characters.
func toByteChars(p *piece) {
	if p.align == nil {
		out := make([]byte, 0, len(p.text)*3/2)
		for i := 0; i < len(p.text); i++ {
			out = utf8.AppendRune(out, byteChars[p.text[i]])
		}
		p.text = string(out)
		return
	}
	edits := make([]edit, 0, len(p.text))
	for i := 0; i < len(p.text); i++ {
		e := edit{byteChars[p.text[i]], 1}
		if utf8.RuneStart(p.text[i]) {
			e.change = 0
		}
		edits = append(edits, e)
	}
	p.rewrite(edits, 0)
}

// appendRaw appends the bytes a byte-level token spells; ok is false, and
// nothing is appended, if it holds any other character.
func appendRaw(dst []byte, token string) ([]byte, bool) {
	n := len(dst)
	for _, c := range token {
		b, ok := charByte(c)
		if !ok {
			return dst[:n], false
		}
		dst = append(dst, b)
	}
	return dst, true
}

// Lossy returns text with every maximal invalid part of a UTF-8 sequence
// replaced by U+FFFD, as Rust's from_utf8_lossy and the WHATWG decoder do. Use
// it before Encode when losing bytes is better than refusing them.
func Lossy(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	out := make([]byte, 0, len(text)+8)
	for i := 0; i < len(text); {
		if c, n := utf8.DecodeRuneInString(text[i:]); c != utf8.RuneError || n != 1 {
			out = append(out, text[i:i+n]...)
			i += n
			continue
		}
		out = append(out, "\uFFFD"...)
		i += badPart(text[i:])
	}
	return string(out)
}

// badPart returns the length of the maximal prefix of s that begins a valid
// sequence without completing it, at least 1.
func badPart(s string) int {
	need, lo, hi := 0, byte(0x80), byte(0xBF)
	switch c := s[0]; {
	case c >= 0xC2 && c <= 0xDF:
		need = 1
	case c >= 0xE0 && c <= 0xEF:
		need = 2
		if c == 0xE0 {
			lo = 0xA0
		} else if c == 0xED {
			hi = 0x9F
		}
	case c >= 0xF0 && c <= 0xF4:
		need = 3
		if c == 0xF0 {
			lo = 0x90
		} else if c == 0xF4 {
			hi = 0x8F
		}
	}
	n := 1
	for n <= need && n < len(s) && s[n] >= lo && s[n] <= hi {
		lo, hi = 0x80, 0xBF
		n++
	}
	return n
}

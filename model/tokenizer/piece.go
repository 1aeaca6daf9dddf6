package tokenizer

import "unicode/utf8"

// span is a range of bytes of the text being encoded.
type span struct{ lo, hi int32 }

// noToken marks a piece that is still text.
const noToken = -1

// piece is a part of the text on its way to tokens: what normalizers and
// pre-tokenizers have made of it, and where it came from.
type piece struct {
	text string
	// align gives for each byte of text the span of the original it stands
	// for. It is nil when nobody asked for offsets.
	align []span
	start int32 // where the piece begins in the original
	token int32 // the added token this piece is, or noToken
}

// identity returns text as a piece that stands for itself.
func identity(text string, align bool) piece {
	p := piece{text: text, token: noToken}
	if !align {
		return p
	}
	p.align = make([]span, len(text))
	for i := 0; i < len(text); {
		_, n := utf8.DecodeRuneInString(text[i:])
		for k := i; k < i+n; k++ {
			p.align[k] = span{int32(i), int32(i + n)}
		}
		i += n
	}
	return p
}

// slice returns bytes lo to hi of p.
func (p piece) slice(lo, hi int) piece {
	q := piece{text: p.text[lo:hi], token: p.token, start: p.start + int32(lo)}
	if p.align != nil {
		q.align = p.align[lo:hi]
		if hi > lo {
			q.start = q.align[0].lo
		}
	}
	return q
}

// edit is one character of an edited text and how it came: change 0 puts it
// in place of the next old character, -n does so and also drops the n old
// characters after that, 1 adds it.
type edit struct {
	char   rune
	change int
}

// rewrite replaces the whole text by edits, after dropping the first skipped
// old characters. An added character stands for what the one before it stands
// for, and for nothing, at the piece's start, when there is none.
func (p *piece) rewrite(edits []edit, skipped int) { p.rewriteHead(len(p.text), edits, skipped) }

// rewriteHead is rewrite for the first n bytes only.
func (p *piece) rewriteHead(n int, edits []edit, skipped int) {
	out := make([]byte, 0, len(p.text)+len(p.text)/8+8)
	if p.align == nil {
		for _, e := range edits {
			out = utf8.AppendRune(out, e.char)
		}
		p.text = string(append(out, p.text[n:]...))
		return
	}
	align := make([]span, 0, len(p.text)+len(p.text)/8+8)
	old := p.text[:n]
	at := 0
	drop := func(count int) {
		for ; count > 0 && at < len(old); count-- {
			_, w := utf8.DecodeRuneInString(old[at:])
			at += w
		}
	}
	drop(skipped)
	for _, e := range edits {
		from := span{p.start, p.start}
		switch {
		case e.change <= 0 && at < len(p.align):
			from = p.align[at]
		case at > 0:
			from = p.align[at-1]
		}
		if e.change <= 0 {
			drop(1 - e.change)
		}
		before := len(out)
		out = utf8.AppendRune(out, e.char)
		for range len(out) - before {
			align = append(align, from)
		}
	}
	p.text = string(append(out, p.text[n:]...))
	p.align = append(align, p.align[n:]...)
}

// prepend puts s before the text; it stands for the first character.
func (p *piece) prepend(s string) {
	if p.text == "" {
		return
	}
	if p.align == nil {
		p.text = s + p.text
		return
	}
	first, n := utf8.DecodeRuneInString(p.text)
	var edits []edit
	for i, c := range s {
		e := edit{c, 1}
		if i == 0 {
			e.change = 0
		}
		edits = append(edits, e)
	}
	p.rewriteHead(n, append(edits, edit{first, 1}), 0)
}

// replace puts content in place of every match; it stands for the last
// character replaced.
func (p *piece) replace(matches []match, content string) {
	out := make([]byte, 0, len(p.text))
	var align []span
	last := 0
	for _, m := range matches {
		if !m.hit {
			continue
		}
		out = append(out, p.text[last:m.lo]...)
		out = append(out, content...)
		if p.align != nil {
			align = append(align, p.align[last:m.lo]...)
			from := span{p.start, p.start}
			if m.hi > 0 {
				from = p.align[m.hi-1]
			}
			for range len(content) {
				align = append(align, from)
			}
		}
		last = m.hi
	}
	if last == 0 && len(out) == 0 {
		return
	}
	if p.align != nil {
		p.align = append(align, p.align[last:]...)
	}
	p.text = string(append(out, p.text[last:]...))
}

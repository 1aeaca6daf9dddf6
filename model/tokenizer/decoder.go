package tokenizer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder turns tokens back into text, in steps from list to list; the last
// list is joined.
type decoder interface {
	decode(s *scratch, tokens []string) ([]string, error)
}

type decoders []decoder

func (l decoders) decode(s *scratch, tokens []string) ([]string, error) {
	for _, d := range l {
		var err error
		if tokens, err = d.decode(s, tokens); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

type byteLevelDecoder struct{}

func (byteLevelDecoder) decode(_ *scratch, tokens []string) ([]string, error) {
	var out []byte
	for _, t := range tokens {
		var ok bool
		if out, ok = appendRaw(out, t); !ok {
			out = append(out, t...)
		}
	}
	return []string{Lossy(string(out))}, nil
}

type byteFallbackDecoder struct{}

func (byteFallbackDecoder) decode(_ *scratch, tokens []string) ([]string, error) {
	out := make([]string, 0, len(tokens))
	var bytes []byte
	flush := func() {
		if utf8.Valid(bytes) && len(bytes) > 0 {
			out = append(out, string(bytes))
		} else {
			for range bytes {
				out = append(out, "\uFFFD")
			}
		}
		bytes = bytes[:0]
	}
	for _, t := range tokens {
		if b, ok := fallbackByte(t); ok {
			bytes = append(bytes, b)
			continue
		}
		flush()
		out = append(out, t)
	}
	flush()
	return out, nil
}

// fallbackByte returns the byte that <0xNN> stands for.
func fallbackByte(token string) (byte, bool) {
	if len(token) != 6 || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	v, err := strconv.ParseUint(strings.TrimPrefix(token[3:5], "+"), 16, 8)
	return byte(v), err == nil
}

type fuse struct{}

func (fuse) decode(_ *scratch, tokens []string) ([]string, error) {
	return []string{strings.Join(tokens, "")}, nil
}

// stripDecoder cuts up to start and stop times a character from each token's
// ends.
type stripDecoder struct {
	content     rune
	start, stop int
}

func (d stripDecoder) decode(_ *scratch, tokens []string) ([]string, error) {
	c := string(d.content)
	for i, t := range tokens {
		for k := 0; k < d.start && strings.HasPrefix(t, c); k++ {
			t = t[len(c):]
		}
		for k := 0; k < d.stop && strings.HasSuffix(t, c); k++ {
			t = t[:len(t)-len(c)]
		}
		tokens[i] = t
	}
	return tokens, nil
}

func (n replaceAll) decode(s *scratch, tokens []string) ([]string, error) {
	for i, t := range tokens {
		p := piece{text: t}
		if err := n.normalize(s, &p); err != nil {
			return nil, err
		}
		tokens[i] = p.text
	}
	return tokens, nil
}

type metaspaceDecoder struct {
	mark string
	drop bool // the marks of the first token stand for nothing
}

func (d metaspaceDecoder) decode(_ *scratch, tokens []string) ([]string, error) {
	for i, t := range tokens {
		with := " "
		if i == 0 && d.drop {
			with = ""
		}
		tokens[i] = strings.ReplaceAll(t, d.mark, with)
	}
	return tokens, nil
}

// suffixDecoder is BPEDecoder: the suffix that ends words becomes a space.
type suffixDecoder string

func (d suffixDecoder) decode(_ *scratch, tokens []string) ([]string, error) {
	for i, t := range tokens {
		with := " "
		if i == len(tokens)-1 {
			with = ""
		}
		tokens[i] = strings.ReplaceAll(t, string(d), with)
	}
	return tokens, nil
}

type wordPieceDecoder struct {
	prefix  string
	cleanup bool
}

func (d wordPieceDecoder) decode(_ *scratch, tokens []string) ([]string, error) {
	for i, t := range tokens {
		if i > 0 {
			if rest, ok := strings.CutPrefix(t, d.prefix); ok {
				t = rest
			} else {
				t = " " + t
			}
		}
		if d.cleanup {
			t = cleanUp(t)
		}
		tokens[i] = t
	}
	return tokens, nil
}

// cleanUp closes up the spaces tokenization left before punctuation, rule by
// rule in this order.
func cleanUp(t string) string {
	for _, r := range [][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
		{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		t = strings.ReplaceAll(t, r[0], r[1])
	}
	return t
}

type ctcDecoder struct {
	pad, delimiter string
	cleanup        bool
}

func (d ctcDecoder) decode(_ *scratch, tokens []string) ([]string, error) {
	var out []string
	for i, t := range tokens {
		if i > 0 && t == tokens[i-1] {
			continue
		}
		t = strings.ReplaceAll(t, d.pad, "")
		if d.cleanup {
			t = strings.ReplaceAll(cleanUp(t), d.delimiter, " ")
		}
		if t != "" {
			out = append(out, t)
		}
	}
	return out, nil
}

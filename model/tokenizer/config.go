package tokenizer

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"graft/internal/onig"
)

// node is an object of the configuration with its place in the file. Errors
// are sticky: the first is kept in the file's state, and readers return zero
// values after it, so that a component is read without an if per field.
type node struct {
	f      *file
	path   string
	fields map[string]any
}

// file is the state of reading one tokenizer.json.
type file struct {
	err     error
	regexes int  // each has its own matcher
	atStart bool // some pre-tokenizer asks whether a piece begins the text
	steps   int  // pre-tokenizers, sequences included
}

func (f *file) failf(path, format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
	}
}

func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case jsonNumber:
		return string(v)
	case string:
		if len(v) > 40 {
			v = v[:40]
		}
		return strconv.Quote(v)
	case []any:
		return "an array"
	}
	return "an object"
}

func (n node) at(field string) string { return n.path + "." + field }

func (n node) bad(field, want string) {
	v, ok := n.fields[field]
	found := describe(v)
	if !ok {
		found = "nothing"
	}
	n.f.failf(n.at(field), "expected %s, found %s", want, found)
}

// given reports whether the field is there and not null.
func (n node) given(field string) bool { return n.fields[field] != nil }

func (n node) str(field string) string {
	s, ok := n.fields[field].(string)
	if !ok {
		n.bad(field, "a string")
	}
	return s
}

func (n node) flag(field string, fallback bool) bool {
	if !n.given(field) {
		return fallback
	}
	b, ok := n.fields[field].(bool)
	if !ok {
		n.bad(field, "true or false")
	}
	return b
}

func (n node) count(field string) int {
	s, _ := n.fields[field].(jsonNumber)
	v, err := strconv.ParseUint(string(s), 10, 31)
	if err != nil {
		n.bad(field, "a whole number")
	}
	return int(v)
}

func (n node) char(field string) rune {
	s, _ := n.fields[field].(string)
	c, size := utf8.DecodeRuneInString(s)
	if size == 0 || size != len(s) {
		n.bad(field, "a string of one character")
	}
	return c
}

func (n node) object(field string) node {
	m, ok := n.fields[field].(map[string]any)
	if !ok {
		n.bad(field, "an object")
	}
	return node{n.f, n.at(field), m}
}

// list returns the objects of an array field.
func (n node) list(field string) []node {
	l, ok := n.fields[field].([]any)
	if !ok {
		n.bad(field, "an array")
	}
	out := make([]node, 0, len(l))
	for i, v := range l {
		path := fmt.Sprintf("%s[%d]", n.at(field), i)
		m, ok := v.(map[string]any)
		if !ok {
			n.f.failf(path, "expected an object, found %s", describe(v))
		}
		out = append(out, node{n.f, path, m})
	}
	return out
}

// kind returns the component's type, or fails.
func (n node) kind() string {
	if n.f.err != nil {
		return ""
	}
	return n.str("type")
}

func (n node) unsupported() {
	if n.f.err == nil {
		n.f.failf(n.at("type"), "%s is not supported", describe(n.fields["type"]))
	}
}

// pattern reads {"String": …} or {"Regex": …}.
func (n node) pattern(field string) pattern {
	p := n.object(field)
	if n.f.err != nil {
		return nil
	}
	if p.given("String") {
		s := p.str("String")
		if s != "" {
			return literal(s)
		}
		return n.f.regex(p.at("String"), "")
	}
	if !p.given("Regex") {
		n.bad(field, `an object with "String" or "Regex"`)
		return nil
	}
	return n.f.regex(p.at("Regex"), p.str("Regex"))
}

func (f *file) regex(path, src string) pattern {
	if f.err != nil {
		return nil
	}
	re, err := onig.Compile(src)
	if err != nil {
		f.failf(path, "%s", strings.TrimPrefix(err.Error(), "onig: "))
		return nil
	}
	f.regexes++
	return &regex{re, f.regexes - 1}
}

func (n node) behavior(field string, fallback string) behavior {
	name := fallback
	if n.given(field) || fallback == "" {
		name = n.str(field)
	}
	b, ok := behaviors[name]
	if !ok {
		names := make([]string, 0, len(behaviors))
		for k := range behaviors {
			names = append(names, k)
		}
		sort.Strings(names)
		n.bad(field, "one of "+strings.Join(names, ", "))
	}
	return b
}

func (n node) normalizers() normalizers {
	var out normalizers
	switch n.kind() {
	case "Sequence":
		for _, sub := range n.list("normalizers") {
			out = append(out, sub.normalizers()...)
		}
		return out
	case "Prepend":
		return append(out, prepend(n.str("prepend")))
	case "Replace":
		return append(out, replaceAll{n.pattern("pattern"), n.str("content")})
	case "NFC":
		return append(out, unicodeForm{compose: true})
	case "NFD":
		return append(out, unicodeForm{})
	case "NFKC":
		return append(out, unicodeForm{compose: true, compatible: true})
	case "NFKD":
		return append(out, unicodeForm{compatible: true})
	case "Lowercase":
		return append(out, lowercase{})
	case "Strip":
		return append(out, stripSpace{n.flag("strip_left", true), n.flag("strip_right", true)})
	case "StripAccents":
		return append(out, stripAccents{})
	case "Nmt":
		return append(out, nmt{})
	case "ByteLevel":
		return append(out, byteChar{})
	case "BertNormalizer", "Bert":
		lower := n.flag("lowercase", true)
		return append(out, bert{
			clean: n.flag("clean_text", true), chinese: n.flag("handle_chinese_chars", true),
			strip: n.flag("strip_accents", lower), lower: lower,
		})
	}
	n.unsupported()
	return nil
}

// gpt2Pattern is the split of the ByteLevel pre-tokenizer.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

func (n node) preTokenizers() []preTokenizer {
	n.f.steps++
	one := func(p preTokenizer) []preTokenizer { return []preTokenizer{p} }
	switch n.kind() {
	case "Sequence":
		var out []preTokenizer
		for _, sub := range n.list("pretokenizers") {
			out = append(out, sub.preTokenizers()...)
		}
		return out
	case "ByteLevel":
		b := &byteLevel{prefixSpace: n.flag("add_prefix_space", true), spell: true}
		n.flag("trim_offsets", true)
		if n.flag("use_regex", true) {
			b.pattern = n.f.regex(n.path, gpt2Pattern)
		}
		return one(b)
	case "Metaspace":
		return one(n.metaspace())
	case "Split":
		p := n.pattern("pattern")
		if n.flag("invert", false) {
			p = inverted{p}
		}
		return one(cut{p, n.behavior("behavior", "")})
	case "Digits":
		b := contiguous
		if n.flag("individual_digits", false) {
			b = isolated
		}
		return one(cut{runes(isNumber), b})
	case "Punctuation":
		return one(cut{runes(isPunctuation), n.behavior("behavior", "Isolated")})
	case "Whitespace":
		return one(cut{inverted{runs(wordOrNot)}, removed})
	case "WhitespaceSplit":
		return one(cut{runes(unicode.IsSpace), removed})
	case "BertPreTokenizer":
		return []preTokenizer{cut{runes(unicode.IsSpace), removed}, cut{runes(isPunctuation), isolated}}
	case "CharDelimiterSplit", "Delimiter":
		return one(cut{literal(string(n.char("delimiter"))), removed})
	case "FixedLength":
		length := 5
		if n.given("length") {
			length = n.count("length")
		}
		if length == 0 {
			n.bad("length", "a number above 0")
		}
		return one(chunks(length))
	}
	n.unsupported()
	return nil
}

func (n node) metaspace() *metaspace {
	m := &metaspace{mark: string(n.char("replacement")), cut: n.flag("split", true)}
	switch scheme := n.scheme(); scheme {
	case "always":
		m.always = true
	case "first":
		m.first = true
		n.f.atStart = true
	}
	return m
}

// scheme reads prepend_scheme, or the add_prefix_space of older files.
func (n node) scheme() string {
	prefix := n.flag("add_prefix_space", true)
	if !n.given("prepend_scheme") {
		if prefix {
			return "always"
		}
		return "never"
	}
	s := n.str("prepend_scheme")
	if s != "always" && s != "first" && s != "never" {
		n.bad("prepend_scheme", "always, first or never")
	}
	return s
}

func (n node) postProcessors() postProcessors {
	var out postProcessors
	switch kind := n.kind(); kind {
	case "Sequence":
		for _, sub := range n.list("processors") {
			out = append(out, sub.postProcessors()...)
		}
		return out
	case "ByteLevel":
		trim := trimOffsets{n.flag("add_prefix_space", true)}
		if n.flag("trim_offsets", true) {
			out = append(out, trim)
		}
		return out
	case "TemplateProcessing":
		return append(out, n.template())
	case "BertProcessing", "RobertaProcessing":
		b := bracket{cls: n.tokenPair("cls"), sep: n.tokenPair("sep"), roberta: kind == "RobertaProcessing"}
		if b.roberta {
			trim := trimOffsets{n.flag("add_prefix_space", true)}
			if n.flag("trim_offsets", true) {
				b.trim = &trim
			}
		}
		return append(out, b)
	}
	n.unsupported()
	return nil
}

// tokenID checks a value that has to be a token's id.
func (f *file) tokenID(path string, v any) int32 {
	s, _ := v.(jsonNumber)
	id, err := strconv.ParseUint(string(s), 10, 31)
	if err != nil || id > maxID {
		f.failf(path, "expected an id from 0 to %d, found %s", maxID, describe(v))
	}
	return int32(id)
}

// tokenPair reads ["[SEP]", 102].
func (n node) tokenPair(field string) token {
	l, _ := n.fields[field].([]any)
	if len(l) != 2 {
		n.bad(field, "an array of a token and its id")
		return token{}
	}
	text, ok := l[0].(string)
	if !ok {
		n.f.failf(n.at(field)+"[0]", "expected a string, found %s", describe(l[0]))
	}
	return token{id: n.f.tokenID(n.at(field)+"[1]", l[1]), text: text}
}

func (n node) template() template {
	names := n.object("special_tokens")
	return template{n.templateParts("single", names), n.templateParts("pair", names)}
}

func (n node) templateParts(field string, names node) []templatePart {
	var out []templatePart
	for _, part := range n.list(field) {
		if n.f.err != nil {
			return nil
		}
		if part.given("Sequence") {
			seq := part.object("Sequence").str("id")
			if seq != "A" && seq != "B" {
				part.object("Sequence").bad("id", "A or B")
			}
			p := templatePart{}
			if seq == "B" {
				p.seq = 1
			}
			out = append(out, p)
			continue
		}
		name := part.object("SpecialToken").str("id")
		if n.f.err != nil {
			return nil
		}
		out = append(out, templatePart{seq: -1, special: names.special(name)})
	}
	return out
}

// special reads the tokens that a name of a template stands for.
func (n node) special(name string) []token {
	entry := n.object(name)
	ids, _ := entry.fields["ids"].([]any)
	texts, _ := entry.fields["tokens"].([]any)
	if n.f.err == nil && (len(ids) == 0 || len(ids) != len(texts)) {
		entry.f.failf(entry.at("ids"), "expected as many ids as tokens, found %d and %d", len(ids), len(texts))
	}
	var out []token
	for i := range ids {
		if n.f.err != nil {
			return nil
		}
		text, ok := texts[i].(string)
		if !ok {
			entry.f.failf(fmt.Sprintf("%s[%d]", entry.at("tokens"), i), "expected a string, found %s", describe(texts[i]))
		}
		out = append(out, token{id: n.f.tokenID(fmt.Sprintf("%s[%d]", entry.at("ids"), i), ids[i]), text: text})
	}
	return out
}

func (n node) decoders() decoders {
	var out decoders
	switch n.kind() {
	case "Sequence":
		for _, sub := range n.list("decoders") {
			out = append(out, sub.decoders()...)
		}
		return out
	case "ByteLevel":
		return append(out, byteLevelDecoder{})
	case "ByteFallback":
		return append(out, byteFallbackDecoder{})
	case "Fuse":
		return append(out, fuse{})
	case "Strip":
		return append(out, stripDecoder{n.char("content"), n.count("start"), n.count("stop")})
	case "Replace":
		return append(out, replaceAll{n.pattern("pattern"), n.str("content")})
	case "Metaspace":
		return append(out, metaspaceDecoder{string(n.char("replacement")), n.scheme() != "never"})
	case "BPEDecoder":
		return append(out, suffixDecoder(n.str("suffix")))
	case "WordPiece":
		return append(out, wordPieceDecoder{n.str("prefix"), n.flag("cleanup", true)})
	case "CTC":
		return append(out, ctcDecoder{n.str("pad_token"), n.str("word_delimiter_token"), n.flag("cleanup", true)})
	}
	n.unsupported()
	return nil
}

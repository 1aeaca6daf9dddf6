package model

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"graft/model/gguf"
)

// ggufSplitter is how a vocabulary of byte-level BPE splits texts, by the name
// that llama.cpp has for it: tokenizer.ggml.pre. A file holds that name only, so
// that just the ones listed here can be read, whose tokenizer.json is known.
type ggufSplitter struct {
	names        []string
	normalizer   string // JSON
	preTokenizer string // JSON
	ignoreMerges bool
	bos          bool // texts begin with it unless the file says otherwise
}

func ggufSplitters() []ggufSplitter {
	// splits is the pre-tokenizer of Llama 3 and Qwen 2, which differ in how many
	// digits go together.
	splits := func(digits string) string {
		pattern := `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|` + digits + `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
		return fmt.Sprintf(`{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":%s},"behavior":"Isolated","invert":false},`+
			`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}`, jsonText(pattern))
	}
	const gpt2 = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	return []ggufSplitter{
		{names: []string{"gpt-2"}, normalizer: "null", preTokenizer: gpt2},
		{names: []string{"smollm"}, normalizer: "null", preTokenizer: `{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},` + gpt2 + `]}`},
		{names: []string{"qwen2"}, normalizer: `{"type":"NFC"}`, preTokenizer: splits(`\p{N}`)},
		{names: []string{"llama-bpe", "llama3", "llama-v3"}, normalizer: "null", preTokenizer: splits(`\p{N}{1,3}`), ignoreMerges: true, bos: true},
	}
}

// Kinds of tokens in tokenizer.ggml.token_type.
const (
	ggufControl     = 3
	ggufUserDefined = 4
	ggufUnused      = 5
)

// ggufVocabulary is what a file says of its tokenizer.
type ggufVocabulary struct {
	tokens []string
	kinds  []int64
	merges []string
}

var errVocabulary = errors.New("expected the " + tokenizerName + " of the original model beside the file then, found none")

// tokenizerOfGGUF writes the tokenizer.json of the model that a file was made
// from. It fails where that is not known to give the same tokens.
func tokenizerOfGGUF(f *gguf.File) ([]byte, error) {
	m := &metadata{f: f, arch: "tokenizer.ggml."}
	if kind, _ := m.value("tokenizer.ggml.model").Text(); kind != "gpt2" {
		m.fail("tokenizer.ggml.model", `"gpt2", byte-level BPE, which alone can be read from a GGUF file`)
		return nil, fmt.Errorf("%w; %w", m.err, errVocabulary)
	}
	all := ggufSplitters()
	pre, _ := m.value("tokenizer.ggml.pre").Text()
	i := slices.IndexFunc(all, func(s ggufSplitter) bool { return slices.Contains(s.names, pre) })
	if i < 0 {
		var names []string
		for _, s := range all {
			names = append(names, s.names[0])
		}
		m.fail("tokenizer.ggml.pre", "one of "+strings.Join(names, ", "))
		return nil, fmt.Errorf("%w; %w", m.err, errVocabulary)
	}
	if eos, _ := m.value("tokenizer.ggml.add_eos_token").Bool(); eos {
		m.fail("tokenizer.ggml.add_eos_token", "false")
	}
	v := ggufVocabulary{tokens: m.texts("tokens"), kinds: m.integers("token_type"), merges: m.texts("merges")}
	if m.err == nil && len(v.kinds) != len(v.tokens) {
		m.err = fmt.Errorf("tokenizer.ggml.token_type: expected one for each of %d tokens, found %d", len(v.tokens), len(v.kinds))
	}
	if m.err != nil {
		return nil, m.err
	}
	post, err := v.postProcessor(m, all[i].bos)
	if err != nil {
		return nil, err
	}
	return v.encode(all[i], post)
}

// texts reads a list of texts of the tokenizer's keys.
func (m *metadata) texts(key string) []string {
	v := m.value(m.arch + key)
	var all []string
	for e := range v.All() {
		s, ok := e.Text()
		if !ok {
			break
		}
		all = append(all, s)
	}
	if v.Kind != gguf.Array || len(all) != v.Len {
		m.fail(m.arch+key, "a list of texts in UTF-8")
	}
	return all
}

func (m *metadata) integers(key string) []int64 {
	v := m.value(m.arch + key)
	var all []int64
	for e := range v.All() {
		n, ok := e.Int()
		if !ok {
			break
		}
		all = append(all, n)
	}
	if v.Kind != gguf.Array || len(all) != v.Len {
		m.fail(m.arch+key, "a list of whole numbers")
	}
	return all
}

// postProcessor puts the beginning-of-text token before texts where the model
// wants it.
func (v *ggufVocabulary) postProcessor(m *metadata, bos bool) (string, error) {
	const plain = `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true}`
	if add, ok := m.value("tokenizer.ggml.add_bos_token").Bool(); ok {
		bos = add
	}
	if !bos {
		return plain, nil
	}
	id, ok := m.value("tokenizer.ggml.bos_token_id").Int()
	if !ok || id < 0 || id >= int64(len(v.tokens)) {
		m.fail("tokenizer.ggml.bos_token_id", fmt.Sprintf("one of %d tokens, which texts begin with", len(v.tokens)))
		return "", m.err
	}
	name := string(jsonText(v.tokens[id]))
	begin := func(kind int) string {
		return fmt.Sprintf(`{"SpecialToken":{"id":%s,"type_id":%d}}`, name, kind)
	}
	const a, b = `{"Sequence":{"id":"A","type_id":0}}`, `{"Sequence":{"id":"B","type_id":1}}`
	return fmt.Sprintf(`{"type":"Sequence","processors":[%s,{"type":"TemplateProcessing","single":[%s,%s],"pair":[%s,%s,%s,%s],"special_tokens":{%s:{"id":%s,"ids":[%d],"tokens":[%s]}}}]}`,
		plain, begin(0), a, begin(0), a, begin(1), b, name, name, id, name), nil
}

// encode writes the file. Added tokens are part of the model's vocabulary too:
// that gives them their ids.
func (v *ggufVocabulary) encode(s ggufSplitter, post string) ([]byte, error) {
	var b, vocab bytes.Buffer
	b.WriteString(`{"version":"1.0","truncation":null,"padding":null,"added_tokens":[`)
	seen := make(map[string]int, len(v.tokens))
	comma := ""
	for id, token := range v.tokens {
		if v.kinds[id] == ggufUnused { // a row of the embedding without a token
			continue
		}
		if first, twice := seen[token]; twice {
			return nil, fmt.Errorf("tokenizer.ggml.tokens: expected each token once, found %s as %d and %d", quote(token), first, id)
		}
		seen[token] = id
		text := jsonText(token)
		if vocab.Len() > 0 {
			vocab.WriteByte(',')
		}
		vocab.Write(text)
		vocab.WriteByte(':')
		vocab.WriteString(strconv.Itoa(id))
		if k := v.kinds[id]; k == ggufControl || k == ggufUserDefined {
			fmt.Fprintf(&b, `%s{"id":%d,"content":%s,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":%v}`, comma, id, text, k == ggufControl)
			comma = ","
		}
	}
	fmt.Fprintf(&b, `],"normalizer":%s,"pre_tokenizer":%s,"post_processor":%s,"decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},`,
		s.normalizer, s.preTokenizer, post)
	fmt.Fprintf(&b, `"model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":%v,"vocab":{`, s.ignoreMerges)
	b.Write(vocab.Bytes())
	b.WriteString(`},"merges":[`)
	for i, merge := range v.merges {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(jsonText(merge))
	}
	b.WriteString("]}}\n")
	return b.Bytes(), nil
}

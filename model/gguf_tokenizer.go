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
	ggufNormal      = 1
	ggufUnknown     = 2
	ggufControl     = 3
	ggufUserDefined = 4
	ggufUnused      = 5
	ggufByte        = 6
)

// ggufVocabulary is what a file says of its tokenizer.
type ggufVocabulary struct {
	tokens []string
	kinds  []int64
	merges []ggufMerge
}

// ggufMerge is two tokens that become one.
type ggufMerge struct{ left, right string }

// ggufPipeline is what stands around the vocabulary of a tokenizer.json, as JSON.
type ggufPipeline struct {
	normalizer, preTokenizer, decoder string
	processor                         string // the first post-processor, "" for none
	model                             string // fields of the model
	bos                               bool   // texts begin with it unless the file says otherwise
}

var errVocabulary = errors.New("expected the " + tokenizerName + " of the original model beside the file then, found none")

// tokenizerOfGGUF writes the tokenizer.json of the model that a file was made
// from. It fails where that is not known to give the same tokens.
func tokenizerOfGGUF(f *gguf.File) ([]byte, error) {
	m := &metadata{f: f, arch: "tokenizer.ggml."}
	var read func(m *metadata) (*ggufVocabulary, ggufPipeline, error)
	switch kind, _ := m.value("tokenizer.ggml.model").Text(); kind {
	case "gpt2":
		read = byteLevelOfGGUF
	case "llama":
		read = sentencePieceOfGGUF
	default:
		m.fail("tokenizer.ggml.model", `"gpt2", byte-level BPE, or "llama", SentencePiece`)
		return nil, fmt.Errorf("%w; %w", m.err, errVocabulary)
	}
	v, around, err := read(m)
	if err != nil {
		return nil, err
	}
	post, err := v.postProcessor(m, around)
	if err != nil {
		return nil, err
	}
	return v.encode(around, post)
}

// byteLevelOfGGUF reads a vocabulary of byte-level BPE.
func byteLevelOfGGUF(m *metadata) (*ggufVocabulary, ggufPipeline, error) {
	all := ggufSplitters()
	pre, _ := m.value("tokenizer.ggml.pre").Text()
	i := slices.IndexFunc(all, func(s ggufSplitter) bool { return slices.Contains(s.names, pre) })
	if i < 0 {
		var names []string
		for _, s := range all {
			names = append(names, s.names[0])
		}
		m.fail("tokenizer.ggml.pre", "one of "+strings.Join(names, ", "))
		return nil, ggufPipeline{}, fmt.Errorf("%w; %w", m.err, errVocabulary)
	}
	v := m.tokens()
	for _, merge := range m.texts("merges") {
		left, right, ok := strings.Cut(merge, " ")
		if !ok && m.err == nil {
			m.err = fmt.Errorf("tokenizer.ggml.merges: expected two tokens with a space between them, found %s", quote(merge))
		}
		v.merges = append(v.merges, ggufMerge{left, right})
	}
	return v, ggufPipeline{
		normalizer: all[i].normalizer, preTokenizer: all[i].preTokenizer, bos: all[i].bos,
		processor: `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true}`,
		decoder:   `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`,
		model:     fmt.Sprintf(`"unk_token":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":%v`, all[i].ignoreMerges),
	}, m.err
}

// tokens reads the tokens and their kinds.
func (m *metadata) tokens() *ggufVocabulary {
	v := &ggufVocabulary{tokens: m.texts("tokens"), kinds: m.integers("token_type")}
	if m.err == nil && len(v.kinds) != len(v.tokens) {
		m.err = fmt.Errorf("tokenizer.ggml.token_type: expected one for each of %d tokens, found %d", len(v.tokens), len(v.kinds))
	}
	return v
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

// postProcessor puts the tokens of the beginning and the end around texts where
// the model wants them.
func (v *ggufVocabulary) postProcessor(m *metadata, around ggufPipeline) (string, error) {
	const a, b = `{"Sequence":{"id":"A","type_id":0}}`, `{"Sequence":{"id":"B","type_id":1}}`
	single, pair, special := []string{a}, []string{b}, []string{}
	put := func(option string, add bool, token, what string) (name string, ok bool) {
		if says, ok := m.value(m.arch + option).Bool(); ok {
			add = says
		}
		if !add {
			return "", false
		}
		id, ok := m.value(m.arch + token).Int()
		if !ok || id < 0 || id >= int64(len(v.tokens)) {
			m.fail(m.arch+token, fmt.Sprintf("one of %d tokens, which texts %s with", len(v.tokens), what))
			return "", false
		}
		name = string(jsonText(v.tokens[id]))
		entry := fmt.Sprintf(`%s:{"id":%s,"ids":[%d],"tokens":[%s]}`, name, name, id, name)
		if !slices.Contains(special, entry) {
			special = append(special, entry)
		}
		return name, true
	}
	part := func(name string, kind int) string {
		return fmt.Sprintf(`{"SpecialToken":{"id":%s,"type_id":%d}}`, name, kind)
	}
	if name, ok := put("add_bos_token", around.bos, "bos_token_id", "begin"); ok {
		single, pair = []string{part(name, 0), a}, []string{part(name, 1), b}
	}
	if name, ok := put("add_eos_token", false, "eos_token_id", "end"); ok {
		single, pair = append(single, part(name, 0)), append(pair, part(name, 1))
	}
	if m.err != nil {
		return "", m.err
	}
	var all []string
	if around.processor != "" {
		all = append(all, around.processor)
	}
	if len(special) > 0 {
		all = append(all, fmt.Sprintf(`{"type":"TemplateProcessing","single":[%s],"pair":[%s],"special_tokens":{%s}}`,
			strings.Join(single, ","), strings.Join(slices.Concat(single, pair), ","), strings.Join(special, ",")))
	}
	switch len(all) {
	case 0:
		return "null", nil
	case 1:
		return all[0], nil
	}
	return fmt.Sprintf(`{"type":"Sequence","processors":[%s]}`, strings.Join(all, ",")), nil
}

// encode writes the file. Added tokens are part of the model's vocabulary too:
// that gives them their ids.
func (v *ggufVocabulary) encode(around ggufPipeline, post string) ([]byte, error) {
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
		if k := v.kinds[id]; k == ggufUnknown || k == ggufControl || k == ggufUserDefined {
			fmt.Fprintf(&b, `%s{"id":%d,"content":%s,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":%v}`, comma, id, text, k != ggufUserDefined)
			comma = ","
		}
	}
	fmt.Fprintf(&b, `],"normalizer":%s,"pre_tokenizer":%s,"post_processor":%s,"decoder":%s,`, around.normalizer, around.preTokenizer, post, around.decoder)
	fmt.Fprintf(&b, `"model":{"type":"BPE","dropout":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,%s,"vocab":{`, around.model)
	b.Write(vocab.Bytes())
	b.WriteString(`},"merges":[`)
	for i, merge := range v.merges {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "[%s,%s]", jsonText(merge.left), jsonText(merge.right))
	}
	b.WriteString("]}}\n")
	return b.Bytes(), nil
}

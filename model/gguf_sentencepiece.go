package model

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"graft/model/gguf"
)

// maxPiece bounds a piece that merges, in bytes; SentencePiece makes none of more
// than a few dozen characters.
const maxPiece = 512

// spacePiece is what SentencePiece writes for a space.
const spacePiece = "\u2581"

// sentencePieceOfGGUF reads a vocabulary that SentencePiece made by BPE (those of
// Llama 1 and 2, Mistral, Gemma).
func sentencePieceOfGGUF(m *metadata) (*ggufVocabulary, ggufPipeline, error) {
	m.refuse("precompiled_charsmap", "rules that normalise texts are not supported")
	if remove, _ := m.value(m.arch + "remove_extra_whitespaces").Bool(); remove {
		m.fail(m.arch+"remove_extra_whitespaces", "false")
	}
	v, scores := m.tokens(), m.numbers("scores")
	if m.err == nil && len(scores) != len(v.tokens) {
		m.err = fmt.Errorf("tokenizer.ggml.scores: expected one for each of %d tokens, found %d", len(v.tokens), len(scores))
	}
	unknown := v.unknown(m)
	if m.err != nil {
		return nil, ggufPipeline{}, m.err
	}
	around := v.spaces(m)
	around.bos = true
	around.model = fmt.Sprintf(`"unk_token":%s,"fuse_unk":true,"byte_fallback":%v,"ignore_merges":false`, unknown, slices.Contains(v.kinds, ggufByte))
	return v, around, v.fromScores(scores)
}

// spaces writes the parts that turn spaces into marks and back. Where a model
// wants a space before texts, a file does not say what that means for a text that
// begins with one, or that goes on after a special token. SentencePiece puts one
// before each, and so do the tokenizer.json of Llama 2 and the first Mistral;
// those of the later ones of Mistral, which have a token for [INST], only before
// what begins the whole, and only where there is none.
func (v *ggufVocabulary) spaces(m *metadata) ggufPipeline {
	const (
		mark   = `{"type":"Replace","pattern":{"String":" "},"content":"` + spacePiece + `"}`
		unmark = `{"type":"Replace","pattern":{"String":"` + spacePiece + `"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}`
	)
	p := ggufPipeline{normalizer: mark, preTokenizer: "null", decoder: `{"type":"Sequence","decoders":[` + unmark + `]}`}
	if prefix, ok := m.value(m.arch + "add_space_prefix").Bool(); ok && !prefix {
		return p
	}
	p.decoder = `{"type":"Sequence","decoders":[` + unmark + `,{"type":"Strip","content":" ","start":1,"stop":0}]}`
	if inst := slices.Index(v.tokens, "[INST]"); inst >= 0 && (v.kinds[inst] == ggufControl || v.kinds[inst] == ggufUserDefined) {
		p.normalizer = "null"
		p.preTokenizer = `{"type":"Metaspace","replacement":"` + spacePiece + `","prepend_scheme":"first","split":false}`
		return p
	}
	p.normalizer = `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"` + spacePiece + `"},` + mark + `]}`
	return p
}

// unknown is the token for what has no piece, as JSON.
func (v *ggufVocabulary) unknown(m *metadata) string {
	if m.err != nil {
		return ""
	}
	id := int64(slices.Index(v.kinds, ggufUnknown))
	if m.has("unknown_token_id") {
		var ok bool
		if id, ok = m.value(m.arch + "unknown_token_id").Int(); !ok || id < 0 || id >= int64(len(v.tokens)) {
			m.fail(m.arch+"unknown_token_id", fmt.Sprintf("one of %d tokens", len(v.tokens)))
			return ""
		}
	}
	if id < 0 {
		return "null"
	}
	return string(jsonText(v.tokens[id]))
}

// fromScores derives the merges: every way to make a piece of two others, pieces
// of higher score first. What the user defined is made before anything else, the
// longest beginning first, since SentencePiece never splits it; llama.cpp's
// converter takes the scores of such pieces, and their marks for spaces. Merges
// that scores cannot tell apart are ordered by ids, as they are in the
// tokenizer.json of Llama 2 and Mistral.
func (v *ggufVocabulary) fromScores(scores []float64) error {
	ids := make(map[string]int, len(v.tokens))
	for id, token := range v.tokens {
		if v.kinds[id] == ggufUserDefined {
			v.tokens[id] = strings.ReplaceAll(token, " ", spacePiece)
		}
		if v.kinds[id] == ggufNormal || v.kinds[id] == ggufUserDefined {
			ids[v.tokens[id]] = id
		}
	}
	type merge struct{ piece, left, right int }
	var defined, normal []merge
	for id, token := range v.tokens {
		if at, ok := ids[token]; !ok || at != id {
			continue
		}
		if len(token) > maxPiece {
			return fmt.Errorf("tokenizer.ggml.tokens: expected pieces of at most %d bytes, found one of %d as %d", maxPiece, len(token), id)
		}
		for i := range token {
			left, ok := ids[token[:i]]
			right, ok2 := ids[token[i:]]
			switch {
			case !ok || !ok2:
			case v.kinds[id] == ggufUserDefined:
				defined = append(defined, merge{id, left, right})
			default:
				normal = append(normal, merge{id, left, right})
			}
		}
	}
	if n := len(normal); n > 0 && normal[0].piece != normal[n-1].piece {
		first := scores[normal[0].piece]
		if !slices.ContainsFunc(normal, func(m merge) bool { return scores[m.piece] != first }) {
			return fmt.Errorf("tokenizer.ggml.scores: expected scores that order the pieces, found %v for all", first)
		}
	}
	length := func(id int) int { return utf8.RuneCountInString(v.tokens[id]) }
	slices.SortStableFunc(defined, func(a, b merge) int {
		return cmp.Or(cmp.Compare(length(b.left), length(a.left)), cmp.Compare(length(b.right), length(a.right)), cmp.Compare(a.piece, b.piece))
	})
	slices.SortStableFunc(normal, func(a, b merge) int {
		return cmp.Or(cmp.Compare(scores[b.piece], scores[a.piece]), cmp.Compare(a.piece, b.piece), cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
	})
	for _, m := range slices.Concat(defined, normal) {
		v.merges = append(v.merges, ggufMerge{v.tokens[m.left], v.tokens[m.right]})
	}
	return nil
}

// numbers reads a list of finite numbers of the tokenizer's keys.
func (m *metadata) numbers(key string) []float64 {
	v := m.value(m.arch + key)
	var all []float64
	for e := range v.All() {
		x, ok := e.Float()
		if !ok || math.IsNaN(x) || math.IsInf(x, 0) {
			break
		}
		all = append(all, x)
	}
	if v.Kind != gguf.Array || len(all) != v.Len {
		m.fail(m.arch+key, "a list of finite numbers")
	}
	return all
}

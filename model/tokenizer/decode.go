package tokenizer

import "strings"

// Decode turns ids back into text. skipSpecial leaves special tokens out. Ids
// that no token has are left out, as the library does.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		token, ok := t.IDToToken(id)
		if !ok || skipSpecial && t.special[token] {
			continue
		}
		tokens = append(tokens, token)
	}
	if !t.joined {
		return strings.Join(tokens, " ")
	}
	s := t.scratchs.Get().(*scratch)
	defer t.scratchs.Put(s)
	out, err := t.decoder.decode(s, tokens)
	if err != nil {
		// Only a Replace whose regex explodes ends here; its input is better
		// text than none.
		return strings.Join(tokens, "")
	}
	return strings.Join(out, "")
}

package tokenizer

import "strings"

// Stream decodes ids one at a time, for printing text as it is generated. It
// gives out text only when no later id can change it, so that characters which
// several tokens spell come whole.
//
// All it gives out, put together, is what Decode makes of all the ids. The one
// exception is a run of byte-fallback tokens that begins well and turns out
// ill-formed after characters of it have been given out: those stay, where
// Decode makes the whole run U+FFFD.
type Stream struct {
	t    *Tokenizer
	skip bool
	// ids is the window that is decoded again for every id; its first done
	// ids have been given out and decode to prefix.
	ids    []int32
	done   int
	prefix string
}

// NewStream returns a stream that has given out nothing yet.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream { return &Stream{t: t, skip: skipSpecial} }

// maxPending is the number of ids after which text that still looks cut off
// is given out as it is. A character has at most four bytes.
const maxPending = 16

// Next takes the next id and returns the text that is now certain, "" if none
// is.
func (s *Stream) Next(id int32) string {
	s.ids = append(s.ids, id)
	text := s.t.Decode(s.ids, s.skip)
	if strings.HasSuffix(text, "\uFFFD") && len(s.ids)-s.done <= maxPending {
		return ""
	}
	return s.give(text)
}

// Flush returns what Next held back.
func (s *Stream) Flush() string {
	text := s.give(s.t.Decode(s.ids, s.skip))
	s.ids, s.done, s.prefix = nil, 0, ""
	return text
}

// give returns what text adds to the prefix, and moves the window on: the ids
// given out last stay in it, since a decoder may treat its first token
// differently.
func (s *Stream) give(text string) string {
	if len(s.ids) == s.done {
		return ""
	}
	out, ok := strings.CutPrefix(text, s.prefix)
	if !ok {
		out = s.t.Decode(s.ids[s.done:], s.skip)
	}
	if out == "" {
		// Ids without text would be decoded again for each that follows. The first id of
		// all stays, for the same reason as those given out.
		if len(s.ids)-s.done > maxPending {
			s.ids = s.ids[:max(s.done, 1)]
		}
		return ""
	}
	s.ids = append(s.ids[:0], s.ids[s.done:]...)
	s.done = len(s.ids)
	s.prefix = s.t.Decode(s.ids, s.skip)
	return out
}

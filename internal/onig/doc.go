// Package onig matches regular expressions as Oniguruma does.
//
// Tokenizer files carry patterns written for Oniguruma's Ruby syntax over
// UTF-8: lookaheads, possessive quantifiers, nested character classes, and
// classes such as \s, \w and \p{L} with Unicode's meaning. Go's regexp has no
// lookahead, and the .NET dialect differs in those classes, so the dialect is
// implemented here, on UTF-8 directly.
//
//	re, err := onig.Compile(`\p{L}+|\s+(?!\S)|\s+`)
//	if err != nil {
//		return err
//	}
//	m := re.NewMatcher()
//	lo, hi, ok, err := m.Find("to be", 2)
//
// A run of one character class, the bulk of any tokenizer pattern, is matched
// in one step and given back one character at a time, so that time stays
// linear on long words; a pattern that still explodes stops with
// ErrTooManySteps.
//
// Not supported, and refused by Compile: backreferences, subexpression calls,
// conditionals, absent operators, \R, \X, \K. Case folding maps single
// characters; a fold to several characters (ß to ss) is not done. Captures are
// groups only: nothing is reported but the whole match.
package onig

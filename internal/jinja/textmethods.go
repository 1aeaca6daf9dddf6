package jinja

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= utf8.RuneSelf })
}

func upper(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	return cases.Upper(language.Und).String(s)
}

func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return cases.Lower(language.Und).String(s)
}

func isCased(c rune) bool {
	return unicode.IsUpper(c) || unicode.IsLower(c) || unicode.IsTitle(c) || unicode.Is(unicode.Other_Lowercase, c) || unicode.Is(unicode.Other_Uppercase, c)
}

// titleRune is the title case of one character.
func titleRune(c rune) string {
	if t := unicode.ToTitle(c); t != c {
		return string(t)
	}
	// Characters that become several: only the first letter is a capital, as in Ss.
	u := upper(string(c))
	n := strings.IndexFunc(u, isCased)
	if n < 0 {
		return u
	}
	_, size := utf8.DecodeRuneInString(u[n:])
	return u[:n+size] + lower(u[n+size:])
}

// title is Python's str.title.
func title(s string) string {
	var b strings.Builder
	cased := false
	for _, c := range s {
		if cased {
			b.WriteString(lower(string(c)))
		} else {
			b.WriteString(titleRune(c))
		}
		cased = isCased(c)
	}
	return b.String()
}

func capitalize(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return titleRune(c) + lower(s[n:])
}

// isStripped is what str.strip() without arguments takes away.
func isStripped(c rune) bool { return isSpace(c) }

// strip takes characters away from one side or both.
func strip(s string, chars any, left, right bool) string {
	cut := isStripped
	if chars != nil {
		set := wantText(chars, "strip")
		cut = func(c rune) bool { return strings.ContainsRune(set, c) }
	}
	if left {
		s = strings.TrimLeftFunc(s, cut)
	}
	if right {
		s = strings.TrimRightFunc(s, cut)
	}
	return s
}

// split is str.split, and str.rsplit with right.
func split(s string, sep any, most int64, right bool) []string {
	if sep != nil {
		by := wantText(sep, "split")
		if by == "" {
			fail("split: empty separator")
		}
		if most < 0 {
			return strings.Split(s, by)
		}
		if !right {
			return strings.SplitN(s, by, int(most)+1)
		}
		var parts []string
		for ; most > 0; most-- {
			i := strings.LastIndex(s, by)
			if i < 0 {
				break
			}
			parts = append(parts, s[i+len(by):])
			s = s[:i]
		}
		parts = append(parts, s)
		slices.Reverse(parts)
		return parts
	}
	parts := []string{}
	if right {
		s = strings.TrimRightFunc(s, isStripped)
		for ; s != ""; most-- {
			i := strings.LastIndexFunc(s, isStripped)
			if i < 0 || most == 0 {
				if most == 0 {
					parts = append(parts, s)
					break
				}
				parts = append(parts, s)
				break
			}
			_, n := utf8.DecodeRuneInString(s[i:])
			parts = append(parts, s[i+n:])
			s = strings.TrimRightFunc(s[:i], isStripped)
		}
		slices.Reverse(parts)
		return parts
	}
	s = strings.TrimLeftFunc(s, isStripped)
	for ; s != ""; most-- {
		i := strings.IndexFunc(s, isStripped)
		if i < 0 || most == 0 {
			parts = append(parts, s)
			break
		}
		parts = append(parts, s[:i])
		s = strings.TrimLeftFunc(s[i:], isStripped)
	}
	return parts
}

func lines(s string, keep bool) []string {
	parts := []string{}
	for s != "" {
		i := strings.IndexFunc(s, func(c rune) bool {
			return c >= '\n' && c <= '\r' || c >= 0x1c && c <= 0x1e || c == 0x85 || c == 0x2028 || c == 0x2029
		})
		if i < 0 {
			return append(parts, s)
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		if strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		if keep {
			parts = append(parts, s[:i+n])
		} else {
			parts = append(parts, s[:i])
		}
		s = s[i+n:]
	}
	return parts
}

func texts(parts []string) list {
	out := make(list, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out
}

// window is s[lo:hi] of str methods that take bounds, and where it begins in
// code points; ok is false when lo lies behind the end.
func window(s string, a *args) (part string, from int64, ok bool) {
	lo, hi := a.take("start", nil), a.take("end", nil)
	a.end()
	if lo == nil && hi == nil {
		return s, 0, true
	}
	runes := []rune(s)
	n := int64(len(runes))
	place := func(v any, none int64) int64 {
		if v == nil {
			return none
		}
		i := wantInt(v, a.what)
		if i < 0 {
			i = max(0, i+n)
		}
		return i
	}
	from = place(lo, 0)
	to := min(place(hi, n), n)
	if from > n || from > to {
		return "", from, false
	}
	return string(runes[from:to]), from, true
}

// find is where sub begins in s, in code points, or -1.
func find(s string, a *args, last bool) int64 {
	sub := wantText(a.want("sub"), a.what)
	part, from, ok := window(s, a)
	i := strings.Index(part, sub)
	if last {
		i = strings.LastIndex(part, sub)
	}
	if !ok || i < 0 {
		return -1
	}
	return from + int64(utf8.RuneCountInString(part[:i]))
}

func affix(s string, a *args, has func(s, part string) bool) any {
	of := a.want("prefix")
	part, _, ok := window(s, a)
	if t, isTuple := of.(tuple); isTuple {
		return slices.ContainsFunc(t, func(x any) bool { return ok && has(part, wantText(x, a.what)) })
	}
	return has(part, wantText(of, a.what)) && ok
}

func replace(r *renderer, s, from, to string, n int64) string {
	if n < 0 {
		n = -1
	}
	count := strings.Count(s, from)
	if grow := len(to) - len(from); grow > 0 {
		if count > math.MaxInt32/grow {
			fail("takes too much memory")
		}
		r.charge(count * grow)
	}
	r.charge(len(s))
	return strings.Replace(s, from, to, int(max(-1, min(n, math.MaxInt32))))
}

func pad(s string, a *args, left, right bool) string {
	width := wantInt(a.want("width"), a.what)
	fillWith := wantText(a.take("fillchar", " "), a.what)
	a.end()
	n := width - int64(utf8.RuneCountInString(s))
	if n <= 0 {
		return s
	}
	if n > 1<<20 || utf8.RuneCountInString(fillWith) != 1 {
		fail("%s: width %d, fill %q", a.what, width, fillWith)
	}
	before := int64(0)
	switch {
	case left && right: // as CPython centres
		before = n/2 + n&width&1
	case left:
		before = n
	}
	return strings.Repeat(fillWith, int(before)) + s + strings.Repeat(fillWith, int(n-before))
}

func every(s string, is func(c rune) bool) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return !is(c) })
}

// isCase reports whether s has cased characters and all are as wanted.
func isCase(s string, other func(c rune) bool) bool {
	return strings.ContainsFunc(s, isCased) && !strings.ContainsFunc(s, other)
}

func isLetter(c rune) bool { return unicode.IsLetter(c) }

func isLower(s string) bool {
	return isCase(s, func(c rune) bool { return unicode.IsUpper(c) || unicode.IsTitle(c) })
}

func isUpper(s string) bool {
	return isCase(s, func(c rune) bool { return unicode.IsLower(c) || unicode.IsTitle(c) })
}

// textMethods are the methods of str. A result that is a string is charged for
// by the caller.
var textMethods = map[string]func(r *renderer, s string, a *args) any{
	"upper":      func(r *renderer, s string, a *args) any { a.end(); return upper(s) },
	"lower":      func(r *renderer, s string, a *args) any { a.end(); return lower(s) },
	"casefold":   func(r *renderer, s string, a *args) any { a.end(); return cases.Fold().String(s) },
	"title":      func(r *renderer, s string, a *args) any { a.end(); return title(s) },
	"capitalize": func(r *renderer, s string, a *args) any { a.end(); return capitalize(s) },
	"swapcase": func(r *renderer, s string, a *args) any {
		a.end()
		var b strings.Builder
		for _, c := range s {
			if unicode.IsUpper(c) {
				b.WriteString(lower(string(c)))
			} else {
				b.WriteString(upper(string(c)))
			}
		}
		return b.String()
	},
	"strip":  func(r *renderer, s string, a *args) any { return strip(s, one(a, "chars", nil), true, true) },
	"lstrip": func(r *renderer, s string, a *args) any { return strip(s, one(a, "chars", nil), true, false) },
	"rstrip": func(r *renderer, s string, a *args) any { return strip(s, one(a, "chars", nil), false, true) },
	"split":  func(r *renderer, s string, a *args) any { return splitMethod(s, a, false) },
	"rsplit": func(r *renderer, s string, a *args) any { return splitMethod(s, a, true) },
	"splitlines": func(r *renderer, s string, a *args) any {
		return texts(lines(s, truth(one(a, "keepends", false))))
	},
	"startswith": func(r *renderer, s string, a *args) any { return affix(s, a, strings.HasPrefix) },
	"endswith":   func(r *renderer, s string, a *args) any { return affix(s, a, strings.HasSuffix) },
	"replace": func(r *renderer, s string, a *args) any {
		from, to := wantText(a.want("old"), a.what), wantText(a.want("new"), a.what)
		n := wantInt(a.take("count", int64(-1)), a.what)
		a.end()
		return replace(r, s, from, to, n)
	},
	"find":  func(r *renderer, s string, a *args) any { return find(s, a, false) },
	"rfind": func(r *renderer, s string, a *args) any { return find(s, a, true) },
	"index": func(r *renderer, s string, a *args) any {
		i := find(s, a, false)
		if i < 0 {
			fail("index: substring not found")
		}
		return i
	},
	"count": func(r *renderer, s string, a *args) any {
		sub := wantText(a.want("sub"), a.what)
		part, _, ok := window(s, a)
		if !ok {
			return int64(0)
		}
		return int64(strings.Count(part, sub))
	},
	"join": func(r *renderer, s string, a *args) any {
		var parts []string
		for _, x := range elements(one(a, "iterable", a)) {
			parts = append(parts, wantText(x, "join"))
		}
		return join(r, parts, s)
	},
	"format": func(r *renderer, s string, a *args) any { return r.strFormat(s, a) },
	"removeprefix": func(r *renderer, s string, a *args) any {
		return strings.TrimPrefix(s, wantText(one(a, "prefix", a), a.what))
	},
	"removesuffix": func(r *renderer, s string, a *args) any {
		return strings.TrimSuffix(s, wantText(one(a, "suffix", a), a.what))
	},
	"partition": func(r *renderer, s string, a *args) any {
		sep := separator(a)
		before, after, ok := strings.Cut(s, sep)
		if !ok {
			return tuple{s, "", ""}
		}
		return tuple{before, sep, after}
	},
	"rpartition": func(r *renderer, s string, a *args) any {
		sep := separator(a)
		i := strings.LastIndex(s, sep)
		if i < 0 {
			return tuple{"", "", s}
		}
		return tuple{s[:i], sep, s[i+len(sep):]}
	},
	"center": func(r *renderer, s string, a *args) any { return pad(s, a, true, true) },
	"ljust":  func(r *renderer, s string, a *args) any { return pad(s, a, false, true) },
	"rjust":  func(r *renderer, s string, a *args) any { return pad(s, a, true, false) },
	"zfill": func(r *renderer, s string, a *args) any {
		width := wantInt(one(a, "width", a), a.what)
		n := width - int64(utf8.RuneCountInString(s))
		if n > 1<<20 {
			fail("zfill: width %d", width)
		}
		sign := ""
		if s != "" && (s[0] == '-' || s[0] == '+') {
			sign, s = s[:1], s[1:]
		}
		return sign + strings.Repeat("0", int(max(0, n))) + s
	},
	"isalpha": func(r *renderer, s string, a *args) any { a.end(); return every(s, isLetter) },
	"isdigit": func(r *renderer, s string, a *args) any {
		a.end()
		return every(s, func(c rune) bool {
			return unicode.IsDigit(c) || strings.ContainsRune("²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", c)
		})
	},
	"isdecimal": func(r *renderer, s string, a *args) any { a.end(); return every(s, unicode.IsDigit) },
	"isnumeric": func(r *renderer, s string, a *args) any { a.end(); return every(s, unicode.IsNumber) },
	"isalnum": func(r *renderer, s string, a *args) any {
		a.end()
		return every(s, func(c rune) bool { return isLetter(c) || unicode.IsNumber(c) })
	},
	"isspace": func(r *renderer, s string, a *args) any { a.end(); return every(s, isSpace) },
	"isupper": func(r *renderer, s string, a *args) any { a.end(); return isUpper(s) },
	"islower": func(r *renderer, s string, a *args) any { a.end(); return isLower(s) },
	"istitle": func(r *renderer, s string, a *args) any {
		a.end()
		return strings.ContainsFunc(s, isCased) && title(s) == s
	},
}

// one takes the only argument of a method; otherwise a itself says that it has
// to be there.
func one(a *args, key string, otherwise any) any {
	v := otherwise
	if otherwise == any(a) {
		v = a.want(key)
	} else {
		v = a.take(key, otherwise)
	}
	a.end()
	return v
}

func separator(a *args) string {
	sep := wantText(one(a, "sep", a), a.what)
	if sep == "" {
		fail("%s: empty separator", a.what)
	}
	return sep
}

func splitMethod(s string, a *args, right bool) any {
	sep := a.take("sep", nil)
	most := wantInt(a.take("maxsplit", int64(-1)), a.what)
	a.end()
	if most < 0 || most > math.MaxInt32 {
		most = math.MaxInt32
		if sep != nil {
			most = -1
		}
	}
	return texts(split(s, sep, most, right))
}

func join(r *renderer, parts []string, sep string) string {
	for _, p := range parts {
		r.charge(len(p) + len(sep))
	}
	return strings.Join(parts, sep)
}

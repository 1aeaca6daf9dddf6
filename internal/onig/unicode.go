package onig

import (
	"strings"
	"unicode"
)

func space() ranges { return fromTable(unicode.White_Space) }

// word is Alphabetic, marks, decimal digits and connector punctuation.
func word() ranges {
	return fromTables(unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Pc)
}

func digit() ranges { return fromTable(unicode.Nd) }

func hexDigit() ranges { return ranges{{'0', '9'}, {'A', 'F'}, {'a', 'f'}} }

// escapes maps the letter of a class escape; the capital negates.
var escapes = map[rune]func() ranges{'s': space, 'w': word, 'd': digit, 'h': hexDigit}

// controls maps the letter of an escape for one control character.
var controls = map[rune]rune{'t': '\t', 'n': '\n', 'r': '\r', 'f': '\f', 'v': '\v', 'a': '\a', 'e': 0x1B, 'b': '\b'}

func assigned() ranges {
	return fromTables(unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z,
		unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs)
}

func alphabetic() ranges { return fromTables(unicode.L, unicode.Nl, unicode.Other_Alphabetic) }

// graph is what leaves ink: not space, control, surrogate or unassigned.
func graph() ranges {
	return intersect(assigned(), fromTables(unicode.White_Space, unicode.Cc, unicode.Cs).negate())
}

var posixClasses = map[string]func() ranges{
	"alpha":  alphabetic,
	"digit":  digit,
	"alnum":  func() ranges { return union(alphabetic(), digit()) },
	"space":  space,
	"upper":  func() ranges { return fromTables(unicode.Lu, unicode.Other_Uppercase) },
	"lower":  func() ranges { return fromTables(unicode.Ll, unicode.Other_Lowercase) },
	"punct":  func() ranges { return union(fromTable(unicode.P), asciiSymbols) },
	"cntrl":  func() ranges { return fromTable(unicode.Cc) },
	"xdigit": hexDigit,
	"word":   word,
	"blank":  func() ranges { return union(fromTable(unicode.Zs), ranges{{'\t', '\t'}}) },
	"ascii":  func() ranges { return ranges{{0, 0x7F}} },
	"graph":  graph,
	"print":  func() ranges { return union(graph(), fromTable(unicode.Zs)) },
}

// asciiSymbols are the ASCII symbols that POSIX calls punctuation.
var asciiSymbols = ranges{{'$', '$'}, {'+', '+'}, {'<', '>'}, {'^', '^'}, {'`', '`'}, {'|', '|'}, {'~', '~'}}

// longNames maps the long names of general categories to the short ones.
var longNames = map[string]string{
	"letter": "L", "uppercaseletter": "Lu", "lowercaseletter": "Ll", "titlecaseletter": "Lt",
	"modifierletter": "Lm", "otherletter": "Lo", "mark": "M", "combiningmark": "M",
	"nonspacingmark": "Mn", "spacingmark": "Mc", "enclosingmark": "Me", "number": "N",
	"decimalnumber": "Nd", "letternumber": "Nl", "othernumber": "No", "punctuation": "P",
	"connectorpunctuation": "Pc", "dashpunctuation": "Pd", "openpunctuation": "Ps",
	"closepunctuation": "Pe", "initialpunctuation": "Pi", "finalpunctuation": "Pf",
	"otherpunctuation": "Po", "symbol": "S", "mathsymbol": "Sm", "currencysymbol": "Sc",
	"modifiersymbol": "Sk", "othersymbol": "So", "separator": "Z", "spaceseparator": "Zs",
	"lineseparator": "Zl", "paragraphseparator": "Zp", "control": "Cc", "format": "Cf",
	"surrogate": "Cs", "privateuse": "Co",
}

func squash(name string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(name))
}

func lookup(tables map[string]*unicode.RangeTable, name string) (ranges, bool) {
	for k, t := range tables {
		if squash(k) == name {
			return fromTable(t), true
		}
	}
	return nil, false
}

// property returns the code points of a category, script, binary property or
// POSIX class; case, spaces, dashes and underscores in its name are ignored.
func property(name string) (ranges, bool) {
	key := squash(name)
	if short, ok := longNames[key]; ok {
		key = strings.ToLower(short)
	}
	switch key {
	case "any":
		return ranges{{0, maxRune}}, true
	case "assigned":
		return assigned(), true
	case "cn", "unassigned":
		return assigned().negate(), true
	case "c", "other":
		return union(assigned().negate(), fromTable(unicode.C)), true
	case "lc":
		return fromTables(unicode.Lu, unicode.Ll, unicode.Lt), true
	case "alphabetic":
		return alphabetic(), true
	case "uppercase":
		return posixClasses["upper"](), true
	case "lowercase":
		return posixClasses["lower"](), true
	}
	if r, ok := lookup(unicode.Categories, key); ok {
		return r, true
	}
	if build, ok := posixClasses[key]; ok {
		return build(), true
	}
	if r, ok := lookup(unicode.Scripts, key); ok {
		return r, true
	}
	return lookup(unicode.Properties, key)
}

func isWord(c rune) bool {
	return unicode.In(c, unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Pc)
}

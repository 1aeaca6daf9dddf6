package onig

import (
	"strings"
	"unicode"
)

func space() ranges { return fromTable(unicode.White_Space) }

func word() ranges { return wordTable }

// classWord is \w inside brackets, where Oniguruma looks it up by code point
// only. Outside it has a table for Latin-1 that counts ² ³ ¹ ¼ ½ ¾ in.
func classWord() ranges {
	return intersect(wordTable, ranges{{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}}.negate())
}

func digit() ranges { return categoryNd }

func hexDigit() ranges { return ranges{{'0', '9'}, {'A', 'F'}, {'a', 'f'}} }

// escapes maps the letter of a class escape; the capital negates.
var escapes = map[rune]func() ranges{'s': space, 'w': word, 'd': digit, 'h': hexDigit}

// controls maps the letter of an escape for one control character.
var controls = map[rune]rune{'t': '\t', 'n': '\n', 'r': '\r', 'f': '\f', 'v': '\v', 'a': '\a', 'e': 0x1B, 'b': '\b'}

// categories are the general categories of Oniguruma's Unicode version,
// whatever the version of Go's own tables. Unassigned is what is left.
var categories = map[string]ranges{
	"lu": categoryLu, "ll": categoryLl, "lt": categoryLt, "lm": categoryLm, "lo": categoryLo,
	"mn": categoryMn, "mc": categoryMc, "me": categoryMe,
	"nd": categoryNd, "nl": categoryNl, "no": categoryNo,
	"pc": categoryPc, "pd": categoryPd, "ps": categoryPs, "pe": categoryPe, "pi": categoryPi,
	"pf": categoryPf, "po": categoryPo,
	"sm": categorySm, "sc": categorySc, "sk": categorySk, "so": categorySo,
	"zs": categoryZs, "zl": categoryZl, "zp": categoryZp,
	"cc": categoryCc, "cf": categoryCf,
	"co": {{0xE000, 0xF8FF}, {0xF0000, 0xFFFFD}, {0x100000, 0x10FFFD}},
	"cs": {{0xD800, 0xDFFF}},
}

// major joins the categories whose names start with one of the letters.
func major(letters string) ranges {
	var out ranges
	for name, r := range categories {
		if strings.IndexByte(letters, name[0]) >= 0 {
			out = append(out, r...)
		}
	}
	return normalize(out)
}

func assigned() ranges { return major("lmnpszc") }

// graph is what leaves ink: not space, control, surrogate or unassigned.
func graph() ranges {
	return intersect(assigned(), union(space(), union(categoryCc, categories["cs"])).negate())
}

func upper() ranges { return union(categoryLu, fromTable(unicode.Other_Uppercase)) }
func lower() ranges { return union(categoryLl, fromTable(unicode.Other_Lowercase)) }

var posixClasses = map[string]func() ranges{
	"alpha":  func() ranges { return alphabeticTable },
	"digit":  digit,
	"alnum":  func() ranges { return union(alphabeticTable, categoryNd) },
	"space":  space,
	"upper":  upper,
	"lower":  lower,
	"punct":  func() ranges { return major("ps") },
	"cntrl":  func() ranges { return categoryCc },
	"xdigit": hexDigit,
	"word":   classWord,
	"blank":  func() ranges { return union(categoryZs, ranges{{'\t', '\t'}}) },
	"ascii":  func() ranges { return ranges{{0, 0x7F}} },
	"graph":  graph,
	"print":  func() ranges { return union(graph(), categoryZs) },
}

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
		return union(assigned().negate(), major("c")), true
	case "l", "m", "n", "p", "s", "z":
		return major(key), true
	case "punct":
		return major("p"), true
	case "lc":
		return union(union(categoryLu, categoryLl), categoryLt), true
	case "emoji":
		return emojiTable, true
	case "emojipresentation":
		return emojiPresentationTable, true
	case "extendedpictographic":
		return pictographicTable, true
	case "alphabetic":
		return alphabeticTable, true
	case "uppercase":
		return upper(), true
	case "lowercase":
		return lower(), true
	}
	if r, ok := categories[key]; ok {
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

func isWord(c rune) bool { return wordTable.has(c) }

package jinja

import (
	"fmt"
	"strings"
	"time"
)

// maxRange is the most elements a range may have, as in Jinja's sandbox.
const maxRange = 100_000

var globals map[string]*function

func init() { // the functions refer to each other
	globals = map[string]*function{}
	for name, call := range map[string]func(r *renderer, a *args) any{
		"range": rangeFunc, "namespace": newNamespace, "dict": newDict,
		"raise_exception": func(r *renderer, a *args) any {
			msg := r.str(a.want("message"))
			a.end()
			panic(failure{text: msg, raised: true})
		},
		"strftime_now": func(r *renderer, a *args) any {
			layout := wantText(a.want("format"), "strftime_now")
			a.end()
			if r.o.Now == nil {
				fail("asks for the date, and no date was given")
			}
			return r.made(strftime(r.o.Now(), layout))
		},
	} {
		globals[name] = &function{name, func(r *renderer, pos []any, kw *Dict) any {
			return call(r, &args{what: name, pos: pos, kw: kw})
		}}
	}
}

func rangeFunc(r *renderer, a *args) any {
	x := rangeOf{step: 1}
	if a.kw.Len() > 0 {
		fail("range takes no keyword arguments")
	}
	switch len(a.pos) {
	case 1:
		x.stop = wantInt(a.pos[0], "range")
	case 2, 3:
		x.start, x.stop = wantInt(a.pos[0], "range"), wantInt(a.pos[1], "range")
		if len(a.pos) == 3 {
			x.step = wantInt(a.pos[2], "range")
		}
	default:
		fail("range takes 1 to 3 arguments, found %d", len(a.pos))
	}
	const far = 1 << 40
	if x.step == 0 {
		fail("range: step must not be zero")
	}
	if max(x.start, x.stop, x.step, -x.start, -x.stop, -x.step) > far || x.len() > maxRange {
		fail("range has more than %d elements", maxRange)
	}
	return x
}

// fill takes what dict() and namespace() take into d.
func fill(set func(k, v any), a *args) {
	if len(a.pos) > 1 {
		fail("%s takes one argument, found %d", a.what, len(a.pos))
	}
	for _, v := range a.pos {
		if d, ok := v.(*Dict); ok {
			for i, k := range d.keys {
				set(k, d.values[i])
			}
			continue
		}
		for _, pair := range elements(v) {
			kv := elements(pair)
			if len(kv) != 2 {
				fail("%s: an element has length %d, want 2", a.what, len(kv))
			}
			set(kv[0], kv[1])
		}
	}
	for i, k := range a.kw.keys {
		set(k, a.kw.values[i])
	}
}

func newDict(r *renderer, a *args) any {
	d := NewDict()
	fill(d.Set, a)
	return d
}

func newNamespace(r *renderer, a *args) any {
	ns := &namespace{NewDict()}
	fill(ns.set, a)
	return ns
}

// strftime formats a time as Python does in the C locale.
func strftime(t time.Time, layout string) string {
	forms := map[byte]string{
		'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM",
		'B': "January", 'b': "Jan", 'h': "Jan", 'A': "Monday", 'a': "Mon", 'F': "2006-01-02", 'T': "15:04:05",
		'D': "01/02/06", 'x': "01/02/06", 'X': "15:04:05", 'c': "Mon Jan _2 15:04:05 2006", 'R': "15:04", 'e': "_2", 'j': "002",
	}
	var b strings.Builder
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' || i+1 == len(layout) {
			b.WriteByte(layout[i])
			continue
		}
		i++
		plain := layout[i] == '-' && i+1 < len(layout)
		if plain {
			i++
		}
		switch c := layout[i]; {
		case c == '%':
			b.WriteByte('%')
		case c == 'f':
			fmt.Fprintf(&b, "%06d", t.Nanosecond()/1000)
		case c == 'Z' || c == 'z': // Python has no zone here
		case forms[c] == "":
			fail("strftime_now: format %%%c is not supported", c)
		case plain:
			b.WriteString(strings.TrimLeft(strings.TrimLeft(t.Format(forms[c])[:1], "0 ")+t.Format(forms[c])[1:], " "))
		default:
			b.WriteString(t.Format(forms[c]))
		}
	}
	return b.String()
}

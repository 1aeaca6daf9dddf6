package jinja

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestBombs holds templates that would run for ever or take all memory to their
// limits: each ends with one line.
func TestBombs(t *testing.T) {
	deep := func(open, middle, end string, n int) string {
		return strings.Repeat(open, n) + middle + strings.Repeat(end, n)
	}
	for name, source := range map[string]string{
		"loops":            `{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}{% endfor %}`,
		"long range":       `{% for a in range(1000000000000) %}{% endfor %}`,
		"repeat":           `{{ 'a' * 99999999999 }}`,
		"repeat list":      `{{ [1] * 99999999999 }}`,
		"doubling":         `{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`,
		"doubling list":    `{% set ns = namespace(s=[1, 2]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`,
		"doubling join":    `{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s]|join %}{% endfor %}`,
		"doubling replace": `{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('a', 'aa') %}{% endfor %}`,
		"doubling set":     `{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set x %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = x %}{% endfor %}`,
		"doubling tilde":   `{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`,
		"doubling json":    `{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s]|tojson %}{% endfor %}`,
		"doubling repr":    `{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s]|string %}{% endfor %}`,
		"shared lists":     `{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}`,
		"equal lists":      `{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}`,
		"shared json":      `{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson }}`,
		"sort":             `{% for i in range(100000) %}{% set x = range(100000)|sort %}{% endfor %}`,
		"macro":            `{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}`,
		"two macros":       `{% macro a() %}{{ b() }}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}`,
		"recursive loop":   `{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}`,
		"itself":           `{% set ns = namespace() %}{% set ns.x = ns %}{{ ns|tojson }}`,
		"power":            `{{ 10 ** 10 ** 10 }}`,
		"indent json":      `{{ [1]|tojson(indent=99999999) }}`,
		"wide":             `{{ '%999999999d' % 1 }}`,
		"centred":          `{{ 'a'.center(9999999999) }}`,
		"filled batch":     `{{ [1]|batch(99999999999, 0)|list }}`,
		"parentheses":      "{{ " + deep("(", "1", ")", 100000) + " }}",
		"brackets":         "{{ " + deep("[", "", "]", 100000) + " }}",
		"braces":           "{{ " + deep("{1:", "1", "}", 100000) + " }}",
		"nots":             "{{ " + strings.Repeat("not ", 100000) + "1 }}",
		"minuses":          "{{ " + strings.Repeat("- ", 100000) + "1 }}",
		"ifs":              deep("{% if 1 %}", "", "{% endif %}", 10000),
		"targets":          "{% for " + deep("(", "a", ")", 10000) + " in x %}{% endfor %}",
		"conditions":       "{{ " + strings.Repeat("1 if 1 else ", 10000) + "1 }}",
		"chain":            "{{ x" + strings.Repeat("|upper", 100000) + " }}",
		"sums":             "{{ 1" + strings.Repeat(" + 1", 200000) + " }}",
		"include":          `{% include '/etc/passwd' %}`,
		"import":           `{% from '/etc/passwd' import x %}`,
		"extends":          `{% extends '/etc/passwd' %}`,
		"large":            strings.Repeat("x", maxSource+1),
		"not UTF-8":        "\xff",
	} {
		t.Run(name, func(t *testing.T) {
			tm, err := Parse("test", source)
			if err == nil {
				_, err = tm.Render(nil, Options{Limits: Limits{Steps: 500_000, Bytes: 1 << 24}})
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an error", err)
			}
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 200 {
				t.Errorf("got %q, want one short line", err)
			}
		})
	}
}

func TestGeneration(t *testing.T) {
	const source = `{% for m in ms %}<{{ m }}>{% generation %}é{{ m }}!{% endgeneration %}{% endfor %}`
	tm, err := Parse("t", source)
	if err != nil {
		t.Fatal(err)
	}
	if !tm.Marks() {
		t.Error("Marks: got false, want true")
	}
	out, err := tm.Render(map[string]any{"ms": []any{"a", "bc"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range out.Generated {
		got = append(got, out.Text[g[0]:g[1]])
	}
	if s := strings.Join(got, "|"); s != "éa!|ébc!" {
		t.Errorf("got %q, want éa!|ébc!", s)
	}
	if _, err := render(`{% macro m() %}{% generation %}x{% endgeneration %}{% endmacro %}{{ m() }}`, nil); err == nil {
		t.Error("a generation block in a macro: got no error")
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"a\n{{ raise_exception('roles must alternate') }}", "jinja: test:2: roles must alternate"},
		{"{{ x.y }}", `jinja: test:1: "x" is undefined`},
		{"\n\n{% for i in 5 %}{% endfor %}", "jinja: test:3: int is not iterable"},
		{"{% if x", "jinja: test:1: unexpected end of template inside a tag"},
		{"{{ x | nope }}", `jinja: test:1: no filter named "nope"`},
		{"{{ strftime_now('%Y') }}", "jinja: test:1: asks for the date, and no date was given"},
	} {
		_, err := render(c.source, nil)
		if err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v, want %s", c.source, err, c.want)
		}
	}
	_, err := render("{{ raise_exception('x') }}", nil)
	var e *Error
	if !errors.As(err, &e) || !e.Raised {
		t.Errorf("got %v, want Raised", err)
	}
}

func TestStrftime(t *testing.T) {
	at := time.Date(2026, 3, 5, 14, 7, 9, 1000, time.UTC)
	tm, err := Parse("t", "{{ strftime_now('%d %b %Y|%-d %B %y|%A %a %j %H:%M:%S %I %p %m/%F%%') }}")
	if err != nil {
		t.Fatal(err)
	}
	out, err := tm.Render(nil, Options{Now: func() time.Time { return at }})
	want := "05 Mar 2026|5 March 26|Thursday Thu 064 14:07:09 02 PM 03/2026-03-05%" // Python's
	if err != nil || out.Text != want {
		t.Errorf("got %q, %v, want %q", out.Text, err, want)
	}
}

// FuzzRender wants no panic, no endless run and valid text of any template.
func FuzzRender(f *testing.F) {
	for _, s := range []string{
		"{{ a }}", "{% for i in a if i %}{{ loop.index }}{% else %}x{% endfor %}", "{%- set x = [1, {'a': 2}][1:] -%}{{ x|tojson(indent=2) }}",
		"{% macro m(a, b=1) %}{{ a ~ b }}{% endmacro %}{{ m(1) }}", "{{ s.split(',')[-1].strip()|upper }}", "{{ '%s' % s }}{{ 'a{}'.format(1) }}",
		"{% set ns = namespace(a=1) %}{% set ns.a = ns.a // 2 ** 3 %}{{ ns.a }}", "{# x #}{% raw %}{{ x }}{% endraw %}", "{{ u[::-1]|sort|map('upper')|join }}",
		"{% generation %}{{ s }}{% endgeneration %}", "{{ a|groupby(0) }}{{ a|batch(2, 3)|list }}{{ s|indent(3, true) }}",
	} {
		f.Add(s)
	}
	vars := map[string]any{"s": "a, b\n", "u": "é한🙂", "n": 3, "x": 2.5, "a": []any{1, "b", nil, true}}
	f.Fuzz(func(t *testing.T, source string) {
		tm, err := Parse("f", source)
		if err != nil {
			return
		}
		out, err := tm.Render(vars, Options{Limits: Limits{Steps: 20_000, Bytes: 1 << 20}})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %T, want *Error", err)
			}
			return
		}
		if len(out.Text) > 1<<20 || utf8.ValidString(source) && !utf8.ValidString(out.Text) {
			t.Fatalf("got %d bytes of text", len(out.Text))
		}
		for _, g := range out.Generated {
			if g[0] < 0 || g[0] > g[1] || g[1] > len(out.Text) {
				t.Fatalf("got span %v of %d bytes", g, len(out.Text))
			}
		}
	})
}

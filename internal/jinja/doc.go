// Package jinja renders the chat templates of language models as Transformers
// does: Jinja2 with trim_blocks and lstrip_blocks, loop controls, generation
// blocks, and the functions raise_exception, strftime_now and tojson.
//
//	t, err := jinja.Parse("chat_template.jinja", source)
//	out, err := t.Render(map[string]any{"messages": messages}, jinja.Options{})
//	fmt.Println(out.Text)
//
// A value is what Python would have: None is not undefined, 1 == 1.0, 7 // -2
// is -4, a dict keeps its order and a str counts code points. What Python
// raises on is an error here.
//
// Templates come with checkpoints, from strangers. They cannot open files:
// include, import and extends are refused when the template is parsed. Rendering
// takes bounded work, memory and depth ([Limits]) and ends with an error when a
// bound is met.
//
// # What it does not do
//
// It is no general template engine: no autoescaping, blocks, inheritance,
// translations, custom delimiters, nor the filters that make HTML. What is
// missing is an error that names it, never another text.
package jinja

// Package chat turns conversations into text and tokens with a model's own chat
// template, as Transformers' apply_chat_template does, and tells which of them
// the assistant said.
//
//	t, err := chat.Open("models/instruct")
//	c, err := chat.Parse([]byte(`{"messages": [{"role": "user", "content": "Hi"}]}`))
//	text, err := t.Render(c, chat.Options{GenerationPrompt: true})
//
// # Which tokens are the assistant's
//
// A template with generation blocks says so itself. For others [Template.Spans]
// renders the conversation up to each of the assistant's turns, with the
// generation prompt, and up to behind it: what lies between is what the model is
// to say. That holds only if both are how the whole conversation begins, which is
// checked; a template that writes earlier turns otherwise once later ones follow
// is refused with [ErrNotPrefix].
//
// # Where it differs from Transformers
//
// Parts of a content are joined to one text before the template sees them, so
// that templates which know only texts take them too. A character that is spelt
// in several tokens at the end of a generation block is marked whole; Transformers
// marks its first token.
//
// # What it does not do
//
// Images and other parts that are not text, and running tools.
package chat

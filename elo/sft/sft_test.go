package sft

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"graft/model/chat"
	"graft/model/tokenizer"
)

func encoder(t *testing.T, template string, o Options) (*Encoder, *tokenizer.Tokenizer) {
	t.Helper()
	dir := filepath.Join("..", "demo", "base")
	tok, err := tokenizer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "t.jinja")
	if err := os.WriteFile(path, []byte(template), 0o666); err != nil {
		t.Fatal(err)
	}
	tm, err := chat.OpenFile(path, dir)
	if err != nil {
		t.Fatal(err)
	}
	return New(tok, tm, o), tok
}

const plain = `{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token if m.role == 'assistant' }}
{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}`

const chatDoc = `{"messages": [{"role": "user", "content": "Tell me"}, {"role": "assistant", "content": "Tom had a ball."}]}`

func TestAppendMarked(t *testing.T) {
	e, tok := encoder(t, plain, Options{})
	ids, marks, n, err := e.AppendMarked([]int32{7}, []bool{true}, chatDoc)
	if err != nil || len(ids) != len(marks) || ids[0] != 7 || !marks[0] {
		t.Fatalf("got %v, %v, %v, want what was there and more", ids, marks, err)
	}
	var trained []int32
	for i, m := range marks[1:] {
		if m {
			trained = append(trained, ids[1+i])
		}
	}
	if got := tok.Decode(trained, false); strings.TrimSpace(got) != "Tom had a ball.</s>" {
		t.Errorf("got %q marked", got)
	}
	if want := len(" Tom had a ball.</s>"); n != want {
		t.Errorf("got %d bytes, want %d", n, want)
	}
	if id, ok := e.End(); !ok || id != 2 {
		t.Errorf("got end %d, %v, want </s>", id, ok)
	}
	if c := e.Counts(); c.Conversations != 1 || c.Tokens != int64(len(ids)-1) || c.Trained != int64(len(trained)) || c.Cut+c.Silent != 0 {
		t.Errorf("got %+v", c)
	}
}

// TestCut cuts at every length: what is kept is how the whole begins, and is left
// out as soon as nothing of the answer is within.
func TestCut(t *testing.T) {
	e, _ := encoder(t, plain, Options{})
	whole, marks, _, err := e.AppendMarked(nil, nil, chatDoc)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(whole); n++ {
		e, _ := encoder(t, plain, Options{Positions: n})
		ids, got, bytes, err := e.AppendMarked(nil, nil, chatDoc)
		if err != nil {
			t.Fatal(err)
		}
		want := min(n+1, len(whole))
		silent := !slices.Contains(marks[1:want], true)
		if silent {
			want = 0
		}
		if !slices.Equal(ids, whole[:want]) || !slices.Equal(got, marks[:want]) {
			t.Errorf("%d positions: got %v, want %v", n, ids, whole[:want])
		}
		c := e.Counts()
		if (c.Silent == 1) != silent || (c.Cut == 1) != (n+1 < len(whole)) || (bytes == 0) != silent {
			t.Errorf("%d positions: got %+v, %d bytes", n, c, bytes)
		}
	}
}

func TestDate(t *testing.T) {
	const dated = `{{ strftime_now('%Y') }}` + plain
	e, _ := encoder(t, dated, Options{})
	if _, _, _, err := e.AppendMarked(nil, nil, chatDoc); err == nil {
		t.Error("no date: got no error")
	}
	e, tok := encoder(t, dated, Options{Now: time.Date(2031, 1, 2, 0, 0, 0, 0, time.UTC)})
	ids, _, _, err := e.AppendMarked(nil, nil, chatDoc)
	if err != nil || !strings.HasPrefix(tok.Decode(ids, false), "2031") {
		t.Errorf("got %q, %v, want 2031 first", tok.Decode(ids, false), err)
	}
	if _, err := ParseDate("2026-13-01"); err == nil {
		t.Error("month 13: got no error")
	}
}

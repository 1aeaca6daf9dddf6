package data

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// write puts a file of the test into a fresh directory, compressed as its name
// says.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pack(t, name, content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func pack(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	switch filepath.Ext(name) {
	case ".gz":
		w := gzip.NewWriter(&b)
		w.Write([]byte(content))
		w.Close()
	case ".zst":
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(content))
		w.Close()
	default:
		b.WriteString(content)
	}
	return b.Bytes()
}

func texts(path string, o ReadOptions) (all []string, err error) {
	for d, err := range Read(path, o) {
		if err != nil {
			return all, err
		}
		all = append(all, d.Text)
	}
	return all, nil
}

func TestRead(t *testing.T) {
	long := strings.Repeat("añ ", 50_000)
	for _, tt := range []struct {
		name, file, content string
		opt                 ReadOptions
		want                []string
	}{
		{"paragraphs", "a.txt", "one\ntwo\n\n \t\nthree", ReadOptions{}, []string{"one\ntwo", "three"}},
		{"paragraphs with CRLF", "a.txt", "\r\none\r\ntwo\r\n\r\nthree\r\n", ReadOptions{}, []string{"one\ntwo", "three"}},
		{"indentation kept", "a.txt", "  one\n\n\ttwo \n", ReadOptions{}, []string{"  one", "\ttwo "}},
		{"lines", "a.txt", "one\n\ntwo\n", ReadOptions{Text: Line}, []string{"one", "two"}},
		{"whole file", "a.txt", "\ufeffone\r\n\r\ntwo\n", ReadOptions{Text: File}, []string{"one\r\n\r\ntwo\n"}},
		{"byte order mark", "a.txt", "\ufeffone", ReadOptions{}, []string{"one"}},
		{"long line", "a.txt", long + "\n\nb", ReadOptions{}, []string{long, "b"}},
		{"gzip", "a.txt.gz", "one\n\ntwo", ReadOptions{}, []string{"one", "two"}},
		{"zstd", "a.TXT.zst", "one\n\ntwo", ReadOptions{}, []string{"one", "two"}},
		{"jsonl", "a.jsonl", `{"text":"a\nb","n":1}` + "\n\n" + ` {"text":"c"}`, ReadOptions{}, []string{"a\nb", "c"}},
		{"jsonl field", "a.jsonl.gz", `{"text":1,"ko":"가"}`, ReadOptions{Field: "ko"}, []string{"가"}},
		{"jsonl blank text", "a.jsonl", `{"text":" \n"}` + "\n" + `{"text":"c"}`, ReadOptions{}, []string{"c"}},
		{"json objects", "a.json", `[{"text":"a"}, {"text":"b"}]`, ReadOptions{}, []string{"a", "b"}},
		{"json strings", "a.json.zst", "\ufeff [\"a\",\n\"b\"]\n", ReadOptions{}, []string{"a", "b"}},
		{"json that is an object a line", "a.json", "{\"text\":\"a\"}\n{\"text\":\"b\"}", ReadOptions{}, []string{"a", "b"}},
		{"json lines longer than a buffer", "a.json", strings.Repeat(`{"text":"`+long+"\"}\n", 2), ReadOptions{}, []string{long, long}},
		{"array longer than the longest document", "a.json", `["` + strings.Repeat(`a","`, 40_000) + `b"]`, ReadOptions{MaxBytes: 5}, append(slices.Repeat([]string{"a"}, 40_000), "b")},
		{"just short enough", "a.txt", "12345\n", ReadOptions{MaxBytes: 5}, []string{"12345"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := texts(write(t, tt.file, tt.content), tt.opt)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	for _, tt := range []struct {
		name, file, content string
		opt                 ReadOptions
		want                []string // in the message
	}{
		{"empty", "a.txt", "", ReadOptions{}, []string{"a.txt: expected text, found no documents"}},
		{"blank", "a.txt", " \n\n\t", ReadOptions{}, []string{"a.txt: expected text, found no documents"}},
		{"blank whole file", "a.txt", " \n", ReadOptions{Text: File}, []string{"no documents"}},
		{"blank json", "a.json", "[]", ReadOptions{}, []string{"a.json: expected text, found no documents"}},
		{"invalid UTF-8", "a.txt", "ab\nc\n\nde\xffg", ReadOptions{}, []string{"a.txt:4: byte offset 8: expected UTF-8, found byte 0xff"}},
		{"cut character", "a.txt", "\ufeffaé\nb\xc3\n", ReadOptions{Text: Line}, []string{"a.txt:2: byte offset 8: ", "0xc3"}},
		{"invalid UTF-8 behind the mark", "a.txt", "\ufeffa\xff", ReadOptions{}, []string{"a.txt:1: byte offset 4:"}},
		{"invalid UTF-8 whole file", "a.txt", "a\nb\n\xe9", ReadOptions{Text: File}, []string{"a.txt:3: byte offset 4: expected UTF-8, found byte 0xe9"}},
		{"invalid UTF-8 in jsonl", "a.jsonl", "{\"text\":\"a\"}\n{\"text\":\"\xe9\"}", ReadOptions{}, []string{"a.jsonl:2: byte offset 22:"}},
		{"invalid UTF-8 in json", "a.json", "[\"a\", \"b\xe9\"]", ReadOptions{}, []string{"a.json: element 2: byte offset 8:"}},
		{"UTF-16", "a.txt", "\xff\xfea\x00", ReadOptions{}, []string{"UTF-16"}},
		{"no such field", "a.jsonl", `{"en":"a","ko":"b"}`, ReadOptions{}, []string{`a.jsonl:1: field "text": expected a string, found no such field (there are: en, ko)`}},
		{"field of another type", "a.jsonl", "{\"text\":\"a\"}\n\n{\"text\":-3}", ReadOptions{}, []string{`a.jsonl:3: field "text": expected a string, found a number`}},
		{"null", "a.json", `[{"text":null}]`, ReadOptions{}, []string{`element 1: field "text": expected a string, found null`}},
		{"not an object", "a.jsonl", `["a"]`, ReadOptions{}, []string{"a.jsonl:1: expected a JSON object, found an array"}},
		{"not JSON", "a.jsonl", `text`, ReadOptions{}, []string{"a.jsonl:1: expected a JSON object"}},
		{"cut JSON", "a.jsonl", `{"text":"a`, ReadOptions{}, []string{"a.jsonl:1: expected a JSON object"}},
		{"cut array", "a.json", `["a", "b"`, ReadOptions{}, []string{"a.json: ", "EOF"}},
		{"array without commas", "a.json", `["a" "b"]`, ReadOptions{}, []string{"a.json: element 2"}},
		{"text behind the array", "a.json", `["a"] x`, ReadOptions{}, []string{"a.json: ", "behind the array"}},
		{"line too long", "a.txt", "123456\n", ReadOptions{MaxBytes: 5, Text: Line}, []string{"a.txt:1: expected a line of at most 5 bytes"}},
		{"paragraph too long", "a.txt", "a\n\n123\n456\n", ReadOptions{MaxBytes: 5}, []string{"a.txt:3: expected a document of at most 5 bytes"}},
		{"file too long", "a.txt", "123456", ReadOptions{MaxBytes: 5, Text: File}, []string{"a.txt:1: expected a file of at most 5 bytes"}},
		{"element too long", "a.json", `["` + strings.Repeat("a", 1<<17) + `"]`, ReadOptions{MaxBytes: 5}, []string{"element 1: expected at most 5 bytes"}},
		{"another format", "a.pdf", "a", ReadOptions{}, []string{`a.pdf: expected .txt, .jsonl or .json`, `found extension ".pdf"`}},
		{"not gzip", "b.txt", "", ReadOptions{Text: "page"}, []string{`found "page"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := texts(write(t, tt.file, tt.content), tt.opt)
			for _, w := range tt.want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("got %v, want a message with %q", err, w)
				}
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line", err)
			}
		})
	}
}

// TestReadDevice: what is no file may never end, or never begin.
func TestReadDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.txt")
	if err := os.Symlink(os.DevNull, path); err != nil {
		t.Skip(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().IsRegular() {
		t.Fatalf("got %v, %v, want a device", info, err)
	}
	if _, err := texts(path, ReadOptions{}); err == nil || !strings.Contains(err.Error(), "a.txt: expected a regular file, found a device") {
		t.Errorf("got %v, want a message about a device", err)
	}
}

func TestReadBrokenCompression(t *testing.T) {
	for _, name := range []string{"a.txt.gz", "a.txt.zst", "a.jsonl.gz", "a.json.zst"} {
		whole := pack(t, name, strings.Repeat(`{"text":"some words of a text"}`+"\n", 1000))
		for _, n := range []int{0, 3, len(whole) / 2, len(whole) - 1} {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, whole[:n], 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := texts(path, ReadOptions{Text: Line}); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s cut to %d of %d bytes: got %v, want an error that names it", name, n, len(whole), err)
			}
		}
	}
}

func TestReadDirectory(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"b.txt": "3", "a.txt": "0", "a/2.jsonl.gz": `{"text":"2"}`, "a/1.json": `["1"]`, "a/empty.txt": "",
		"README.md": "no", ".hidden.txt": "no", ".git/x.txt": "no",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, pack(t, name, content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := texts(dir, ReadOptions{})
	if want := []string{"0", "1", "2", "3"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := texts(t.TempDir(), ReadOptions{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("empty directory: got %v, want %v", err, ErrEmpty)
	}
	if _, err := texts(filepath.Join(dir, "none.txt"), ReadOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: got %v, want %v", err, os.ErrNotExist)
	}
}

// endless repeats a text for ever and counts what was taken.
type endless struct {
	text string
	n    int64
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.text[(e.n+int64(i))%int64(len(e.text))]
	}
	e.n += int64(len(p))
	return len(p), nil
}

// TestReadBounded holds that a document without an end is given up soon.
func TestReadBounded(t *testing.T) {
	const most = 1 << 20
	for _, tt := range []struct {
		name, file, head, text string
		unit                   TextUnit
	}{
		{"line", "a.txt", "", "x", Line},
		{"paragraph of one line", "a.txt", "", "x", Paragraph},
		{"paragraph of many", "a.txt", "", "x\n", Paragraph},
		{"file", "a.txt", "", "\n", File},
		{"object", "a.jsonl", `{"text":"`, "x", ""},
		{"element", "a.json", `["`, "x", ""},
		{"object in json", "a.json", `{"text":"`, "x", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &endless{text: tt.text}
			r := io.MultiReader(strings.NewReader(tt.head), src)
			for _, err := range ReadFrom(r, tt.file, ReadOptions{MaxBytes: most, Text: tt.unit}) {
				if err == nil || !errors.Is(err, errTooLong) {
					t.Fatalf("got %v, want %v", err, errTooLong)
				}
			}
			if src.n > 2*most {
				t.Errorf("got %d bytes read, want little more than %d", src.n, most)
			}
		})
	}
}

func TestReadFrom(t *testing.T) {
	for _, tt := range []struct{ name, file, content, want string }{
		{"unknown", "a.csv", "a", `found extension ".csv"`},
		{"empty", "a.txt", " ", "a.txt: expected text, found no documents"},
		{"option", "a.txt", "a", ""},
	} {
		n := 0
		for _, err := range ReadFrom(strings.NewReader(tt.content), tt.file, ReadOptions{}) {
			n++
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
			}
		}
		if n != 1 {
			t.Errorf("%s: got %d results, want 1", tt.name, n)
		}
	}
	for range ReadFrom(strings.NewReader("a\n\nb"), "a.txt", ReadOptions{}) {
		break // must not go on
	}
}

// FuzzRead holds that no input makes a reader panic or hand out text that is
// not UTF-8.
func FuzzRead(f *testing.F) {
	f.Add(0, []byte("a\n\nb\xff"))
	f.Add(1, []byte(`{"text":"a\ud800"}`))
	f.Add(2, []byte(`[{"text":"a"},"b"]`))
	f.Fuzz(func(t *testing.T, kind int, b []byte) {
		names := []string{".txt", ".jsonl", ".json"}
		o, _ := ReadOptions{MaxBytes: 1 << 12}.withDefaults()
		read := formats[names[uint(kind)%3]]
		read(bytes.NewReader(b), "f", o, func(d Document) bool {
			if i := invalidUTF8([]byte(d.Text)); i >= 0 {
				t.Errorf("got %q, want UTF-8", d.Text)
			}
			return true
		})
	})
}

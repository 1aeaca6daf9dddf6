package hub

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAnswers: what a server may say instead of a repository. Nothing is
// written, and the message is one line that says what to do.
func TestAnswers(t *testing.T) {
	answer := func(code int, kind string) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("X-Error-Code", kind)
			w.Header().Set("X-Error-Message", "as the\tserver\u009b says")
			w.WriteHeader(code)
			return true
		}
	}
	atFiles := func(f func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool { return r.Method == http.MethodHead && f(w, r) }
	}
	for _, c := range []struct {
		name   string
		before func(http.ResponseWriter, *http.Request) bool
		token  string
		is     error
		want   string
	}{
		{"gated", answer(403, "GatedRepo"), "", ErrGated, "accept its conditions at http://"},
		{"gated files", atFiles(answer(401, "GatedRepo")), "", ErrGated, "accept its conditions"},
		{"missing or private", answer(401, "RepoNotFound"), "", ErrNotFound, "check the name; if it is private, set HF_TOKEN"},
		{"missing with token", answer(404, "RepoNotFound"), "t", ErrNotFound, "ask for access with the account of your token"},
		{"no revision", answer(404, "RevisionNotFound"), "", ErrNotFound, `has no revision "main"`},
		{"no file", atFiles(answer(404, "EntryNotFound")), "", ErrNotFound, "answered 404"},
		{"bad token", answer(401, ""), "t", ErrDenied, "does not know the token"},
		{"forbidden", answer(403, ""), "", ErrDenied, "set HF_TOKEN: "},
		{"another 400", answer(400, ""), "", nil, "answered 400 Bad Request: as the server says"},
		{"patience asked for", func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Retry-After", "100000")
			w.WriteHeader(429)
			return true
		}, "", nil, "429 Too Many Requests"},
		{"no hub", func(w http.ResponseWriter, r *http.Request) bool { w.Write([]byte("<html>log in</html>")); return true },
			"", nil, "something else than a repository"},
		{"no commit", func(w http.ResponseWriter, r *http.Request) bool {
			w.Write([]byte(`{"sha":"../..","siblings":[]}`))
			return true
		},
			"", nil, "something else than a repository"},
		{"another commit", atFiles(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("X-Repo-Commit", strings.Repeat("a", 40))
			return true
		}), "", nil, "is it a Hub?"},
		{"odd checksum", atFiles(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("X-Repo-Commit", testCommit)
			w.Header().Set("Etag", `"../../../evil"`)
			return true
		}), "", nil, "want a checksum"},
		{"odd length", atFiles(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("X-Repo-Commit", testCommit)
			w.Header().Set("X-Linked-Etag", strings.Repeat("a", 64))
			w.Header().Set("X-Linked-Size", "-5")
			return true
		}), "", nil, `found length "-5"`},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request) bool { http.Redirect(w, r, r.URL.Path, 302); return true },
			"", nil, "too many redirects"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newFakeHub(t)
			h.before = c.before
			cfg := h.config(t)
			cfg.Token = c.token
			var r recorder
			_, err := Fetch(t.Context(), cfg, testRepo, "main", r.options())
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if len(r.pauses) > 0 {
				t.Errorf("got pauses %v, want none: the answer would be the same", r.pauses)
			}
			if _, err := os.Stat(cfg.Cache); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the cache holds %q", tree(t, cfg.Cache))
			}
		})
	}
}

func TestNoNetwork(t *testing.T) {
	h := newFakeHub(t)
	cfg := h.config(t)
	h.hub.Close()
	var r recorder
	_, err := Fetch(t.Context(), cfg, testRepo, "main", r.options())
	if err == nil || !strings.HasPrefix(err.Error(), "hub: cannot reach http://127.0.0.1:") || len(r.pauses) > 0 {
		t.Errorf("got %v after pauses %v", err, r.pauses)
	}
}

func TestOffline(t *testing.T) {
	h := newFakeHub(t)
	cfg := h.config(t)
	off := cfg
	off.Offline = true
	if _, err := Fetch(t.Context(), off, testRepo, "main", Options{}); !errors.Is(err, ErrOffline) || !errors.Is(err, ErrNotCached) {
		t.Errorf("before: got %v, want ErrOffline and ErrNotCached", err)
	}
	want, err := Fetch(t.Context(), cfg, testRepo, "refs/pr/1", Options{})
	if err != nil {
		t.Fatal(err)
	}
	h.log = nil
	got, err := Fetch(t.Context(), off, testRepo, "refs/pr/1", Options{})
	if err != nil || got.Dir != want.Dir || len(got.Files) != len(want.Files) || len(h.log) > 0 {
		t.Errorf("got %+v, %v, requests %q", got, err, h.log)
	}
	if got, err := Fetch(t.Context(), off, testRepo, h.commit, Options{Include: []string{"*.json"}}); err != nil || len(got.Files) != 2 {
		t.Errorf("got %+v, %v, want two files", got, err)
	}
	if _, err := Fetch(t.Context(), off, testRepo, h.commit, Options{Include: []string{"*.gguf"}}); !errors.Is(err, ErrOffline) {
		t.Errorf("a file that was not fetched: got %v, want ErrOffline", err)
	}
	if _, err := off.Find(testRepo, "main"); !errors.Is(err, ErrNotCached) {
		t.Errorf("another branch: got %v, want ErrNotCached", err)
	}
}

// TestConcurrent runs two downloads of one file: the second waits for the first
// and downloads nothing.
func TestConcurrent(t *testing.T) {
	if runtime.GOOS == "plan9" || runtime.GOOS == "solaris" {
		t.Skip("no locks here")
	}
	h := newFakeHub(t)
	cfg := h.config(t)
	inFirst, waiting := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/signed/") {
			once.Do(func() { close(inFirst) })
			<-waiting // the first holds the lock until the second has met it
		}
		return false
	}
	include := []string{"model.safetensors"}
	done := make(chan error, 1)
	go func() {
		_, err := Fetch(t.Context(), cfg, testRepo, "main", Options{Include: include})
		done <- err
	}()
	<-inFirst
	var r recorder
	opt := r.options(include...)
	var met sync.Once
	opt.pause = func(ctx context.Context, _ time.Duration) (err error) {
		met.Do(func() { close(waiting); err = <-done })
		return err
	}
	s, err := Fetch(t.Context(), cfg, testRepo, "main", opt)
	if err != nil || s.Fetched != 0 {
		t.Errorf("second: got %+v, %v, want nothing fetched", s, err)
	}
	if n := h.requests(" store/"); len(n) != 1 || len(r.notes) != 1 || !strings.Contains(r.notes[0], "another program is downloading model.safetensors") {
		t.Errorf("got requests %q, notes %q, want one of each", n, r.notes)
	}
	compareTrees(t, tree(t, cfg.Cache), h.wantTree(include...))
}

func TestBadNames(t *testing.T) {
	for _, name := range []string{"../evil.json", "a/../../evil.json", "/etc/evil.json", `..\evil.json`, `C:\evil.json`, "a//evil.json",
		"./evil.json", "evil.json/", "evil\x00.json", "evil\n.json", "a:b.json", "evil.json.", "evil.json ", "\xff.json", strings.Repeat("x", 2000) + ".json"} {
		h := newFakeHub(t)
		h.files = map[string][]byte{"config.json": text(10), name: text(10)}
		cfg := h.config(t)
		_, err := Fetch(t.Context(), cfg, testRepo, "main", Options{Include: []string{"*"}})
		if err == nil || !strings.Contains(err.Error(), "which is not kept") && name != "\xff.json" {
			t.Errorf("%q: got %v, want a refusal", name, err)
		}
		if _, err := os.Stat(cfg.Cache); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: the cache holds %q", name, tree(t, cfg.Cache))
		}
	}
	for _, name := range []string{"config.json", "a/b c/d-1_2.x+y", "日本語.txt", "..x"} {
		if err := checkFile(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestNoRoom is told of a file that no disk has room for.
func TestNoRoom(t *testing.T) {
	h := newFakeHub(t)
	cfg := h.config(t)
	h.size["model.safetensors"] = "4611686018427387904" // 4 EiB
	_, err := Fetch(t.Context(), cfg, testRepo, "main", Options{})
	if err == nil || !strings.Contains(err.Error(), "MiB free") {
		t.Errorf("got %v, want that there is no room", err)
	}
	h.size["tokenizer.json"] = "4611686018427387905" // the sum overflows
	if _, err := Fetch(t.Context(), cfg, testRepo, "main", Options{}); err == nil || !strings.Contains(err.Error(), "impossible lengths") {
		t.Errorf("got %v, want that the lengths are impossible", err)
	}
	if _, err := os.Stat(cfg.Cache); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cache holds %q", tree(t, cfg.Cache))
	}
}

// TestNoSymlinks makes a snapshot of files, as on Windows.
func TestNoSymlinks(t *testing.T) {
	none := func(string, string) error { return errors.ErrUnsupported }
	for name, set := range map[string]func(*Config, *Options){
		"unsupported":  func(_ *Config, o *Options) { o.symlink = none },
		"switched off": func(c *Config, _ *Options) { c.Copies = true },
	} {
		t.Run(name, func(t *testing.T) {
			h := newFakeHub(t)
			h.files["vocab.json"] = h.files["config.json"] // one blob, two names
			var r recorder
			cfg, opt := h.config(t), r.options()
			set(&cfg, &opt)
			s, err := Fetch(t.Context(), cfg, testRepo, "main", opt)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range s.Files {
				path := filepath.Join(s.Dir, filepath.FromSlash(f.Name))
				info, err := os.Lstat(path)
				if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(h.files[f.Name])) {
					t.Errorf("%s: got %v, %v, want a file of %d bytes", f.Name, info, err, len(h.files[f.Name]))
				}
			}
			if want := len(defaultFiles); len(s.Files) != want+1 || len(r.planned) != want {
				t.Errorf("got %d files of %d downloads, want %d of %d", len(s.Files), len(r.planned), want+1, want)
			}
		})
	}
}

// TestCopyFile is what is left where files can have one name only.
func TestCopyFile(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := writeFile(a, "text"); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(b, a); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(b); string(got) != "text" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := copyFile(b, a); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: got %v, want ErrExist", err)
	}
}

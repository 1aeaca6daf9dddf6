package main

import (
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/schollz/progressbar/v3"

	"graft/model/hub"
)

// cmdHub is "hub org/name dir": from here on HF_ENDPOINT is a Hub that has dir's
// files under that name.
func cmdHub(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: hub org/name dir")
	}
	srv := httptest.NewServer(hubHandler(args[0], ts.MkAbs(args[1])))
	ts.Defer(srv.Close)
	ts.Setenv("HF_ENDPOINT", srv.URL)
}

func hubHandler(repo, dir string) http.Handler {
	const commit = "89abcdef0123456789abcdef0123456789abcdef"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/models/"+repo+"/revision/main", func(w http.ResponseWriter, _ *http.Request) {
		entries, _ := os.ReadDir(dir)
		list := []map[string]string{}
		for _, e := range entries {
			list = append(list, map[string]string{"rfilename": e.Name()})
		}
		json.NewEncoder(w).Encode(map[string]any{"sha": commit, "siblings": list})
	})
	mux.HandleFunc("GET /"+repo+"/resolve/"+commit+"/{file}", func(w http.ResponseWriter, r *http.Request) {
		b, err := os.ReadFile(dir + "/" + r.PathValue("file"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("X-Repo-Commit", commit)
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(b)), b...))))
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(b)))
	})
	return mux
}

// TestFetchProgress: what is told adds up, whatever order and resumption the
// files come in.
func TestFetchProgress(t *testing.T) {
	var out strings.Builder
	p := &fetchProgress{a: &app{bars: true, console: console{w: &out}}}
	a, b := hub.File{Name: "a", Size: 1000}, hub.File{Name: "b", Size: 3000}
	p.Plan([]hub.File{a, b})
	for _, s := range []struct {
		f          hub.File
		have, want int64
	}{{a, 600, 600}, {a, 100, 100}, {a, 1000, 1000}, {b, 2900, 3900}, {b, 3000, 4000}} {
		p.Progress(s.f, s.have)
		if p.sum != s.want {
			t.Errorf("%s at %d: got %d bytes, want %d", s.f.Name, s.have, p.sum, s.want)
		}
	}
	if got := p.a.console.bar; got == nil || got.State().CurrentNum != 4000 {
		t.Errorf("got bar %+v, want it at 4000", stateOf(got))
	}
	if text := out.String(); !strings.Contains(text, "2 files to download, 3.9 KiB") || !strings.Contains(text, "b 2.9 KiB, 3.9 KiB of 3.9 KiB") {
		t.Errorf("got %q", text)
	}
}

func stateOf(b *progressbar.ProgressBar) any {
	if b == nil {
		return nil
	}
	return b.State()
}

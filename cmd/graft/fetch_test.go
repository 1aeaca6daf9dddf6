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

// TestFetchProgress: what is told adds up, whatever was there before and however
// often a file begins anew.
func TestFetchProgress(t *testing.T) {
	var out strings.Builder
	p := &fetchProgress{a: &app{bars: true, console: console{w: &out}}}
	a, b := hub.File{Name: "a", Size: 1 << 10}, hub.File{Name: "b", Size: 3 << 10}
	p.Plan([]hub.File{a, b})
	for _, s := range []struct {
		f    hub.File
		have int64
		want string // after a second
	}{
		{a, 0, "0 B of 4.0 KiB"},
		{a, 600, "600 B of 4.0 KiB, 600 B/s, eta 6s"},
		{a, 100, "100 B of 4.0 KiB, 100 B/s, eta 40s"},
		{a, 1024, "1.0 KiB of 4.0 KiB, 1.0 KiB/s, eta 3s"},
		{b, 2048, "3.0 KiB of 4.0 KiB, 1.0 KiB/s, eta 1s"},
		{b, 0, "1.0 KiB of 4.0 KiB"},
		{b, 3072, "4.0 KiB of 4.0 KiB, 2.0 KiB/s, eta 0s"},
	} {
		p.Progress(s.f, s.have)
		if got := p.text(time.Second); got != s.want {
			t.Errorf("%s at %d: got %q, want %q", s.f.Name, s.have, got, s.want)
		}
	}
	if n := p.a.console.bar.State().CurrentNum; n != 4096 {
		t.Errorf("got the bar at %d, want 4096", n)
	}
	for _, want := range []string{"2 files to download, 4.0 KiB\n", "a 1.0 KiB: 1.0 KiB of 4.0 KiB", "b 3.0 KiB: 4.0 KiB of 4.0 KiB"} {
		if n := strings.Count(out.String(), want); n != 1 {
			t.Errorf("got %q %d times in %q, want once", want, n, out.String())
		}
	}
}

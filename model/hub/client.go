package hub

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// What Fetch and Find fail with, beside errors of the network and of the disk.
var (
	ErrNotFound  = errors.New("not found")
	ErrGated     = errors.New("access is gated")
	ErrDenied    = errors.New("access denied")
	ErrOffline   = errors.New("the Hub is switched off (HF_HUB_OFFLINE)")
	ErrNotCached = errors.New("not in the cache")
	ErrChecksum  = errors.New("wrong checksum")
)

const (
	tries       = 6                // of a request, or in a row without a new byte
	firstPause  = time.Second      // doubled after each
	longestWait = 2 * time.Minute  // that a server may ask for
	stall       = 60 * time.Second // without a byte
	maxRedirect = 10
	maxListing  = 64 << 20 // bytes of a repository's description
)

// client speaks to one endpoint.
type client struct {
	cfg    Config
	host   string // of the endpoint
	http   *http.Client
	opt    Options
	spoken bool // the server has answered once, so an outage will pass
}

func newClient(cfg Config, opt Options) (*client, error) {
	base, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	rt := opt.transport
	if rt == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = 30 * time.Second
		rt = t
	}
	h := &http.Client{Transport: &tokenTransport{base: rt, endpoint: base, token: cfg.Token}, CheckRedirect: checkRedirect}
	return &client{cfg: cfg, host: base.Host, http: h, opt: opt}, nil
}

// tokenTransport adds the token to requests for the endpoint's own host, and to
// no others. It, and not http.Client, decides, which would also send a header on
// to subdomains.
type tokenTransport struct {
	base     http.RoundTripper
	endpoint *url.URL
	token    string
}

func (t *tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Del("Authorization")
	req.Header.Del("Referer") // signed addresses are secrets too
	if t.token != "" && sameHost(req.URL, t.endpoint) {
		req.Header.Set("Authorization", "Bearer "+t.token)
	}
	return t.base.RoundTrip(req)
}

func sameHost(a, b *url.URL) bool { return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host) }

// checkRedirect stops the question for a file's headers at the Hub, which knows
// its checksum: the store that the Hub redirects to does not.
func checkRedirect(req *http.Request, via []*http.Request) error {
	from := via[len(via)-1]
	switch {
	case len(via) >= maxRedirect:
		return local(errors.New("too many redirects"))
	case req.Method == http.MethodHead && !sameHost(req.URL, from.URL) && req.Response.Header.Get("X-Repo-Commit") != "":
		return http.ErrUseLastResponse
	case req.URL.Scheme != "https" && from.URL.Scheme == "https":
		return local(errors.New("a redirect leads away from https"))
	}
	return nil
}

// statusError is an answer that is not the one asked for.
type statusError struct {
	code    int
	header  http.Header
	host    string
	message string
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("%s answered %d %s", e.host, e.code, http.StatusText(e.code))
	if m := e.header.Get("X-Error-Message"); m != "" {
		text += ": " + printable(clip(m))
	}
	return text
}

// printable makes one line of what a server said, without what would command a
// terminal.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// get asks once. The caller closes the body.
func (c *client) get(ctx context.Context, method, address string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", "graft")
	req.Header.Set("Accept-Encoding", "identity") // lengths and checksums are of the file itself
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, plain(err)
	}
	c.spoken = true
	if resp.StatusCode >= 400 {
		resp.Body.Close()
		return nil, &statusError{code: resp.StatusCode, header: resp.Header, host: resp.Request.URL.Host}
	}
	return resp, nil
}

// plain drops the address, which may be a signed one, and keeps its host.
func plain(err error) error {
	var u *url.Error
	if !errors.As(err, &u) {
		return err
	}
	host := u.URL
	if p, e := url.Parse(u.URL); e == nil {
		host = p.Host
	}
	return fmt.Errorf("%s: %w", host, u.Err)
}

// again calls do until it succeeds, fails for good, or has failed tries times
// in a row without progress.
func (c *client) again(ctx context.Context, do func() (progress bool, err error)) error {
	for failed := 0; ; {
		progress, err := do()
		if err == nil || ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if progress {
			failed = 0
		}
		failed++
		pause, ok := c.pause(err, failed)
		if !ok || failed == tries {
			return err
		}
		c.opt.note(fmt.Sprintf("%v: trying again in %v", err, pause))
		if err := c.opt.wait(ctx, pause); err != nil {
			return err
		}
	}
}

// pause says how long to wait after a failure; ok is false when waiting is of
// no use.
func (c *client) pause(err error, failed int) (d time.Duration, ok bool) {
	d = firstPause << min(failed-1, 5)
	var status *statusError
	if errors.As(err, &status) {
		if status.code == http.StatusTooManyRequests || status.code == http.StatusServiceUnavailable {
			if s, err := strconv.Atoi(status.header.Get("Retry-After")); err == nil && s > 0 {
				d = time.Duration(min(s, 1<<20)) * time.Second
			}
			return d, d <= longestWait
		}
		// A store forgets the addresses that the Hub signed; the next is a new one.
		expired := status.code == http.StatusForbidden && status.host != c.host
		return d, status.code >= 500 || status.code == http.StatusRequestTimeout || expired
	}
	var local *localError
	var cert *tls.CertificateVerificationError
	if errors.As(err, &local) || errors.As(err, &cert) {
		return 0, false
	}
	var op *net.OpError
	if !c.spoken && errors.As(err, &op) && op.Op == "dial" {
		return 0, false // there is no network, or no such host
	}
	return d, true
}

// localError is a failure that asking again cannot mend.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

func local(err error) error {
	if err == nil {
		return nil
	}
	return &localError{err}
}

// describe asks which commit a revision is, and for the names of its files.
func (c *client) describe(ctx context.Context, repo, rev string) (commit string, names []string, err error) {
	var info struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Name string `json:"rfilename"`
		} `json:"siblings"`
	}
	address := c.cfg.Endpoint + "/api/models/" + repo + "/revision/" + url.PathEscape(rev)
	err = c.again(ctx, func() (bool, error) {
		resp, err := c.get(ctx, http.MethodGet, address, nil)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(io.LimitReader(resp.Body, maxListing))
		if err != nil {
			return false, err
		}
		if err := json.Unmarshal(b, &info); err != nil || !commitID.MatchString(info.SHA) {
			return false, local(fmt.Errorf("%s answered with something else than a repository", resp.Request.URL.Host))
		}
		return false, nil
	})
	if err != nil {
		return "", nil, c.explain(err, repo, rev)
	}
	for _, s := range info.Siblings {
		names = append(names, s.Name)
	}
	return info.SHA, names, nil
}

// head asks for a file's checksum and length.
func (c *client) head(ctx context.Context, repo, commit, name string) (f File, err error) {
	f.Name = name
	err = c.again(ctx, func() (bool, error) {
		resp, err := c.get(ctx, http.MethodHead, c.address(repo, commit, name), nil)
		if err != nil {
			return false, err
		}
		resp.Body.Close()
		h := resp.Header
		if got := h.Get("X-Repo-Commit"); got != commit {
			return false, local(fmt.Errorf("%s: %s answered for commit %q, want %s: is it a Hub?", name, resp.Request.URL.Host, clip(got), commit))
		}
		etag := first(h.Get, "X-Linked-Etag", "Etag")
		f.ETag = strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
		if !checksum.MatchString(f.ETag) {
			return false, local(fmt.Errorf("%s: found ETag %q, want a checksum of SHA-256 or of git", name, clip(etag)))
		}
		size := h.Get("X-Linked-Size")
		if size == "" && resp.StatusCode < 300 {
			size = h.Get("Content-Length")
		}
		if f.Size, err = strconv.ParseInt(size, 10, 64); err != nil || f.Size < 0 {
			return false, local(fmt.Errorf("%s: found length %q, want a number", name, clip(size)))
		}
		return false, nil
	})
	return f, c.explain(err, repo, commit)
}

func (c *client) address(repo, commit, name string) string {
	return c.cfg.Endpoint + "/" + repo + "/resolve/" + commit + "/" + escapePath(name)
}

// explain says what an answer means, and what to do.
func (c *client) explain(err error, repo, rev string) error {
	var status *statusError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &status) && !c.spoken:
		return fmt.Errorf("hub: cannot reach %s: %w", c.cfg.Endpoint, err)
	case status == nil, status.host != c.host:
		return fmt.Errorf("hub: %s: %w", repo, err)
	}
	hint := "set HF_TOKEN"
	if c.cfg.Token != "" {
		hint = "ask for access with the account of your token"
	}
	switch code := status.header.Get("X-Error-Code"); {
	case code == "GatedRepo":
		return fmt.Errorf("hub: %s: %w: accept its conditions at %s/%s, and set HF_TOKEN to a token of that account", repo, ErrGated, c.cfg.Endpoint, repo)
	case code == "RevisionNotFound":
		return fmt.Errorf("hub: %s has no revision %q: %w", repo, rev, ErrNotFound)
	case code == "EntryNotFound":
		return fmt.Errorf("hub: %s: %w: %w", repo, ErrNotFound, err)
	case code == "RepoNotFound", status.code == http.StatusNotFound:
		return fmt.Errorf("hub: %s: %w at %s: check the name; if it is private, %s", repo, ErrNotFound, c.cfg.Endpoint, hint)
	case status.code == http.StatusUnauthorized && c.cfg.Token != "":
		return fmt.Errorf("hub: %s: %w: %s does not know the token (HF_TOKEN, or the file of HF_HOME)", repo, ErrDenied, c.cfg.Endpoint)
	case status.code == http.StatusUnauthorized, status.code == http.StatusForbidden:
		return fmt.Errorf("hub: %s: %w: %s: %w", repo, ErrDenied, hint, err)
	}
	return fmt.Errorf("hub: %s: %w", repo, err)
}

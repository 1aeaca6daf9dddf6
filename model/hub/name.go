package hub

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DefaultRevision is the branch that a name without revision means.
const DefaultRevision = "main"

var (
	repoPart = regexp.MustCompile(`^[\p{L}\p{N}_](?:[\p{L}\p{N}_.-]{0,94}[\p{L}\p{N}_])?$`)
	revision = regexp.MustCompile(`^[\w][\w.+-]*(?:/[\w][\w.+-]*)*$`)
	commitID = regexp.MustCompile(`^[0-9a-f]{40}$`)
	checksum = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
)

// ParseName splits org/name[@revision]. Without a revision it returns "main".
func ParseName(s string) (repo, rev string, err error) {
	repo, rev, given := strings.Cut(s, "@")
	if !given {
		rev = DefaultRevision
	}
	if err := checkRepo(repo); err != nil {
		return "", "", err
	}
	return repo, rev, checkRevision(rev)
}

func checkRepo(repo string) error {
	org, name, ok := strings.Cut(repo, "/")
	if !ok || !repoPart.MatchString(org) || !repoPart.MatchString(name) || strings.Contains(repo, "--") ||
		strings.Contains(repo, "..") || strings.HasSuffix(name, ".git") {
		return fmt.Errorf("hub: found %q, want a repository as org/name", clip(repo))
	}
	return nil
}

func checkRevision(rev string) error {
	if !revision.MatchString(rev) || strings.Contains(rev, "..") || len(rev) > 200 || !filepath.IsLocal(filepath.FromSlash(rev)) {
		return fmt.Errorf("hub: found revision %q, want a branch, a tag or a commit", clip(rev))
	}
	return nil
}

// checkFile refuses names that would not be the same file below a directory on
// every system.
func checkFile(name string) error {
	bad := func() error { return fmt.Errorf("hub: the server names a file %q, which is not kept", clip(name)) }
	if !utf8.ValidString(name) || len(name) > 1000 || !filepath.IsLocal(filepath.FromSlash(name)) {
		return bad()
	}
	for part := range strings.SplitSeq(name, "/") {
		odd := func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(`\:*?"<>|`, r) }
		if part == "" || part == "." || part == ".." || strings.ContainsFunc(part, odd) || strings.TrimRight(part, ". ") != part {
			return bad()
		}
	}
	return nil
}

// escapePath escapes each part of a slash-separated path for an address.
func escapePath(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

func clip(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "..."
	}
	return s
}

// matcher turns globs into a predicate on names. As in the Python tools * also
// matches slashes, and a glob that ends with a slash means all below.
func matcher(globs []string) (func(name string) bool, error) {
	var all []*regexp.Regexp
	for _, g := range globs {
		re, err := translate(g)
		if err != nil {
			return nil, err
		}
		all = append(all, re)
	}
	return func(name string) bool {
		for _, re := range all {
			if re.MatchString(name) {
				return true
			}
		}
		return false
	}, nil
}

func translate(glob string) (*regexp.Regexp, error) {
	if glob == "" {
		return nil, errors.New(`hub: found an empty pattern, want one as *.gguf`)
	}
	if strings.HasSuffix(glob, "/") {
		glob += "*"
	}
	var b strings.Builder
	b.WriteString(`(?s)^`)
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteByte('.')
		case '[':
			end := strings.IndexByte(glob[min(i+2, len(glob)):], ']') // the first may be a ] itself
			if end < 0 {
				b.WriteString(`\[`)
				continue
			}
			class := glob[i+1 : i+2+end]
			i += 2 + end
			class = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `&&`, `\&&`).Replace(class)
			if rest, not := strings.CutPrefix(class, "!"); not {
				class = "^" + rest
			} else if strings.HasPrefix(class, "^") {
				class = `\` + class
			}
			b.WriteString("[" + class + "]")
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		}
	}
	b.WriteByte('$')
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil, fmt.Errorf("hub: found pattern %q, want one as *.gguf", clip(glob))
	}
	return re, nil
}

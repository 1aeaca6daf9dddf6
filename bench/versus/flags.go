package versus

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Run is what the user says of a run that ends in a table.
type Run struct {
	Small  bool
	Only   string // expression for the cases to run
	Rounds int
	Budget time.Duration
	Out    string // folder for the table

	pattern *regexp.Regexp // Only
}

// AddTo defines the flags, with r's values unless they are given.
func (r *Run) AddTo(f *flag.FlagSet) {
	f.BoolVar(&r.Small, "small", r.Small, "sizes of a minute: prove the path, say nothing about speed")
	f.StringVar(&r.Only, "only", r.Only, "`regexp` of the cases to run, by what the log calls them")
	f.IntVar(&r.Rounds, "rounds", r.Rounds, "turns that each side gets in a case")
	f.DurationVar(&r.Budget, "budget", r.Budget, "no case begins later than this")
	f.StringVar(&r.Out, "o", r.Out, "`folder` for the table; empty is the standard output")
}

// Check says what is wrong with the flags and makes the folder: a table must not be
// lost after it was measured. It comes before all that follows.
func (r *Run) Check() (err error) {
	if r.pattern, err = regexp.Compile(r.Only); err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if r.Rounds < 1 {
		return fmt.Errorf("-rounds: found %d, want at least 1", r.Rounds)
	}
	if r.Out != "" {
		if err := os.MkdirAll(r.Out, 0o777); err != nil {
			return fmt.Errorf("-o: %w", err)
		}
	}
	return nil
}

// Wants reports whether the case of that name is to run.
func (r *Run) Wants(name string) bool { return r.pattern.MatchString(name) }

// Late says why a case is not begun, "" if it may be.
func (r *Run) Late(began time.Time) string {
	late := time.Since(began)
	if late <= r.Budget {
		return ""
	}
	return fmt.Sprintf("not begun: %v of %v were over", late.Round(time.Second), r.Budget)
}

// notName matches what does not go into a file's name.
var notName = regexp.MustCompile(`[^a-z0-9]+`)

// Save writes the table into the folder as KIND-DEVICE.md and its path to out, or the
// table to out.
func (r *Run) Save(kind, device, table string, out io.Writer) error {
	if r.Out == "" {
		_, err := io.WriteString(out, table)
		return err
	}
	name := strings.Trim(notName.ReplaceAllString(strings.ToLower(device), "-"), "-")
	if name == "" {
		return errors.New("the device has no name")
	}
	if r.Small {
		name += "-small"
	}
	path := filepath.Join(r.Out, kind+"-"+name+".md")
	if err := os.WriteFile(path, []byte(table), 0o666); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, path)
	return err
}
